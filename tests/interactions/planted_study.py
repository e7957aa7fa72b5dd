"""A store of activations in which the truth about every pair is known, and SAEs that hold its features."""

from pathlib import Path

import numpy as np
import torch
from train.records import record_of

from fispace.models.trained import initial_model
from fispace.seeds import numpy_stream
from fispace.store.checkpoint import save_checkpoint
from fispace.store.files import sha256_of, write_json
from fispace.store.shards import activation_table, shard_name, write_shard
from fispace.store.standardiser import Standardiser
from fispace.study.config.interactions import InteractionsPairsStep

D_MODEL, N_FEATURES, K = 32, 24, 12
N_TOKENS, PER_DOCUMENT, FIRING, NOISE = 16000, 20, 0.15, 0.05
PRODUCT_PAIR, CONSTANT_PAIR, BENT = (0, 1), (2, 3), 4
"""A product of two features; a direction that is there whenever two features are; a square of one."""
PARAMS = InteractionsPairsStep.read(
    {
        "arm": "sae", "split": "train", "max_tokens": N_TOKENS, "refit": True, "pursue": False,
        "max_cosine": 0.75,
        "min_cofirings": 50, "n_blocks": 32, "own_terms": {"max_steps": 40, "tolerance": 1e-3},
        "tail": {"begin": 0.9, "end": 0.99, "shape": 0.1}, "fdr": 0.1, "min_reliability": 0.5,
        "max_overlap": 0.8,
        "conjunction": {"n_candidates": 6, "presence": 0.25, "min_lift": 5, "min_ratio": 0.33},
        "threads": 1, "device": "cpu",
    },
    "",
)  # fmt: skip


def directions() -> np.ndarray:
    """Orthonormal rows: first those of the features, then those of the effects."""
    stream = numpy_stream(0, "tests", "directions")
    return np.linalg.qr(stream.standard_normal((D_MODEL, D_MODEL)))[0].T


def write_store(folder: Path, strength: float = 0.3) -> tuple[Path, Path]:
    """Manifest and standardiser of a store with one train shard."""
    stream = numpy_stream(0, "tests", "activations")
    shape = (N_TOKENS, N_FEATURES)
    features = (stream.random(shape) < FIRING) * stream.uniform(0.5, 1.5, shape)
    rows = directions()
    x = features @ rows[:N_FEATURES] + NOISE * stream.standard_normal((N_TOKENS, D_MODEL))
    product = features[:, 0] * features[:, 1]
    both = (features[:, 2] > 0) & (features[:, 3] > 0)
    square = features[:, BENT] ** 2
    for effect, row in zip((product, both, square), rows[N_FEATURES:], strict=False):
        x += strength * effect[:, None] * row
    tokens = np.arange(N_TOKENS)
    columns = {
        "is_special": tokens % PER_DOCUMENT == 0,
        "token_id": (tokens % 50).astype(np.int32),
        "document_id": tokens // PER_DOCUMENT,
        "window_id": tokens // PER_DOCUMENT,
        "position": (tokens % PER_DOCUMENT).astype(np.int32),
    }
    shard = folder / shard_name("train", 1, 1)
    write_shard(shard, activation_table(x.astype(np.float32), columns, "float32"), 4096, {})
    n_special = int(columns["is_special"].sum())
    entry = {
        "file": shard.name, "n_rows": N_TOKENS, "n_special": n_special, "sha256": sha256_of(shard),
    }  # fmt: skip
    write_json(folder / "manifest.json", {"d_model": D_MODEL, "shards": {"train": [entry]}})
    Standardiser(torch.zeros(D_MODEL), torch.ones(D_MODEL)).save(folder / "standardiser", {})
    return folder / "manifest.json", folder / "standardiser"


def write_sae(path: Path, seed: int, order: np.ndarray, manifest: Path, standardiser: Path) -> None:
    """A checkpoint whose latent i is the feature `order[i]`; it misses a quarter of every magnitude."""
    record = record_of(
        "sae", {"parts": ["sae"]}, D_MODEL, manifest, standardiser,
        n_latents=N_FEATURES, k=K, root_seed=0,
    ).model_copy(update={"seed": seed})  # fmt: skip
    model = initial_model(record)
    rows = torch.from_numpy(directions()[order]).float()
    with torch.no_grad():
        model.sae.W_enc.copy_(rows)
        model.sae.W_dec.copy_(rows)
        model.sae.b_enc.fill_(-0.25)
    save_checkpoint(path, model.state_dict(), record.plain())
