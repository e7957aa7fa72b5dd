"""Trained arms with random weights, and a run's folder that holds one."""

from pathlib import Path
from typing import Any

import torch
from train.records import record_of

from fispace.models.integrated import IntegratedModel
from fispace.models.sparse import Codes
from fispace.models.trained import Trained, initial_model
from fispace.store.checkpoint import save_checkpoint
from fispace.store.files import write_json
from fispace.store.standardiser import Standardiser

D_MODEL, N_LATENTS, K, D_EMBED = 12, 40, 5, 4
ARMS: dict[str, dict[str, Any]] = {
    "sae": {"parts": ["sae"]},
    "sae_bias": {"parts": ["sae", "bias"]},
    "joint": {"parts": ["sae", "linear", "bias", "interaction"]},
    "joint_no_linear": {"parts": ["sae", "bias", "interaction"]},
    "first_order": {"parts": ["sae", "linear", "bias", "interaction"], "pooling": "sum"},
    "two_saes": {"parts": ["sae", "bias", "residual_sae"], "frozen_sae_from": "sae"},
}
MANIFEST = {
    "d_model": D_MODEL, "hook_point": 3, "hook_path": "model.layers.3", "add_bos": True,
    "window_tokens": 64, "model": {"model.safetensors": "aa", "config.json": "bb"},
    "shards": {},
}  # fmt: skip


def units() -> Standardiser:
    """Dimensions of very different means and spreads."""
    stream = torch.Generator().manual_seed(1)
    mean = 4 * torch.randn(D_MODEL, generator=stream)
    return Standardiser(mean, torch.rand(D_MODEL, generator=stream) * 3 + 0.1)


def raw_tokens(n_tokens: int = 200) -> torch.Tensor:
    """Activations in the LM's units."""
    stream = torch.Generator().manual_seed(2)
    return units().restore(torch.randn(n_tokens, D_MODEL, generator=stream))


class SmallRun:
    """Below `folder`: results/small with an extraction and one trained arm."""

    def __init__(self, folder: Path, arm: str, **params: Any) -> None:
        self.extract, self.arm = folder / "results/small/extract", arm
        write_json(self.manifest, MANIFEST)
        units().save(self.standardiser, {})
        record = record_of(
            arm, ARMS[arm], D_MODEL, self.manifest, self.standardiser,
            n_latents=N_LATENTS, k=K, d_embed=D_EMBED, dropout=0.0, **params,
        )  # fmt: skip
        model = initial_model(record)
        stream = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for weight in model.state_dict().values():
                weight.add_(0.3 * torch.randn(weight.shape, generator=stream))
        self.trained = Trained(model.eval().requires_grad_(False), record)
        self.weights = folder / f"results/small/train/{arm}/seed0.safetensors"
        save_checkpoint(self.weights, model.state_dict(), record.plain())

    @property
    def manifest(self) -> Path:
        return self.extract / "manifest.json"

    @property
    def standardiser(self) -> Path:
        return self.extract / "standardiser.safetensors"

    @property
    def model(self) -> IntegratedModel:
        return self.trained.model


def dense(codes: Codes, n_latents: int) -> torch.Tensor:
    """[tokens n_latents] codes with their zeros."""
    rows = torch.zeros(len(codes.values), n_latents)
    return rows.scatter(1, codes.indices, codes.values)
