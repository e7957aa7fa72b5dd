"""Whole workflows: killed and resumed, two at once, on a disk that fills up.

Must not: run a job by itself.
"""

import random
import shutil
import subprocess
import time
from functools import partial
from pathlib import Path

from faults.jobs import RUN, Ended, Running, differences, discard, said_file, start
from faults.kills import kill, wait_for_group
from faults.table import SKIPPED, Outcome, Table
from workflow.conftest import Folder

from fispace.study.chapters import CHAPTERS

TWO, FULL = "two workflows at once", "disk full under a workflow"
UNLOCK = ("snakemake", "--unlock")
"""The one documented command after a killed workflow."""
COMMANDS = {"snakemake": ("snakemake",), "dvc": ("dvc", "repro")}
TOOLS = tuple(COMMANDS)
KILL = {"snakemake": "kill -9 of `snakemake`", "dvc": "kill -9 of `dvc repro`"}
ALL_PROCESSES, JOBS_END, JOBS_RUN = (
    "all processes", "the tool only, jobs ended", "the tool only, jobs still running",
)  # fmt: skip
MADE = ("results", "scratch", ".snakemake", "logs")
MOST_SECONDS_MORE = 3.0
NOTHING = CHAPTERS[0]
"""A workflow that has everything still to do begins here."""
FROM_NOTHING_OF_TEN = 2
PLENTY = "2g"


def try_workflows(study: Folder, table: Table) -> None:
    """What can befall a workflow besides a kill."""
    table.try_out(TWO, 0, partial(two_at_once, study))
    table.try_out(FULL, 0, partial(disk_full, study))


def kill_workflows(study: Folder, count: int, seed: int, table: Table) -> None:
    """Kill `count` workflows, Snakemake and DVC in turn, and resume each once.

    Some begin with nothing, the others with a random chapter.
    """
    for number in range(count):
        rng = random.Random(f"{seed} workflow {number}")
        table.try_out(KILL[TOOLS[number % 2]], number, partial(kill_one, study, rng, number))


def wait_for_jobs(folder: Folder, study: Folder, running: Running, rng: random.Random) -> str:
    """Wait until a random share of the jobs still to do has ended, and a moment more."""
    done, all_jobs = len(jobs_finished(folder)), len(jobs_finished(study))
    wanted = done + int(rng.uniform(0, 0.95) * (all_jobs - done))
    while len(jobs_finished(folder)) < wanted and running.process.poll() is None:
        time.sleep(0.05)
    time.sleep(rng.uniform(0, MOST_SECONDS_MORE))
    return f"after {len(jobs_finished(folder)) - done} of {all_jobs - done} jobs"


def begun(study: Folder, path: Path, first: str) -> Folder:
    """A copy of the study in which this chapter and all after it are still to be made."""
    if first == NOTHING:
        return study.copied_to(path, *MADE)
    folder = study.copied_to(path, "scratch")
    for chapter in CHAPTERS[CHAPTERS.index(first) :]:
        shutil.rmtree(path / f"results/{RUN}/{chapter}")
    return folder


def kill_one(study: Folder, rng: random.Random, number: int) -> Outcome:
    """One workflow, killed while it runs, unlocked and run again once."""
    tool, way = TOOLS[number % 2], (ALL_PROCESSES, JOBS_END, JOBS_RUN)[number // 2 % 3]
    first = NOTHING if number % 10 < FROM_NOTHING_OF_TEN else rng.choice(CHAPTERS)
    path, command = study.path.parent / f"workflow-{number}", COMMANDS[tool]
    while True:
        folder = begun(study, path, first)
        running = start(folder, *command)
        when = wait_for_jobs(folder, study, running, rng)
        if kill(running, whole_group=way == ALL_PROCESSES):
            break
        discard(path)  # it had ended: no trial
    if way == JOBS_END:
        wait_for_group(running.process.pid)
    unlocked, again = start(folder, *UNLOCK).end(), start(folder, *command).end()
    wait_for_group(running.process.pid)
    bad = differences(folder, study, whole=True)
    discard(path)
    fine = unlocked.code == 0 and again.code == 0 and not bad
    remark = "; ".join(bad[:3]) or said(unlocked, again)
    return Outcome(" ".join(command), f"{way}, from {first} on, {when}", fine, remark)


def jobs_finished(folder: Folder) -> list[Path]:
    """Records of the jobs that have ended."""
    return list((folder.path / "results").rglob(".provenance/*.json"))


def said(*ends: Ended) -> str:
    """The last words of what failed."""
    return " | ".join(ended.said[-300:] for ended in ends if ended.code != 0)


def two_at_once(study: Folder) -> Outcome:
    """A second workflow in one folder is refused in words; the first one ends as if alone."""
    path = study.path.parent / "both"
    folder = begun(study, path, "geometry")
    first = start(folder, "snakemake")
    wait_for_lock(folder, first)
    said_file(path).unlink()  # the first one goes on speaking into it, the second begins another
    second = start(folder, "snakemake").end()
    code = first.process.wait()
    bad = differences(folder, study, whole=True)
    discard(path)
    refused = second.code != 0 and "LockException" in second.said
    detail = f"exit codes {code} and {second.code}"
    return Outcome("snakemake", detail, code == 0 and refused and not bad,
                   "; ".join(bad[:3]))  # fmt: skip


def wait_for_lock(folder: Folder, running: Running) -> None:
    """Wait until a workflow has locked the folder."""
    locks = folder.path / ".snakemake/locks"
    while not (locks.is_dir() and any(locks.iterdir())) and running.process.poll() is None:
        time.sleep(0.05)


def disk_full(study: Folder) -> Outcome:
    """The report on a disk that fills up: words, nothing half-written; with room, the same bytes."""
    path = study.path.parent / "disk"
    path.mkdir()
    what = ("snakemake", "report")
    if not mount(path, PLENTY):
        path.rmdir()
        return Outcome(" ".join(what), "no mount rights here", survived=True, remark=SKIPPED)
    try:
        shutil.copytree(study.path, path, dirs_exist_ok=True)
        folder = Folder(path)
        report = folder.path / f"results/{RUN}/report"
        needed = sum(file.stat().st_size for file in report.rglob("*") if file.is_file())
        shutil.rmtree(report)
        mount(path, f"{shutil.disk_usage(path).used + needed // 2}", "remount,")
        full = start(folder, *what).end()
        half = differences(folder, study, whole=False)
        mount(path, PLENTY, "remount,")
        unlocked, again = start(folder, *UNLOCK).end(), start(folder, *what).end()
        bad = half + differences(folder, study, whole=True)
    finally:
        subprocess.run(["umount", str(path)], check=True)
        discard(path)
    fine = full.code != 0 and "No space left" in full.said and again.code == 0 and not bad
    remark = "; ".join(bad[:3]) or said(unlocked, again)
    return Outcome(" ".join(what), f"exit code {full.code}, then {again.code}", fine, remark)


def mount(path: Path, size: str, how: str = "") -> bool:
    """Mount a file system of that size there, or give it another; returns whether that is allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"{how}size={size}", "tmpfs", str(path)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0
