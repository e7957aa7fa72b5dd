"""A run of a few files with records written by hand: one claim, and everything behind it.

claims.csv <- quantities <- fidelity/summary <- fidelity/{sae,joint}/seed{0,1}.parquet <- train/... <-
extract/manifest.json <- ./text.jsonl. The numbers are such that the claim is 1 - 3 / 4.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
from report.synthetic import completed

from fispace.chapters.fidelity.tables import SUMMARY
from fispace.report.tables import LEDGER, QUANTITIES
from fispace.store.tables import write_csv, write_table

RUN = Path("results/made")
ARMS, SEEDS = ("sae", "joint"), (0, 1)
QUANTITY = "mse_gain.joint.full.over.sae.full"
LEVELS = {"sae": 4.0, "joint": 3.0}
SHARD = "extract/train/shard-1-of-1.parquet"


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def record(
    base: Path, command: str, reads: dict[str, list[str]], writes: dict[str, list[str]],
    params: dict[str, Any] | None = None, **options: Any,
) -> None:  # fmt: skip
    """Write a record into `base` as a call would have left it; names are relative to it."""
    inputs, outputs = (
        {name: sha(base / name) for names in files.values() for name in names}
        for files in (reads, writes)
    )
    content = {
        "command": command, "params": params, "options": options, "inputs": inputs,
        "outputs": outputs, "streams": [], "code": "c" * 64, "versions": {}, "files": reads | writes,
    }  # fmt: skip
    name = "-".join(Path(next(iter(outputs))).parts)
    folder = base / ".provenance"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(content))


def summary_rows() -> pd.DataFrame:
    """The level of every arm and seed: mse = error / n_dimensions."""
    return pd.DataFrame(
        [
            {
                "arm": arm, "parts": "sae", "seed": seed, "split": "test", "special_tokens": "masked",
                "condition": "reconstruction", "metric": "mse", "unit": "z2", "value": LEVELS[arm],
                "low": 1.0, "high": 9.0, "n_documents": 2, "n_tokens": 7,
            }
            for arm in ARMS
            for seed in SEEDS
        ]
    )  # fmt: skip


def write_bytes(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def make_run(root: Path) -> Path:
    """The run below `root`, which must be the working folder; its own folder."""
    run = root / RUN
    write_bytes(root / "text.jsonl", '{"text": "a"}\n')
    write_bytes(root / "workflow/claims.yaml", "claims: []\n")
    for name in ("extract/manifest.json", SHARD):
        write_bytes(run / name, name)
    record(run / "extract", "extract activations", {"text": ["../../../text.jsonl"]},
           {"out": ["manifest.json", "train/shard-1-of-1.parquet"]}, {"window_tokens": 16})  # fmt: skip
    for arm in ARMS:
        for seed in SEEDS:
            _make_arm(run, arm, seed)
    of_arms = [f"{arm}/seed{seed}" for arm in ARMS for seed in SEEDS]
    write_table(run / "fidelity/summary.parquet", summary_rows(), {"step": "made"})
    write_csv(run / "fidelity/summary.csv", summary_rows(), SUMMARY)
    write_bytes(run / "fidelity/bounds.parquet", "bounds")
    record(run / "fidelity", "fidelity ablation-baselines", {}, {"bounds": ["bounds.parquet"]})
    record(
        run / "fidelity", "fidelity summary",
        {"documents": [f"{name}.parquet" for name in of_arms], "bounds": ["bounds.parquet"],
         "latents": [f"{name}.latents.parquet" for name in of_arms]},
        {"summary": ["summary.parquet"], "table": ["summary.csv"]}, {"n_bootstrap": 20},
    )  # fmt: skip
    _make_report(run)
    return run


def _make_arm(run: Path, arm: str, seed: int) -> None:
    weights = f"train/{arm}/seed{seed}.safetensors"
    write_bytes(run / weights, weights)
    record(run / f"train/{arm}", "train arm", {"manifest": ["../../extract/manifest.json"]},
           {"weights": [f"seed{seed}.safetensors"]}, {"k": 4}, arm=arm, seed=seed)  # fmt: skip
    sums = [
        {
            "arm": arm, "parts": "sae", "seed": seed, "split": "test", "special_tokens": "masked",
            "condition": "reconstruction", "document_id": document, "error": LEVELS[arm] * 5,
            "n_dimensions": 5,
        }
        for document in (0, 1)
    ]  # fmt: skip
    base = run / f"fidelity/{arm}"
    write_table(base / f"seed{seed}.parquet", pd.DataFrame(sums), {"step": "made"})
    write_bytes(base / f"seed{seed}.latents.parquet", "latents")
    record(
        base, "fidelity arm",
        {"weights": [f"../../{weights}"], "manifest": ["../../extract/manifest.json"]},
        {"documents": [f"seed{seed}.parquet"], "latents": [f"seed{seed}.latents.parquet"]},
        {"batch_windows": 8}, arm=arm, seed=seed,
    )  # fmt: skip


def _make_report(run: Path) -> None:
    frame = pd.DataFrame(
        [
            {"quantity": QUANTITY, "seed": s, "value": 0.25, "unit": "fraction", "n": 7}
            for s in SEEDS
        ]
    )
    write_table(run / "report/quantities.parquet", frame, {"step": "made"})
    write_csv(run / "report/quantities.csv", frame, QUANTITIES)
    record(
        run / "report", "report quantities", {"fidelity": ["../fidelity/summary.parquet"]},
        {"quantities": ["quantities.parquet"], "table": ["quantities.csv"]},
    )  # fmt: skip
    claim = {
        "id": "N5", "item": "gain", "target": "all", "statement": "better", "unit": "fraction",
        "where": "p1", "definition": "1 - a / b", "test": "above", "verdict": "reproduced",
        "because": "holds", "published_quantity": QUANTITY, "published_mean": 0.25,
    }  # fmt: skip
    other = claim | {"item": "other_gain", "published_quantity": None, "published_mean": None}
    write_csv(run / "report/claims.csv", completed(pd.DataFrame([claim, other]), LEDGER), LEDGER)
    record(
        run / "report", "report claims",
        {"quantities": ["quantities.parquet"], "claims": ["../../../workflow/claims.yaml"]},
        {"ledger": ["claims.csv"]}, {"confidence": 0.95}, target="all",
    )  # fmt: skip
