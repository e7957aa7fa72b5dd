"""Safetensors files that hold tensors and one JSON record.

Must not: pickle, or use more than one metadata key, since their order in the file is random.
"""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fispace.errors import ArtifactError, NonFiniteError
from fispace.store.files import atomic_path, canonical_json, parse_json, require_memory
from fispace.store.tables import RECIPE_KEY

RECORD_KEY = RECIPE_KEY.decode()


def save_tensors(path: Path, tensors: dict[str, Tensor], record: dict[str, Any]) -> None:
    """Write tensors and their record atomically; equal content gives equal bytes."""
    plain = {name: tensor.detach().contiguous() for name, tensor in sorted(tensors.items())}
    with atomic_path(path) as partial:
        try:
            save_file(plain, partial, metadata={RECORD_KEY: canonical_json(record)})
        except SafetensorError as error:  # a full disk, as the library words it
            raise ArtifactError(f"{path} cannot be written: {error}.") from None


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and record of a file written by `save_tensors`.

    Raises:
        ArtifactError: if the file is missing, damaged, or carries no record.
        NonFiniteError: if a tensor holds a NaN or an infinity.
    """
    if not path.exists():
        raise ArtifactError(f"{path} does not exist; run the rule that makes it.")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            record = parse_json((file.metadata() or {})[RECORD_KEY])
    except (SafetensorError, KeyError, ValueError, OSError, AttributeError) as error:
        require_memory(error)
        raise ArtifactError(
            f"{path} is not readable as tensors of this workflow ({error}). It is truncated or was "
            "altered; delete it and run the workflow again."
        ) from None
    if not isinstance(record, dict):
        raise ArtifactError(f"{path}: its record is damaged; delete it and run the workflow again.")
    _require_finite(path, tensors)
    return tensors, record


def _require_finite(path: Path, tensors: dict[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise NonFiniteError(
                f"{path}: the tensor {name!r} holds a NaN or an infinity. The file was altered, or "
                "its training went wrong unnoticed; delete it and run the workflow again."
            )
