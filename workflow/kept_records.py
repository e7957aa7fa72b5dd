"""Records of a run beside the tables that git keeps of it: one file, a record a line.

`fispace explain` follows the numbers of results/reference/<run>/ by them. They hold no clock, host or
folder of a machine. Must not: make a record that no command, or plan of the workflow, states.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from fispace.provenance.lineage import COPIED, PLACE
from fispace.provenance.records import FOLDER, read_record
from fispace.store.files import parse_json, read_json, sha256_of, write_text

Kept = dict[str, Any]
"""A record as JSON has it, with its place from the run's folder."""


def records_of(folder: Path) -> Iterator[Kept]:
    """Every record below the folder of a run.

    Raises:
        ArtifactError: if one is damaged.
    """
    for path in sorted(folder.rglob(f"{FOLDER}/*.json")):
        read_record(path)
        yield {PLACE: path.relative_to(folder).as_posix(), **read_json(path)}


def write_kept(folder: Path, records: Iterable[Kept]) -> None:
    """Write the records into the folder of a reference run, in the order of their places."""
    ordered = sorted(records, key=lambda record: record[PLACE])
    lines = (json.dumps(record, sort_keys=True, ensure_ascii=False) for record in ordered)
    write_text(folder / COPIED, "".join(f"{line}\n" for line in lines))


def read_kept(folder: Path) -> list[Kept]:
    """The records of a reference run."""
    return [parse_json(line) for line in (folder / COPIED).read_text(encoding="utf-8").splitlines()]


def renewed(folder: Path, records: Iterable[Kept]) -> list[Kept]:
    """The records with the hashes of the files that are kept in the folder as they are now.

    A call whose file is another than it recorded was made again without its record: the digest of its
    code and its versions are no longer known, and stand empty.
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
