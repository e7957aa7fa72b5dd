"""What a crash can do to a run: `make test-faults`, or

    python -m faults --steps 200 --workflows 20 --out logs/faults     (from tests/)

Makes the tiny study once (or takes `--study FOLDER`, a working copy where it is finished), then
disturbs copies of it and compares every byte. Writes faults.csv and faults.md. Exit code 1 if
anything did not survive. No part of `make test`: it takes hours at its full counts.
"""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from faults.jobs import jobs_of
from faults.kills import kill_jobs, kill_workflows
from faults.limits import try_limits, try_two_workflows
from faults.table import Table
from workflow.conftest import Folder, tiny_folder


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--steps", type=int, required=True, help="single jobs to kill")
    parser.add_argument("--workflows", type=int, required=True, help="whole workflows to kill")
    parser.add_argument("--target", required=True, help="chapter the workflows build, or `all`")
    parser.add_argument("--only", default="", help="only jobs whose name starts so")
    parser.add_argument("--seed", type=int, required=True, help="of the random moments")
    parser.add_argument("--out", type=Path, required=True, help="folder of the table")
    parser.add_argument("--study", type=Path, help="a finished copy, to save making it")
    parser.add_argument("--limits", action=argparse.BooleanOptionalAction, default=True)
    return parser.parse_args()


def main() -> int:
    """Run the trials; returns the exit code."""
    given, rng = options(), None
    rng = random.Random(given.seed)
    table = Table(given.out.resolve())
    with tempfile.TemporaryDirectory() as place:
        study = made_study(Path(place), given.study)
        jobs = [job for job in jobs_of(study) if job.name.startswith(given.only)]
        kill_jobs(study, jobs, given.steps, rng, table)
        if given.limits:
            try_limits(study, jobs, table)
            try_two_workflows(study, given.target, table)
        if given.workflows:
            seconds = seconds_of_workflow(study, given.target)
            kill_workflows(study, given.workflows, given.target, seconds, rng, table)
    return 0 if table.all_survived else 1


def made_study(place: Path, finished: Path | None) -> Folder:
    """The undisturbed run that everything is compared with."""
    if finished is not None:
        return Folder(finished).copied_to(place / "study")
    study = tiny_folder(place / "study")
    study.snakemake()
    return study


def seconds_of_workflow(study: Folder, target: str) -> float:
    """How long the target takes undisturbed."""
    path = study.path.parent / "timed"
    folder = study.copied_to(path, "results", "scratch", ".snakemake", "logs")
    begin = time.monotonic()
    folder.snakemake(target)
    return time.monotonic() - begin


if __name__ == "__main__":
    sys.exit(main())
