"""The records of one run as a graph: which call made a file, from which files.

A file of a run is named from the run's folder (`fidelity/summary.csv`), any other file from the working
folder with a leading `./` (`./workflow/claims.yaml`). Records that were copied with the tables to
results/reference/<run>/ therefore give the same names. Must not: read a table, or judge.
"""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from fispace.errors import ArtifactError, ParamsError
from fispace.provenance.records import FOLDER, RESULTS, Record, read_record, record_from
from fispace.store.files import parse_json

REFERENCE = "reference"
COPIED = "records.jsonl"
"""File in the folder of a reference run: the records of the run, one per line."""
PLACE = "place"
"""Key in a line of `COPIED`: path of the record from the run's folder."""
OUTSIDE = "./"
ANY_RUN = "results/run"
"""Stands for the folder of the run, wherever it is."""
IN_NAMES = re.compile(r"(?:^|[/.])(seed|world|shard)[-]?(\d+)(?=[/.-])")
"""Facts that a path states, such as the seed in `seed3.parquet`."""


@dataclass(frozen=True)
class Run:
    """The records of one run, by the files that their calls wrote."""

    folder: Path
    makers: Mapping[str, Record]
    damaged: Mapping[str, str]
    """Why a record is not readable, by the folder of the files that it is about."""
    _inputs: dict[Path, dict[str, list[str]]] = field(default_factory=dict, compare=False)
    _bases: dict[Path, str] = field(default_factory=dict, compare=False)

    def path(self, name: str) -> Path:
        """Path of a file."""
        return Path(name) if name.startswith(OUTSIDE) else self.folder / name

    def name(self, record: Record, relative: str) -> str:
        """Name of a file whose path the record gives relative to its own folder."""
        if record.path not in self._bases:
            base = record.base.relative_to(self.folder).as_posix()
            self._bases[record.path] = posixpath.join(ANY_RUN, base)
        path = posixpath.normpath(f"{self._bases[record.path]}/{relative}")
        is_inside = path.startswith(f"{ANY_RUN}/")
        return path.removeprefix(f"{ANY_RUN}/") if is_inside else OUTSIDE + path

    def inputs(self, record: Record) -> dict[str, list[str]]:
        """Files that the call read, by option; all under `inputs` if the record names no options."""
        if record.path not in self._inputs:
            self._inputs[record.path] = self._named_inputs(record)
        return self._inputs[record.path]

    def _named_inputs(self, record: Record) -> dict[str, list[str]]:
        known = {self.name(record, name) for name in record.inputs}
        if not record.files:
            return {"inputs": sorted(known)} if known else {}
        named = {
            option: [self.name(record, name) for name in names]
            for option, names in record.files.items()
        }
        read = {option: [n for n in names if n in known] for option, names in named.items()}
        return {option: names for option, names in read.items() if names}

    def written(self, record: Record) -> list[str]:
        """Files that the call wrote."""
        return [self.name(record, name) for name in record.outputs]

    def outputs(self, record: Record) -> dict[str, str]:
        """Option under which each file was written; empty if the record names no options."""
        written = self.written(record)
        return {
            name: option
            for option, names in record.files.items()
            for name in (self.name(record, relative) for relative in names)
            if name in written
        }

    def sha256(self, record: Record, name: str) -> str:
        """The hash in the record of a file that it read or wrote; empty if unknown."""
        both = {**record.inputs, **record.outputs}
        return next((sha for key, sha in both.items() if self.name(record, key) == name), "")

    def damage(self, name: str) -> str | None:
        """What is wrong with a record that might be about this file."""
        folders = [parent.as_posix() for parent in PurePosixPath(name).parents]
        return next((self.damaged[folder] for folder in folders if folder in self.damaged), None)

    def facts(self, name: str) -> dict[str, str]:
        """Facts about a file from its name and the options of its call: arm, seed, ..."""
        found = {key: value for key, value in IN_NAMES.findall(name)}
        maker = self.makers.get(name)
        options = {} if maker is None else maker.options
        return found | {key: str(value) for key, value in options.items()}


def locate(path: Path) -> tuple[Path, str]:
    """Folder of the run that a file belongs to, and the file's name in it.

    Raises:
        ParamsError: if the path is not a file of a run below results/.
    """
    root = RESULTS.resolve()
    whole = path.resolve()
    if not whole.is_relative_to(root):
        raise ParamsError(
            f"explain {path}: not below {RESULTS}/; only files that the workflow made are explained."
        )
    parts = whole.relative_to(root).parts
    n_folders = 2 if parts[:1] == (REFERENCE,) else 1
    if len(parts) <= n_folders or not whole.is_file():
        near = sorted(one.name for one in whole.parent.glob(f"*{whole.suffix}"))[:8]
        raise ParamsError(
            f"explain {path}: there is no such file in a run below {RESULTS}/. "
            f"{'Beside it: ' + ', '.join(near) + '. ' if near else ''}"
            f"A run that was not made here has its tables in {RESULTS}/{REFERENCE}/<run>/."
        )
    folder = RESULTS.joinpath(*parts[:n_folders])
    return folder, "/".join(parts[n_folders:])


def read_run(folder: Path) -> Run:
    """All records of the run in a folder; unreadable ones are listed in `damaged`.

    Raises:
        ArtifactError: if the file of copied records is damaged.
    """
    copied = folder / COPIED
    damaged: dict[str, str] = {}
    records: list[Record] = []
    if copied.is_file():
        records = [_copied_record(folder, line, copied) for line in _lines(copied)]
    else:
        for path in sorted(folder.rglob(f"{FOLDER}/*.json")):
            try:
                records.append(read_record(path))
            except ArtifactError as error:
                damaged[path.parent.parent.relative_to(folder).as_posix()] = str(error)
    run = Run(folder, {}, damaged)
    makers = {run.name(record, name): record for record in records for name in record.outputs}
    return Run(folder, makers, damaged)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise ArtifactError(_no_copy(path)) from None


def _copied_record(folder: Path, line: str, where: Path) -> Record:
    try:
        content: Any = parse_json(line)
        place = PurePosixPath(content.pop(PLACE))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ArtifactError(_no_copy(where)) from None
    if place.is_absolute() or ".." in place.parts:
        raise ArtifactError(_no_copy(where))
    return record_from(content, folder / place)


def _no_copy(path: Path) -> str:
    return (
        f"{path} does not hold one record per line, as `make reference` writes them: it was altered. "
        "Restore it from git."
    )
