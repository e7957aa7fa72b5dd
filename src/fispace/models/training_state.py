"""The state that an interrupted training needs to continue exactly, kept in one file while it runs.

The state holds weights, optimiser, random state and counts. The position in the data follows from the
number of steps. The clock decides when to save and nothing else. Must not: change a number of the training.
"""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from fispace.devices import device_label, random_states, set_random_states
from fispace.errors import ArtifactError, ArtifactMismatchError, FispaceError, NonFiniteError
from fispace.models.optimiser import Adam
from fispace.provenance.code_digest import code_digest
from fispace.store.files import fingerprint
from fispace.store.tensors import load_tensors, save_tensors

log = logging.getLogger(__name__)

FILE = "training.safetensors"
CHECKSUM, IDENTITY, PROGRESS = "checksum", "identity", "progress"


@runtime_checkable
class Remembers(Protocol):
    """Something other than model and optimiser that a training changes."""

    def tensors(self) -> dict[str, Tensor]:
        """Its state by name."""
        ...

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Set its state from `tensors`."""
        ...


def surroundings(module: str, device: torch.device) -> dict[str, Any]:
    """What a training's numbers depend on besides its record: code of `module`, versions, processor, card."""
    return {
        "device": device_label(device),
        "code": code_digest(module),
        "versions": [str(torch.__version__), np.__version__],
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }


class CurveRow(NamedTuple):
    """One logged step of a training."""

    step: int
    n_tokens: int
    lr: float
    train_fvu: float
    """FVU of the batches since the last row, each centred on its own mean."""
    val_fvu: float | None


@dataclass
class Progress:
    """Counts and sums of a running training."""

    n_steps: int = 0
    n_tokens: int = 0
    error: float = 0.0
    """Sum of the batches' mean squared errors since the last row of the curve."""
    variance: float = 0.0
    """Sum of the batches' variances since the last row of the curve."""
    curve: list[CurveRow] = field(default_factory=list[CurveRow])

    def add(self, n_tokens: int, error: float, variance: float) -> None:
        """Count one step."""
        self.n_steps += 1
        self.n_tokens += n_tokens
        self.error += error
        self.variance += variance

    def log(self, lr: float, val_fvu: float | None) -> None:
        """Add a row to the curve and start the next."""
        train_fvu = self.error / self.variance
        self.curve.append(CurveRow(self.n_steps, self.n_tokens, lr, train_fvu, val_fvu))
        self.error = self.variance = 0.0

    def as_json(self) -> dict[str, Any]:
        """The progress as JSON values; floats keep every bit."""
        return asdict(self) | {"curve": [list(row) for row in self.curve]}

    def set_from_json(self, values: dict[str, Any]) -> None:
        """Set the progress from what `as_json` returned.

        Raises:
            KeyError, TypeError: if the values are not of that form.
        """
        self.n_steps, self.n_tokens = int(values["n_steps"]), int(values["n_tokens"])
        self.error, self.variance = float(values["error"]), float(values["variance"])
        self.curve[:] = [CurveRow(*row) for row in values["curve"]]


class Training(NamedTuple):
    """The objects that every training changes."""

    model: nn.Module
    optimiser: Adam
    progress: Progress

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.model.parameters()).device

    def live(self) -> dict[str, Tensor]:
        """Tensors by name. They alias the training's state: copying into them sets it."""
        weights = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        moments = self.optimiser.tensors()
        return weights | {f"optimiser.{name}": value for name, value in moments.items()}


