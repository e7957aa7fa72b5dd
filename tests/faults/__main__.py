"""What a crash can do to a run: `make test-faults`, or

    python -m faults --steps 200 --workflows 20 --seed 1 --out logs/faults   (from tests/)

Makes the tiny study once, then disturbs copies of it and compares every byte. Writes faults.csv (every
trial) and faults.md (what was tried, how often, what survived) as it goes; `--go-on` continues a table
and its study. Exit code 1 if anything did not survive. No part of `make test`: it takes hours.
"""

import argparse
import hashlib
import shutil
import sys
from pathlib import Path

from faults.clock import try_clock
from faults.jobs import Job, jobs_of, result_files
from faults.kills import kill_jobs
from faults.limits import try_limits
from faults.table import Outcome, Table
from faults.workflows import kill_workflows, try_workflows
from workflow.conftest import Folder, tiny_folder

SMALLER = Path(__file__).with_name("smaller.yaml")


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--steps", type=int, required=True, help="single jobs to kill")
    parser.add_argument("--workflows", type=int, required=True, help="whole workflows to kill")
    parser.add_argument("--only", default="", help="kill only jobs whose name starts so")
    parser.add_argument("--seed", type=int, required=True, help="of the random moments")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the table and the copies"
    )
    parser.add_argument("--go-on", action="store_true", help="continue the table that is there")
    parser.add_argument("--limits", action=argparse.BooleanOptionalAction, default=True)
    return parser.parse_args()


def main() -> int:
    """Run the trials; returns the exit code."""
    given = options()
    table = Table(given.out.resolve(), go_on=given.go_on)
    study = made_study(table.folder, go_on=given.go_on)
    before = digest_of(study)
    jobs = jobs_of(study)
    if given.limits:
        try_all_but_kills(study, jobs, given, table)
    killed = [job for job in jobs if job.name.startswith(given.only)]
    kill_jobs(study, killed, given.steps, given.seed, table)
    kill_workflows(study, given.workflows, given.seed, table)
    table.try_out(
        "the undisturbed study, as it was", len(table.trials), lambda: untouched(study, before)
    )
    return 0 if table.all_survived else 1


def try_all_but_kills(
    study: Folder, jobs: list[Job], given: argparse.Namespace, table: Table
) -> None:
    """Limits, clocks, and what befalls whole workflows."""
    try_limits(study, jobs, table)
    try_workflows(study, table)
    try_clock(study, jobs, given.seed, table)


def made_study(out: Path, *, go_on: bool) -> Folder:
    """The undisturbed run that everything is compared with; copies of it are made beside it."""
    work = out / "work"
    kept, whole = work / "study", out / "study.whole"
    if go_on and whole.is_file():
        for left in work.iterdir():  # copies that an interrupted harness was about to judge
            if left != kept:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        return Folder(kept)
    shutil.rmtree(work, ignore_errors=True)
    whole.unlink(missing_ok=True)
    study = tiny_folder(kept, SMALLER)
    study.snakemake()
    whole.touch()
    return study


def digest_of(study: Folder) -> str:
    """Hash of all results and their names."""
    digest = hashlib.sha256()
    for name in sorted(result_files(study)):
        digest.update(name.encode() + hashlib.sha256((study.path / name).read_bytes()).digest())
    return digest.hexdigest()


def untouched(study: Folder, before: str) -> Outcome:
    """No trial has changed a byte of the study, which the copies share files with."""
    return Outcome("all results", "compared by hash", digest_of(study) == before)


if __name__ == "__main__":
    sys.exit(main())
