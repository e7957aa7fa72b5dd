"""Tensors with one JSON record beside them, as safetensors.

Must not: pickle, or use more than one metadata key (their order is random in the file).
"""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fispace.errors import ArtifactError
from fispace.store.files import atomic_path, canonical_json
from fispace.store.tables import RECIPE_KEY

KEY = RECIPE_KEY.decode()


def save_tensors(path: Path, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
    """Write tensors and their record atomically; equal content gives equal bytes."""
    with atomic_path(path) as partial:
        save_file(
            {name: tensor.detach().contiguous() for name, tensor in sorted(tensors.items())},
            partial,
            metadata={KEY: canonical_json(record)},
        )


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and record of a file written by `save_tensors`.

    Raises:
        ArtifactError: if the file is missing, damaged, or carries no record.
    """
    if not path.exists():
        raise ArtifactError(f"{path} does not exist; run the rule that makes it.")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            record = json.loads((file.metadata() or {})[KEY])
    except (SafetensorError, KeyError, json.JSONDecodeError, OSError) as error:
        raise ArtifactError(
            f"{path} is not readable as tensors of this workflow ({error}). It is truncated or was "
            "altered; delete it and run the workflow again."
        ) from None
    return tensors, record
