"""The records of a run as one file, one record per line, beside the tables that git keeps of the run.

`fispace explain` needs them to follow the numbers of results/reference/<run>/. They hold no time, host
or folder of a machine. Must not: make a record that no command wrote.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from fispace.provenance.lineage import COPIED, PLACE
from fispace.provenance.records import FOLDER, read_record
from fispace.store.files import parse_json, read_json, sha256_of, write_text

Kept = dict[str, Any]
"""A record as JSON holds it, with its path from the run's folder."""


def records_of(folder: Path) -> Iterator[Kept]:
    """Every record below the folder of a run.

    Raises:
        ArtifactError: if one is damaged.
    """
    for path in sorted(folder.rglob(f"{FOLDER}/*.json")):
        read_record(path)
        yield {PLACE: path.relative_to(folder).as_posix(), **read_json(path)}


def write_kept(folder: Path, records: Iterable[Kept]) -> None:
    """Write the records into the folder of a reference run, in order of their paths."""
    ordered = sorted(records, key=lambda record: record[PLACE])
    lines = (json.dumps(record, sort_keys=True, ensure_ascii=False) for record in ordered)
    write_text(folder / COPIED, "".join(f"{line}\n" for line in lines))


def read_kept(folder: Path) -> list[Kept]:
    """The records of a reference run."""
    return [parse_json(line) for line in (folder / COPIED).read_text(encoding="utf-8").splitlines()]


def renewed(folder: Path, records: Iterable[Kept]) -> list[Kept]:
    """The records with the present hashes of the files that the folder keeps.

    A file that differs from its record was made again without a record. The digest of its code and its
    versions are then unknown, and are left empty.
    """
    return [_renewed(folder, record) for record in records]


def _renewed(folder: Path, record: Kept) -> Kept:
    base = folder / PurePosixPath(record[PLACE]).parent.parent
    now = {name: sha256_of(base / name) for name in record["outputs"] if (base / name).is_file()}
    if all(record["outputs"][name] == sha for name, sha in now.items()):
        return record
    inputs = {
        name: sha256_of(base / name) if (base / name).is_file() else sha
        for name, sha in record["inputs"].items()
    }
    outputs = {**dict.fromkeys(record["outputs"], ""), **now}
    return {**record, "inputs": inputs, "outputs": outputs, "code": "", "versions": {}}
