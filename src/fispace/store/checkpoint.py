"""Trained models as safetensors that carry their configuration.

Must not: build a model; it returns tensors and the record they were trained under.
"""

from pathlib import Path
from typing import Any

from torch import Tensor

from fispace.errors import ArtifactMismatchError
from fispace.store.tensors import load_tensors, save_tensors


def save_checkpoint(path: Path, weights: dict[str, Tensor], record: dict[str, Any]) -> None:
    """Write the weights with the record of their training (arm, seed, configuration, inputs)."""
    save_tensors(path, weights, record)


def load_checkpoint(
    path: Path, expected: dict[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights and record of a checkpoint whose record agrees with `expected` key by key.

    Raises:
        ArtifactError: if the file is missing or damaged.
        ArtifactMismatchError: if the record says otherwise than `expected`; the message names the key.
    """
    weights, record = load_tensors(path)
    for key, value in expected.items():
        if record.get(key) != value:
            raise ArtifactMismatchError(
                f"{path} does not match its use: {key} is {record.get(key)!r} in the checkpoint and "
                f"{value!r} here. It belongs to other parameters or another store; run the rule that "
                "trains it again."
            )
    return weights, record