class Checkpoints:
    """The file that holds the state of one training, saved at most once every `seconds`.

    Only a training with the same identity uses the file again, and only if it is intact. Any other file is
    deleted and the training starts over. An unfinished training is not a result.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], seconds: float) -> None:
        """Look for a saved state; `identity` is everything that the training's numbers depend on."""
        self.path = folder / FILE
        self._identity: dict[str, Any] = json.loads(json.dumps(identity))
        self._seconds = seconds
        self._beside: dict[str, Remembers] = {}
        self._kept = self._read()
        self._saved_at = time.monotonic()

    @property
    def n_steps(self) -> int:
        """Number of steps already taken; batches must start after them."""
        return 0 if self._kept is None else self._kept[1].n_steps

    def include(self, name: str, part: Remembers) -> None:
        """Save this part too; call it before the training starts."""
        self._beside[name] = part

    def resume(self, training: Training) -> None:
        """Set a training that has taken no step to the saved state, if there is one.

        Raises:
            ArtifactMismatchError: if the saved tensors do not fit this training.
        """
        if self._kept is None:
            return
        kept, progress = self._kept
        random = random_states(training.device)
        _copy_into(training.live() | random, kept, self.path)
        set_random_states(random, training.device)
        for name, part in self._beside.items():
            start = f"{name}."
            part.restore({k.removeprefix(start): v for k, v in kept.items() if k.startswith(start)})
        training.progress.set_from_json(progress.as_json())
        self._kept = None

    def offer(self, training: Training) -> None:
        """Save the training's state if it is time and all its numbers are finite."""
        if time.monotonic() - self._saved_at < self._seconds:
            return
        try:
            self._save(training)
        except (FispaceError, OSError) as error:  # a full disk must not stop a training
            log.warning("step %d is not kept: %s", training.progress.n_steps, error)
        self._saved_at = (
            time.monotonic()
        )  # counted from the end, so that slow saves do not take all the time

    def note_kept(self) -> None:
        """Log which file the training can continue from."""
        if self.path.exists():
            log.info("%s: the last good state of this training is kept.", self.path)

    def remove(self) -> None:
        """Delete the saved state once the results are written."""
        shutil.rmtree(self.path.parent, ignore_errors=True)

    def _save(self, training: Training) -> None:
        tensors = training.live() | random_states(training.device)
        for name, part in self._beside.items():
            tensors |= {f"{name}.{key}": value for key, value in part.tensors().items()}
        for name, tensor in tensors.items():
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                raise NonFiniteError(f"{name} holds a NaN or an infinity.")
        record = {IDENTITY: self._identity, PROGRESS: training.progress.as_json()}
        try:
            checksum = _checksum(tensors, record)
        except ValueError:  # JSON has no NaN
            raise NonFiniteError("the training curve holds a NaN or an infinity.") from None
        save_tensors(self.path, tensors, record | {CHECKSUM: checksum})

    def _read(self) -> tuple[dict[str, Tensor], Progress] | None:
        if not self.path.exists():
            return None
        try:
            tensors, record = load_tensors(self.path)
            progress = self._progress_of(tensors, record)
        except FispaceError as error:
            log.warning("starting anew: %s", error)
            self.path.unlink()
            return None
        return tensors, progress

    def _progress_of(self, tensors: dict[str, Tensor], record: dict[str, Any]) -> Progress:
        """Progress in a saved state, which must be intact and belong to this training."""
        whole = {key: value for key, value in record.items() if key != CHECKSUM}
        if record.get(CHECKSUM) != _checksum(tensors, whole):
            raise ArtifactError(f"{self.path} does not match its checksum: it was altered.")
        if record.get(IDENTITY) != self._identity:
            raise ArtifactMismatchError(
                f"{self.path} holds an unfinished training with other parameters, data, code or versions."
            )
        progress = Progress()
        try:
            progress.set_from_json(record[PROGRESS])
        except (KeyError, TypeError, ValueError):
            raise ArtifactError(
                f"{self.path} does not say how far its training had come."
            ) from None
        return progress


def _copy_into(live: dict[str, Tensor], kept: dict[str, Tensor], path: Path) -> None:
    for name, tensor in live.items():
        value = kept.get(name)
        if value is None or (value.shape, value.dtype) != (tensor.shape, tensor.dtype):
            raise ArtifactMismatchError(
                f"{path}: {name} is missing or of another size: it was altered. Delete the file; "
                "the training then starts anew."
            )
    with torch.no_grad():
        for name, tensor in live.items():
            tensor.copy_(kept[name])


def _checksum(tensors: dict[str, Tensor], record: dict[str, Any]) -> str:
    """SHA-256 over names, types, sizes and bytes of the tensors, and over the record."""
    digest = hashlib.sha256(fingerprint(record).encode())
    for name, tensor in sorted(tensors.items()):
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {plain.dtype} {tuple(plain.shape)}\n".encode())
        digest.update(plain.reshape(-1).view(torch.uint8).cpu().numpy().data)
    return digest.hexdigest()
