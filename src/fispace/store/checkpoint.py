"""Trained models as safetensors files that hold the record of their training.

Must not: build a model; tensors and record are returned.
"""

from pathlib import Path
from typing import Any

from torch import Tensor

from fispace.errors import ArtifactMismatchError
from fispace.store.activations import ActivationStore
from fispace.store.files import sha256_of
from fispace.store.tensors import load_tensors, save_tensors


def save_checkpoint(path: Path, weights: dict[str, Tensor], record: dict[str, Any]) -> None:
    """Write the weights with the record of their training (arm, seed, configuration, inputs)."""
    save_tensors(path, weights, record)


def data_record(manifest: Path, standardiser: Path) -> dict[str, Any]:
    """What identifies the activations of a training: their width, and the hashes of both files.

    Raises:
        ArtifactError: if one of them is missing, or the manifest is damaged.
    """
    return {
        "d_model": ActivationStore(manifest).d_model,
        "manifest": sha256_of(manifest),
        "standardiser": sha256_of(standardiser),
    }


def load_checkpoint(
    path: Path, expected: dict[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and record of a checkpoint whose record agrees with `expected` key by key.

    Raises:
        ArtifactError: if the file is missing or damaged.
        ArtifactMismatchError: if the record differs from `expected`, or states sizes that the weights
            do not have; the message names the key.
    """
    weights, record = load_tensors(path)
    for key, value in expected.items():
        if record.get(key) != value:
            raise ArtifactMismatchError(
                f"{path} does not match its use: {key} is {record.get(key)!r} in the checkpoint and "
                f"{value!r} here. It belongs to other parameters or another store; run the rule that "
                "trains it again."
            )
    _require_sizes(path, weights, record)
    return weights, record


def _require_sizes(path: Path, weights: dict[str, Tensor], record: dict[str, Any]) -> None:
    """Refuse a record that states other sizes than its weights have; they could exhaust memory."""
    named = record | (record["params"] if isinstance(record.get("params"), dict) else {})
    stored = {size for tensor in weights.values() for size in tensor.shape}
    has_factors = "params" not in record or any(key.startswith("interaction.") for key in weights)
    keys = [key for key in ("d_model", "n_latents", *["d_embed"] * has_factors) if key in named]
    wrong = [key for key in keys if type(named[key]) is not int or named[key] not in stored]
    n_latents, k = named.get("n_latents"), named.get("k")
    if type(k) is not int or type(n_latents) is not int or not 1 <= k <= n_latents:
        wrong.append("k")
    if wrong:
        raise ArtifactMismatchError(
            f"{path}: its record says {wrong[0]}={named.get(wrong[0])!r}, which its weights do not "
            "have. The file was altered; delete it and run the rule that trains it again."
        )
