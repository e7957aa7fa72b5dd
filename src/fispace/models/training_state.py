"""What an interrupted training needs to go on exactly, kept in one file while it runs.

Weights, optimiser, random state and counts; the data need only the number of steps taken. Must not:
change a number of the training: the clock decides when to save, and nothing else.
"""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from fispace.errors import ArtifactError, ArtifactMismatchError, FispaceError, NonFiniteError
from fispace.models.optimiser import Adam
from fispace.models.progress import Progress
from fispace.provenance.code_digest import code_digest
from fispace.store.files import fingerprint
from fispace.store.tensors import load_tensors, save_tensors

log = logging.getLogger(__name__)

FILE = "training.safetensors"
CHECKSUM, IDENTITY, PROGRESS, RANDOM = "checksum", "identity", "progress", "random"


@runtime_checkable
class Remembers(Protocol):
    """Something beside model and optimiser that a training changes."""

    def tensors(self) -> dict[str, Tensor]:
        """All that it remembers, by name."""
        ...

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Become what `tensors` said."""
        ...


def surroundings(module: str) -> dict[str, Any]:
    """What decides a training's numbers besides its record: code behind `module`, versions, processor."""
    return {
        "code": code_digest(module),
        "versions": [str(torch.__version__), np.__version__],
        "cpu": torch.backends.cpu.get_cpu_capability(),
    }


class Training(NamedTuple):
    """What every training changes."""

    model: nn.Module
    optimiser: Adam
    progress: Progress

    def live(self) -> dict[str, Tensor]:
        """The tensors themselves, by name: what is copied in, the training takes up."""
        weights = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        moments = self.optimiser.tensors()
        return weights | {f"optimiser.{name}": value for name, value in moments.items()}


class Checkpoints:
    """The file in which one training is kept, at most every so many seconds.

    It is used again only by a training of the same identity, and only whole: anything else is
    deleted, and the training starts anew. An unfinished training is no result.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], seconds: float) -> None:
        """Look for a kept training; `identity` is all that decides the training's numbers."""
        self.path = folder / FILE
        self._identity: dict[str, Any] = json.loads(json.dumps(identity))
        self._seconds = seconds
        self._beside: dict[str, Remembers] = {}
        self._kept = self._read()
        self._saved_at = time.monotonic()

    @property
    def n_steps(self) -> int:
        """Steps that need not be taken again; batches must be given from this one on."""
        return 0 if self._kept is None else self._kept[1].n_steps

    def include(self, name: str, part: Remembers) -> None:
        """Keep this as well; before the training starts."""
        self._beside[name] = part

    def resume(self, training: Training) -> None:
        """Bring a training that has taken no step to where the kept one was, if there is one.

        Raises:
            ArtifactMismatchError: if what is kept is not of this training after all.
        """
        if self._kept is None:
            return
        kept, progress = self._kept
        random = torch.get_rng_state()
        _copy_into(training.live() | {RANDOM: random}, kept, self.path)
        torch.set_rng_state(random)
        for name, part in self._beside.items():
            start = f"{name}."
            part.restore({k.removeprefix(start): v for k, v in kept.items() if k.startswith(start)})
        training.progress.take_up(progress.as_json())
        self._kept = None

    def offer(self, training: Training) -> None:
        """Keep the training as it is now, if it is time and all its numbers are finite."""
        if time.monotonic() - self._saved_at < self._seconds:
            return
        try:
            self._save(training)
        except (FispaceError, OSError) as error:  # a full disk stops no training
            log.warning("step %d is not kept: %s", training.progress.n_steps, error)
        self._saved_at = time.monotonic()  # so that slow saving never fills the time

    def note_kept(self) -> None:
        """Say what is there to go on from."""
        if self.path.exists():
            log.info("%s: the last good state of this training is kept.", self.path)

    def remove(self) -> None:
        """Forget the training: its results are written."""
        shutil.rmtree(self.path.parent, ignore_errors=True)

    def _save(self, training: Training) -> None:
        tensors = training.live() | {RANDOM: torch.get_rng_state()}
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
        """Progress of a kept training that is whole, and this one."""
        whole = {key: value for key, value in record.items() if key != CHECKSUM}
        if record.get(CHECKSUM) != _checksum(tensors, whole):
            raise ArtifactError(f"{self.path} does not have its own checksum: it was altered.")
        if record.get(IDENTITY) != self._identity:
            raise ArtifactMismatchError(
                f"{self.path} is an unfinished training of other parameters, data, code or versions."
            )
        progress = Progress()
        try:
            progress.take_up(record[PROGRESS])
        except (KeyError, TypeError, ValueError):
            raise ArtifactError(f"{self.path} does not say how far its training was.") from None
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
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
