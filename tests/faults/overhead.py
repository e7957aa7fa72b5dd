"""What the guarantees cost: `make overhead`, or `python -m faults.overhead --study FOLDER` in tests/.

Repeats every job of a finished study, one after the other, on copies; prints the share of all seconds
that go into hashes, records, fsync and checkpoints, and into the hashes of inputs that Snakemake takes
when a job has ended. FOLDER is a working copy in which Snakemake has made the study; it is left as it is.
Must not: judge.
"""

import argparse
import hashlib
import json
import logging
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from faults.jobs import Job, Running, discard, jobs_of, timed, without
from workflow.conftest import Folder

log = logging.getLogger("faults.overhead")
TESTS = Path(__file__).parents[1]


def main() -> int:
    """Time the jobs; returns the exit code."""
    logging.basicConfig(format="%(message)s", stream=sys.stdout, level=logging.INFO)
    parser = argparse.ArgumentParser(prog="python -m faults.overhead", description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="working copy, study finished")
    study = Folder(parser.parse_args().study.resolve())
    total, spent = 0.0, dict[str, float]()
    # beside the study: copies share its files by hard links
    with tempfile.TemporaryDirectory(dir=study.path.parent) as place:
        for number, job in enumerate(jobs_of(study)):
            seconds, of_job = time_job(study, job, Path(place) / str(number))
            total += seconds
            spent = {kind: spent.get(kind, 0.0) + of_job[kind] for kind in of_job}
            log.info("%8.2f s %7.3f s  %s", seconds, sum(of_job.values()), job.name)
    spent["snakemake"] = seconds_of_snakemake(study)
    total += spent["snakemake"]
    for kind, seconds in spent.items():
        log.info("%-12s %8.2f s  %5.2f %%", kind, seconds, 100 * seconds / total)
    log.info("all          %8.2f s  %5.2f %% of %.0f s", sum(spent.values()),
             100 * sum(spent.values()) / total, total)  # fmt: skip
    return 0


def time_job(study: Folder, job: Job, path: Path) -> tuple[float, dict[str, float]]:
    """Seconds of a job in all, and in each guarantee."""
    folder, found = without(study, job, path), path / "seconds.json"
    words = [sys.executable, "-m", "faults.timed_job", str(found), *job.arguments]
    source = {"PYTHONPATH": os.pathsep.join([str(path / "src"), str(TESTS)])}
    ended, seconds = timed(Running(folder, words, folder.env(**source)))
    assert ended.code == 0, ended.said[-2000:]
    spent = json.loads(found.read_text(encoding="utf-8"))
    discard(path)
    return seconds, spent


def seconds_of_snakemake(study: Folder) -> float:
    """Seconds for hashing every input of a job once for each of its outputs, as Snakemake's records say."""
    counts = Counter[Path]()
    for path in (study.path / ".snakemake/metadata").rglob("*"):
        if path.is_file():
            record = json.loads(path.read_text(encoding="utf-8"))
            counts.update(study.path / name for name in record.get("input_checksums") or {})
    return sum(number * _seconds_of_hash(path) for path, number in counts.items())


def _seconds_of_hash(path: Path) -> float:
    begin = time.perf_counter()
    with path.open("rb") as stream:
        hashlib.file_digest(stream, "sha256")
    return time.perf_counter() - begin


if __name__ == "__main__":
    sys.exit(main())
