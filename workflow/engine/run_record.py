"""logs/<run>/run.json and timing.html, the only files of a run that may hold time, platform and commit.

They are written when the workflow starts and when it ends. No result and no hash depends on them. Must
not: know a step.
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
from fispace.report.html_timing import JobCost, timing_page
from fispace.store.files import write_json, write_text

TIMING = "timing.html"


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
    """Add when the workflow ended, and what every job that has run so far took; the latter as a page too."""
    content = json.loads(_path(run).read_text(encoding="utf-8"))
    costs = costs_of_jobs(run)
    seconds = {cost.job: cost.seconds for cost in costs}
    write_json(_path(run), content | {"ended": _now(), "seconds": seconds})
    write_text(_path(run).with_name(TIMING), timing_page(run, costs))


def costs_of_jobs(run: str) -> list[JobCost]:
    """What each job took when it last ran, in order of their names."""
    folder = _path(run).parent
    found: list[JobCost] = []
    for path in sorted(folder.rglob("*.tsv")):
        with path.open(encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        if rows and (seconds := _number(rows[-1].get("s"))) is not None:
            name = path.relative_to(folder).with_suffix("").as_posix()
            own = (_number(rows[-1].get(column)) for column in ("cpu_time", "max_rss"))
            found.append(JobCost(name, seconds, *own))
    return found


def _number(cell: str | None) -> float | None:
    """The number in a cell; None where nothing was measured."""
    try:
        return float(cell or "")
    except ValueError:
        return None  # Snakemake writes "-" or "NA"


def _path(run: str) -> Path:
    return LOGS / run / RUN_FILE


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git(*arguments: str) -> str | None:
    """Output of a git command, or None where this is not a repository or there is no git."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
