"""kill -9 at random moments: of single jobs, and of whole workflows."""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

from faults.jobs import Job, finish, run_job, seconds_of, start, torn, unequal, without
from faults.table import Table
from workflow.conftest import Folder

UNLOCK = ("snakemake", "--unlock")
"""The one documented command after a killed workflow."""


def kill_jobs(study: Folder, jobs: list[Job], count: int, rng: random.Random, table: Table) -> None:
    """Kill `count` random jobs, each at a random moment, and run each again once."""
    seconds: dict[str, float] = {}
    for number in range(count):
        job = rng.choice(jobs)
        path = study.path.parent / f"step-{number}"
        if job.name not in seconds:
            seconds[job.name] = seconds_of(study, job, path)
        moment = rng.uniform(0, seconds[job.name])
        folder = without(study, job, path)
        process = start(folder, "fispace", *job.arguments)
        time.sleep(moment)
        was_running = kill(process, whole_group=True)
        half = torn(folder, study, job.outputs)
        again = run_job(folder, job)
        bad = half + unequal(folder, study, job.outputs)
        table.add(
            "kill -9 of a step", job.name, f"{moment:.1f} s of {seconds[job.name]:.1f} s"
            f"{'' if was_running else ', after its end'}",
            again.code == 0 and not bad, "; ".join(bad) or again.said[-200:] * (again.code != 0),
        )  # fmt: skip
        shutil.rmtree(path)


def kill(process: subprocess.Popen[str], *, whole_group: bool) -> bool:
    """Kill a process (with its children, or leaving them running); returns whether it still ran."""
    was_running = process.poll() is None
    if was_running:
        (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
    if whole_group or not was_running:
        process.communicate()
    else:
        process.wait()
        wait_for_group(process.pid)
    return was_running


def wait_for_group(group: int, patience: float = 600.0) -> None:
    """Wait until the orphans of a killed tool have ended by themselves."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.5)


def kill_workflows(
    study: Folder, count: int, target: str, seconds: float, rng: random.Random, table: Table
) -> None:
    """Kill `count` whole workflows, Snakemake and DVC in turn, and resume each once."""
    for number in range(count):
        tool = ("snakemake", "dvc")[number % 2]
        path = study.path.parent / f"workflow-{number}"
        folder = study.copied_to(path, "results", "scratch", ".snakemake", "logs")
        command = ("snakemake", target) if tool == "snakemake" else ("dvc", "repro", target)
        whole_group = number % 4 < 2
        moment = rng.uniform(0, seconds)
        process = start(folder, *command)
        time.sleep(moment)
        was_running = kill(process, whole_group=whole_group)
        unlocked = finish(start(folder, *UNLOCK))
        again = finish(start(folder, *command))
        bad = differences(folder.path, study.path)
        table.add(
            "kill -9 of a workflow", f"{' '.join(command)}",
            f"{moment:.0f} s of {seconds:.0f} s, {'all processes' if whole_group else 'parent only'}"
            f"{'' if was_running else ', after its end'}",
            again.code == 0 and not bad, "; ".join(bad[:3]) or again.said[-200:] * (again.code != 0)
            or unlocked.said[-100:] * (unlocked.code != 0),
        )  # fmt: skip
        shutil.rmtree(path)


def differences(one: Path, other: Path) -> list[str]:
    """Result files of `one` that are not, byte for byte, those of `other`; records included."""
    found = []
    for path in sorted((one / "results").rglob("*")):
        if path.is_file() and not path.name.startswith(".partial-"):
            twin = other / path.relative_to(one)
            if not twin.is_file() or twin.read_bytes() != path.read_bytes():
                found.append(str(path.relative_to(one)))
    return found if any((one / "results").rglob("*")) else ["no results at all"]
