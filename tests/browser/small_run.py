"""A store of activations with hostile text, a model on it, and what `browser data` makes of both."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from geometry.small_study import D_MODEL, N_LATENTS, write_checkpoint
from small_lms import SPECIAL, save_tokenizer
from transformers import AutoModelForCausalLM

from fispace.chapters.browser.data import write_browser
from fispace.chapters.browser.shards import RECEIVER
from fispace.lm.load import model_fingerprint
from fispace.seeds import numpy_stream
from fispace.store.files import sha256_of, write_json
from fispace.store.shards import activation_table, shard_name, write_shard
from fispace.store.standardiser import Standardiser
from fispace.study.config.browser import BrowserStep
from fispace.study.config.factorial import FactorConfig
from fispace.study.config.lm import LmConfig

JOINT = ["sae", "linear", "bias", "interaction"]
HOSTILE = [
    "</script><script>window.hacked=1</script>", "<img/src=x/onerror=window.hacked=1>", "<!--",
    "{{7*7}}", "${window.hacked=1}", "javascript:window.hacked=1", '"onclick="window.hacked=1', "&lt;b&gt;",
    "<svg/onload=window.hacked=1>", "'", "\\u003cscript\\u003e", "</style>", "]]>", "<b>bold</b>",
]  # fmt: skip
WORDS = [*HOSTILE, *(f"w{i}" for i in range(60 - len(HOSTILE)))]
N_WINDOWS, WINDOW = 24, 12
FACTORS = (
    FactorConfig(name="register", levels=("formal", "casual")),
    FactorConfig(name="affect", levels=("neutral", "emotional")),
)


def params(folder: Path, **changes: Any) -> BrowserStep:
    given: dict[str, Any] = {
        "top_contexts": 3, "quantiles": (0.0, 0.5, 1.0), "sampled_tokens": 8, "tokens_before": 3,
        "tokens_after": 2, "histogram_bins": 5, "top_tokens": 4, "nearest": 2, "pairs": 6,
        "pair_latents": 20, "pair_tokens": 100, "pair_contexts": 2, "latent_files": 4, "text_files": 3,
        "factors": FACTORS, "root_seed": 7, "threads": 1,
        "lm": LmConfig(name=str(folder), revision=None, dtype="float32", hook_point=1),
    }  # fmt: skip
    return BrowserStep(**(given | changes))


def write_lm(source: Path, folder: Path) -> Path:
    """A copy of a tiny LM whose words are hostile."""
    shutil.copytree(source, folder)
    save_tokenizer(folder, WORDS)
    return folder


def write_store(folder: Path, lm: LmConfig, row_group: int) -> tuple[Path, Path]:
    """Manifest and standardiser of windows that each begin with a special token; two windows a document."""
    model = AutoModelForCausalLM.from_pretrained(lm.name)
    stream = numpy_stream(0, "tests", "browser")
    n_rows = N_WINDOWS * WINDOW
    x = stream.standard_normal((n_rows, D_MODEL)).astype(np.float32)
    position = np.tile(np.arange(WINDOW), N_WINDOWS)
    token_ids = stream.integers(len(SPECIAL), len(SPECIAL + WORDS), n_rows)
    columns = {
        "token_id": np.where(position == 0, 1, token_ids).astype(np.int32),
        "document_id": np.repeat(np.arange(N_WINDOWS) // 2, WINDOW),
        "window_id": np.repeat(np.arange(N_WINDOWS) % 2, WINDOW),
        "position": position.astype(np.int32),
        "is_special": position == 0,
    }
    shard = folder / shard_name("test", 1, 1)
    write_shard(shard, activation_table(x, columns, "float32"), row_group, {})
    entry = {
        "file": shard.name, "n_rows": n_rows, "n_special": N_WINDOWS, "n_windows": N_WINDOWS,
        "sha256": sha256_of(shard),
    }  # fmt: skip
    write_json(
        folder / "manifest.json",
        {
            "d_model": D_MODEL, "shards": {"test": [entry]}, "hook_point": lm.hook_point,
            "hook_path": "model.layers.1", "window_tokens": WINDOW, "add_bos": True,
            "model": model_fingerprint(lm, None, model),
        },
    )  # fmt: skip
    mean = torch.linspace(-1, 1, D_MODEL)
    Standardiser(mean, torch.full((D_MODEL,), 2.0)).save(folder / "standardiser", {})
    return folder / "manifest.json", folder / "standardiser"


class SmallRun:
    """One small model, and its pages."""

    def __init__(
        self, folder: Path, lm_folder: Path, parts: list[str] = JOINT, row_group: int = 64
    ) -> None:
        self.folder, self.params = folder, params(lm_folder)
        self.manifest, self.standardiser = write_store(folder, self.params.lm, row_group)
        self.weights = folder / "seed0.safetensors"
        self.model = write_checkpoint(
            self.weights, "joint", parts, self.manifest, self.standardiser, 0.3
        )

    def browse(self, name: str = "out", **changes: Any) -> Path:
        """Write the pages; returns their folder."""
        given: dict[str, Any] = {"history": None, "geometry": None, "responses": []}
        own = {key: changes.pop(key) for key in list(changes) if key in given}
        step = BrowserStep(**{**dict(self.params), **changes})
        write_browser(
            step, run="small", arm="joint", seed=0, weights=self.weights, manifest=self.manifest,
            standardiser=self.standardiser, lm_folder=None, out=self.folder / name, **(given | own),
        )  # fmt: skip
        return self.folder / name


def read_value(folder: Path, name: str) -> Any:
    """The value in a data file, read as strictly as a browser would."""
    text = (folder / "data" / f"{name}.js").read_text(encoding="utf-8")
    begin = f"{RECEIVER}({json.dumps(name)},"
    assert text.startswith(begin) and text.endswith(");\n")
    return json.loads(text[len(begin) : -3])


def latents_of(folder: Path) -> list[dict[str, Any]]:
    """The records of all latents in order."""
    found = [one for i in range(4) for one in read_value(folder, f"latents-{i}")]
    assert len(found) == N_LATENTS
    return found


def windows_of(folder: Path) -> list[list[str]]:
    """The texts of the tokens of every window."""
    tokens = read_value(folder, "tokens")
    windows = [one for i in range(3) for one in read_value(folder, f"text-{i}")]
    return [[tokens[number] for number in names] for _, names in windows]
