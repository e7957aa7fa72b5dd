"""Files from the future, as after a clock was set back: Snakemake refuses every job that reads one.

Times decide nothing here: what is current is decided by content, parameters and code. So a file from
the future is given the present time, and its record with it. Must not: touch what a file holds, or a
file that is foreign to this folder.
"""

import json
import os
import sys
import time
from pathlib import Path

from engine.foreign import CLOCK_SLACK_SECONDS, files_below, is_foreign, record_of

READ_BY_RULES = (Path("workflow"), Path("data"))


def bring_to_now(run: str) -> None:
    """Give the run's results, and what else rules read, no time that is still to come."""
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
    """Move what Snakemake noted of a job to the present."""
    if record.is_file():  # not of a job that was killed
        content = json.loads(record.read_text(encoding="utf-8"))
        times = {"starttime": min(content["starttime"], now), "endtime": now}
        record.write_text(json.dumps(content | times), encoding="utf-8")
