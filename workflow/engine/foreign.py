"""Results whose state Snakemake cannot tell: foreign files, and files from the future.

Snakemake sees a change of parameters or code only through its records in `.snakemake/metadata`. A
result without such a record, or with the record of another version, was pulled, checked out or copied
from elsewhere. It is *foreign*: Snakemake cannot tell whether it is current.

Snakemake also refuses every job that reads a file from the future, as after a clock was set back. Whether
a file is current depends on content, parameters and code, so such a file is given the present time, and
its record too. Must not: change the content of a file, or touch a foreign file.
"""

import base64
import json
import os
import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

IN_SYNC = "FISPACE_IN_SYNC"
"""Set for the Snakemake calls of workflow/sync.py, so that this check does not stop them."""

RECORDS = Path(".snakemake")
CLOCK_SLACK_SECONDS = 1.0  # a record keeps its output's own mtime; file systems round it
RECORD_NAME_CHARS = 254  # Snakemake splits longer names into folders
READ_BY_RULES = (Path("workflow"), Path("data"))


def files_below(folders: Iterable[Path]) -> Iterator[Path]:
    """Files of the folders without hidden ones, which are unfinished; sorted."""
    for folder in folders:
        paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
        yield from (p for p in paths if not any(part.startswith(".") for part in p.parts))


def foreign_files(folders: Iterable[Path]) -> list[Path]:
    """Files that no finished or running job of this working folder wrote as they are now."""
    return [path for path in files_below(folders) if is_foreign(path)]


def foreign_message(run: str, config: Mapping[str, Any]) -> str | None:
    """Why Snakemake must not start on the run's results; None if it may.

    `config` are the values of the command line; the message repeats them in the command that helps.
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
    """The call of workflow/sync.py with these values of the command line."""
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
    """Where Snakemake keeps its record of an output; `kind` is `metadata` or `incomplete`."""
    name = base64.urlsafe_b64encode(path.as_posix().encode()).decode()
    pieces = [name[i : i + RECORD_NAME_CHARS] for i in range(0, len(name), RECORD_NAME_CHARS)]
    return RECORDS.joinpath(kind, *(f"@{piece}" for piece in pieces[:-1]), pieces[-1])


def bring_to_now(run: str) -> None:
    """Give the present time to results and sources of the run that are from the future."""
    now = time.time()
    results = [path for path in files_below([Path("results", run)]) if _is_ahead(path, now)]
    own = [path for path in results if not is_foreign(path)]
    for path in own:
        _bring_record(record_of("metadata", path), now)
    sources = [path for path in files_below(READ_BY_RULES) if _is_ahead(path, now)]
    for path in (*own, *sources):
        os.utime(path, (now, now))
    if own or sources:
        first = (*own, *sources)[0]
        sys.stderr.write(
            f"{len(own) + len(sources)} files, e.g. {first}, were from the future (a clock set back?) "
            "and have been given the present time\n"
        )


def _is_ahead(path: Path, now: float) -> bool:
    return path.stat().st_mtime > now + CLOCK_SLACK_SECONDS


def _bring_record(record: Path, now: float) -> None:
    """Move the times in Snakemake's record of a job to the present."""
    if record.is_file():  # not of a job that was killed
        content = json.loads(record.read_text(encoding="utf-8"))
        times = {"starttime": min(content["starttime"], now), "endtime": now}
        record.write_text(json.dumps(content | times), encoding="utf-8")
