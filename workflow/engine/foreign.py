"""Results that Snakemake knows nothing of: pulled, checked out or copied from elsewhere.

Snakemake sees a change of parameters or code only through its records in `.snakemake/metadata`. A
result without one, or with that of another version, is *foreign*: nothing tells whether it is current.
Must not: change a file.
"""

import base64
import json
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

IN_SYNC = "FISPACE_IN_SYNC"
"""Set for the Snakemake calls of workflow/sync.py: they are the cure, the guard would stop them."""

RECORDS = Path(".snakemake")
CLOCK_SLACK_SECONDS = 1.0  # a record keeps its output's own mtime; file systems round it
RECORD_NAME_CHARS = 254  # Snakemake splits longer names into folders


def files_below(folders: Iterable[Path]) -> Iterator[Path]:
    """Result files of the folders, sorted; hidden ones (unfinished writes) left out."""
    for folder in folders:
        paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
        yield from (p for p in paths if not any(part.startswith(".") for part in p.parts))


def foreign_files(folders: Iterable[Path]) -> list[Path]:
    """Files that no finished or running job of this working folder wrote as they are now."""
    return [path for path in files_below(folders) if is_foreign(path)]


def foreign_message(run: str, config: Mapping[str, Any]) -> str | None:
    """Why Snakemake must not start on the run's results, or None if it may.

    `config` are the values of the command line, with which the cure must be called as well.
    """
    found = [] if IN_SYNC in os.environ else foreign_files([Path("results", run)])
    if not found:
        return None
    return (
        f"{len(found)} result files, e.g. {found[0]}, were not written by this workflow in this "
        "folder (dvc pull, dvc checkout, a copy?), so it cannot tell whether they are current. "
        f"`{sync_command(config)}` accepts those whose records prove it; or delete results/{run} to "
        "compute everything again."
    )


def sync_command(config: Mapping[str, Any]) -> str:
    """The call of workflow/sync.py for the study with these values of the command line."""
    words = [f"{key}={_text(value)}" for key, value in config.items()]
    return shlex.join(["python", "workflow/sync.py", *(["--config", *words] if words else [])])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def is_foreign(path: Path) -> bool:
    """Whether no finished or running job of this working folder wrote the file as it is now."""
    if record_of("incomplete", path).exists():
        return False  # a job is writing it, or was killed: Snakemake makes it again
    try:
        ended = json.loads(record_of("metadata", path).read_text(encoding="utf-8"))["endtime"]
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return True
    return abs(path.stat().st_mtime - ended) > CLOCK_SLACK_SECONDS


def record_of(kind: str, path: Path) -> Path:
    """Where Snakemake keeps what it knows about an output."""
    name = base64.urlsafe_b64encode(path.as_posix().encode()).decode()
    pieces = [name[i : i + RECORD_NAME_CHARS] for i in range(0, len(name), RECORD_NAME_CHARS)]
    return RECORDS.joinpath(kind, *(f"@{piece}" for piece in pieces[:-1]), pieces[-1])
