"""A small run made by real commands in this process: every kind of artefact in a few seconds."""

import json
import os
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from fispace.cli import main
from fispace.study.commands import find_command
from fispace.study.config.arms import arms_of
from fispace.study.params import Study, load_study, slice_of

ROOT = Path(__file__).parents[2]
RUN = "small"
MOST_BYTES = 200 << 20
"""What refusing a hostile file may take."""
SIZES = {
    "run": RUN,
    "extract": {
        "window_tokens": 16, "min_window_tokens": 4, "val_fraction": 0.2, "test_fraction": 0.2,
        "max_tokens": {"train": 900, "val": 200, "test": 200, "transfer": 100},
        "shards": {"train": 2, "val": 1, "test": 1, "transfer": 1},
        "row_group_tokens": 128, "batch_windows": 8, "threads": 1,
    },
    "train": {
        "n_latents": 32, "k": 4, "d_embed": 3, "batch_tokens": 64, "n_tokens": 640,
        "pool_groups": 2, "lr_candidates": [0.01], "seeds": [0], "log_every": 5, "val_every": 5,
        "tuned": False, "audit": {"switches": {"untuned": None}},
    },
    "fidelity": {"epsilon_draws": 1, "n_bootstrap": 40, "dead_window_tokens": 50},
    "geometry": {"batch_tokens": 64},
}  # fmt: skip


class SmallRun:
    """A working folder with a run in it, and how to call commands there."""

    def __init__(self, path: Path, model: Path) -> None:
        self.path, self.model = path, model

    @property
    def study(self) -> Study:
        return load_study(self.path, [self.path / "params/small.yaml"])

    def call(self, chapter: str, verb: str, **options: object) -> int:
        """Exit code of one command, with its slice of the study's parameters."""
        return main(self.words(chapter, verb, **options))

    def words(self, chapter: str, verb: str, **options: object) -> list[str]:
        """The command line of that call."""
        command = find_command(chapter, verb)
        given = [chapter, verb]
        if command.config is not None:
            given += ["--params", json.dumps(slice_of(self.study, command))]
        for name, value in options.items():
            values = value if isinstance(value, list) else [value]
            given += [f"--{name.replace('_', '-')}", *map(str, values)]
        return given

    def file(self, name: str) -> Path:
        return self.path / "results" / RUN / name

    def copied_to(self, path: Path) -> "SmallRun":
        shutil.copytree(self.path, path)
        return SmallRun(path, self.model)


def peak_bytes() -> int:
    """Most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def write_corpus(path: Path, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    texts = [
        " ".join(f"w{i}" for i in rng.integers(0, 60, rng.integers(8, 41))) for _ in range(120)
    ]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))


def make(run: SmallRun) -> None:
    """Every kind of artefact: shards, manifest, tensors, tables as Parquet and CSV, JSON, figures."""
    at = f"results/{RUN}"
    store = {"manifest": f"{at}/extract/manifest.json"}
    both = store | {"standardiser": f"{at}/extract/standardiser.safetensors"}
    row = json.dumps(arms_of(run.study["train"], "all")["sae"])
    weights = f"{at}/train/sae/seed0.safetensors"
    of_arm = {"documents": f"{at}/fidelity/sae/seed0.parquet",
              "latents": f"{at}/fidelity/sae/seed0.latents.parquet"}  # fmt: skip
    positions = f"{at}/fidelity/sae/seed0.positions.parquet"
    bounds = f"{at}/fidelity/bounds.parquet"
    codes = [
        run.call("extract", "activations", scratch="scratch/small", out=f"{at}/extract"),
        run.call("extract", "standardiser", **both),
        main(["train", "choose-lr", "--params", '{"lr_candidates": [0.01]}', "--curves",
              "--lr", f"{at}/train/lr.json"]),
        run.call("train", "arm", arm="sae", row=row, seed=0, chosen=f"{at}/train/lr.json", **both,
                 scratch="scratch/train", checkpoint_seconds=60,
                 weights=weights, curve=f"{at}/train/sae/seed0.curve.parquet",
                 lifecycle=f"{at}/train/sae/seed0.lifecycle.parquet"),
        run.call("fidelity", "ablation-baselines", **both, bounds=bounds),
        run.call("fidelity", "arm", arm="sae", seed=0, weights=weights, **both, **of_arm,
                 positions=positions),
        run.call("fidelity", "summary", **of_arm, bounds=bounds, summary=f"{at}/fidelity/summary.parquet",
                 table=f"{at}/fidelity/summary.csv"),
        run.call("report", "draw", figure="norms", table="norms.csv",
                 svg=f"{at}/report/figures/norms.svg", pdf=f"{at}/report/figures/norms.pdf"),
    ]  # fmt: skip
    assert codes == [0] * len(codes)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory, lm_folders: dict[str, Path]) -> SmallRun:
    """The small run, complete; copy it before changing it."""
    path = tmp_path_factory.mktemp("small") / "study"
    shutil.copytree(ROOT / "workflow/schemas", path / "workflow/schemas")
    shutil.copy(ROOT / "params.yaml", path)
    (path / "params").mkdir()
    write_corpus(path / "corpus.jsonl")
    text = {"source": "jsonl", "path": "corpus.jsonl"}
    lm = {"name": str(lm_folders["llama"])}
    sizes = SIZES | {"lm": lm, "extract": SIZES["extract"] | {"text": text}}
    (path / "params/small.yaml").write_text(yaml.safe_dump(sizes))
    shutil.copy(ROOT / "results/reference/testbed/report/figures/norms.csv", path)
    run = SmallRun(path, lm_folders["llama"])
    before = Path.cwd()
    os.chdir(path)
    try:
        make(run)
    finally:
        os.chdir(before)
    return run


@pytest.fixture
def small(made_once: SmallRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallRun:
    """A copy of the small run, in which the test works."""
    run = made_once.copied_to(tmp_path / "study")
    monkeypatch.chdir(run.path)
    return run
