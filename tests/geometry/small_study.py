"""A store of random activations and a checkpoint on it, small enough for a test."""

from pathlib import Path

import numpy as np
import torch
from train.records import record_of

from fispace.models.integrated import IntegratedModel
from fispace.models.trained import initial_model
from fispace.seeds import numpy_stream, torch_stream
from fispace.store.checkpoint import save_checkpoint
from fispace.store.files import sha256_of, write_json
from fispace.store.shards import activation_table, shard_name, write_shard
from fispace.store.standardiser import Standardiser
from fispace.study.config.geometry import GeometryArmStep

D_MODEL, N_LATENTS, K, D_EMBED = 16, 48, 4, 6
PARAMS = GeometryArmStep(
    group_threshold=0.2, spectrum_first_share=0.5, spectrum_target=0.9, gram_pairs=500,
    top_share=0.125, functional_latents=48, batch_tokens=50, n_published_batches=2, root_seed=0,
    threads=1, device="cpu",
)  # fmt: skip


def write_store(folder: Path, n_tokens: int) -> tuple[Path, Path]:
    """Manifest and standardiser of a store with one test shard."""
    x = numpy_stream(0, "tests", "activations").standard_normal((n_tokens, D_MODEL))
    columns = {"is_special": np.zeros(n_tokens, bool), "token_id": np.zeros(n_tokens, np.int32)}
    shard = folder / shard_name("test", 1, 1)
    write_shard(shard, activation_table(x.astype(np.float32), columns, "float32"), 128, {})
    entry = {"file": shard.name, "n_rows": n_tokens, "n_special": 0, "sha256": sha256_of(shard)}
    write_json(folder / "manifest.json", {"d_model": D_MODEL, "shards": {"test": [entry]}})
    Standardiser(torch.zeros(D_MODEL), torch.ones(D_MODEL)).save(folder / "standardiser", {})
    return folder / "manifest.json", folder / "standardiser"


def write_checkpoint(
    path: Path, arm: str, parts: list[str], manifest: Path, standardiser: Path, change: float,
    **row: str,
) -> IntegratedModel:  # fmt: skip
    """Initial weights with random changes of scale `change`, and the record of a real training."""
    record = record_of(
        arm, {"parts": parts, **row}, D_MODEL, manifest, standardiser,
        n_latents=N_LATENTS, k=K, d_embed=D_EMBED, dropout=0.1, root_seed=0,
    )  # fmt: skip
    model = initial_model(record)
    stream = torch_stream(0, "tests", "change")
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(change * torch.randn(weight.shape, generator=stream))
    save_checkpoint(path, model.state_dict(), record.plain())
    return model
