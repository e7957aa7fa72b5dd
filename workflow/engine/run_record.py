"""logs/<run>/run.json, the only file of a run that may hold time, platform and commit.

It is written when the workflow starts and when it ends. No result and no hash depends on it. Must not:
know a step.
"""

import csv
import json
import platform
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fispace.provenance.records import versions
from fispace.provenance.verify import LOGS, RUN_FILE
from fispace.store.files import write_json


def write_started(run: str, promised: Iterable[str], config: Mapping[str, Any]) -> None:
    """Note that the workflow starts: commit, given values, versions, and the files that it promises."""
    write_json(
        _path(run),
        {
            "started": _now(),
            "ended": None,
            "commit": _git("rev-parse", "HEAD"),
            "uncommitted": _git("status", "--porcelain", "--untracked-files=no") != "",
            "config": json.loads(json.dumps(dict(config), default=str)),
            "platform": platform.platform(),
            "versions": versions(),
            "promised": sorted(promised),
        },
    )


def write_ended(run: str) -> None:
    """Add when the workflow ended, and the seconds of every job that has run so far."""
    content = json.loads(_path(run).read_text(encoding="utf-8"))
    write_json(_path(run), content | {"ended": _now(), "seconds": seconds_of_jobs(run)})


def seconds_of_jobs(run: str) -> dict[str, float]:
    """Wall-clock seconds of each job, by the name of its log."""
    folder = _path(run).parent
    found = {}
    for path in sorted(folder.rglob("*.tsv")):
        with path.open(encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        if rows and rows[-1].get("s"):
            found[path.relative_to(folder).with_suffix("").as_posix()] = float(rows[-1]["s"])
    return found


def _path(run: str) -> Path:
    return LOGS / run / RUN_FILE


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git(*arguments: str) -> str | None:
    """Output of a git command, or None where this is no repository or there is no git."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
