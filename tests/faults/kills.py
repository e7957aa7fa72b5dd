"""kill -9 of single jobs: at random moments, and in the middle of their writes.

Must not: know the workflow's tools.
"""

import os
import random
import signal
import time
from pathlib import Path

from faults.jobs import (
    Job,
    Running,
    differences,
    discard,
    run_job,
    seconds_noted,
    start_job,
    torn,
    without,
)
from faults.table import Outcome, Table
from workflow.conftest import Folder

AT_A_MOMENT, IN_A_WRITE = "kill -9 of a step, at a random moment", "kill -9 of a step, in a write"
TRIES = 6
POLL_SECONDS = 0.0005
MOST_WRITES_OF_A_TRAINING = 60


def kill_jobs(study: Folder, jobs: list[Job], count: int, seed: int, table: Table) -> None:
    """Kill `count` random jobs and run each again once: every other one in the middle of a write."""
    for number in range(count):
        rng = random.Random(f"{seed} step {number}")
        job = rng.choice(jobs).keeps_every_step
        fault = IN_A_WRITE if number % 2 else AT_A_MOMENT
        table.try_out(fault, number, lambda: kill_one(study, job, rng, number))  # noqa: B023


def kill_one(study: Folder, job: Job, rng: random.Random, number: int) -> Outcome:
    """One job killed while it runs, looked at, and run again."""
    path = study.path.parent / f"step-{number}"
    seconds = seconds_noted(study, job)
    for attempt in range(TRIES):
        folder = without(study, job, path)
        running, begin = start_job(folder, job), time.monotonic()
        if number % 2:
            when = wait_for_write(folder, job, running, rng, attempt)
        else:
            when = wait_for_moment(running, seconds, rng)
        if kill(running):
            break
        seconds = min(seconds, time.monotonic() - begin)  # the noted ones were of a busier machine
        discard(path)
    else:
        return Outcome(job.name, "ended before every kill", survived=False)
    half = torn(folder, study, job.outputs)
    again = run_job(folder, job)
    bad = half + differences(folder, study, whole=True)
    discard(path)
    kept = ", went on from its checkpoint" if "continuing at step" in again.said else ""
    remark = "; ".join(bad[:3]) or again.said[-200:] * (again.code != 0)
    return Outcome(job.name, when + kept, again.code == 0 and not bad, remark)


def wait_for_moment(running: Running, seconds: float, rng: random.Random) -> str:
    """Wait a random part of the seconds, or until the job is at its end."""
    moment, begin = rng.uniform(0, seconds), time.monotonic()
    while time.monotonic() - begin < moment and running.process.poll() is None:
        time.sleep(POLL_SECONDS)
    return f"after {moment:.1f} s of {seconds:.1f} s"


def wait_for_write(
    folder: Folder, job: Job, running: Running, rng: random.Random, attempt: int
) -> str:
    """Wait until the job has begun its n-th write, n random, or is at its end.

    On a busy machine many writes pass unseen; each further attempt waits for half as many.
    """
    most = MOST_WRITES_OF_A_TRAINING if "--scratch" in job.arguments else len(job.outputs) + 1
    wanted, seen = rng.randint(1, max(1, most >> attempt)), set[str]()
    places = {folder.path / Path(name).parent for name in job.outputs}
    if job.scratch:
        places.add(folder.path / job.scratch)
    while len(seen) < wanted and running.process.poll() is None:
        for place in places:
            seen.update(begun(place))
        time.sleep(POLL_SECONDS)
    return f"in write {wanted}"


def begun(place: Path) -> list[str]:
    """Unfinished files below a folder that may not be there."""
    return [
        f"{folder}/{name}"
        for folder, _, names in os.walk(place)
        for name in names
        if name.startswith(".partial-")
    ]


def kill(running: Running, *, whole_group: bool = True) -> bool:
    """Kill a process (with its children, or leaving them running); returns whether it still ran."""
    process = running.process
    was_running = process.poll() is None
    if was_running:
        (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
    process.wait()
    return was_running


def wait_for_group(group: int, patience: float = 900.0) -> None:
    """Wait until the orphans of a killed tool have ended by themselves."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.2)
