"""A clock set back: under single jobs, between two runs of the workflow, and in the middle of one.

Files keep the time of their writing, so that results lie in the future of a clock set back. The
machine's own clock is left alone: files are made younger instead, and `faketime` (skipped where it
is not installed) sets back what processes read. Must not: know a step.
"""

import json
import os
import random
import shutil
import signal
import subprocess
from functools import partial
from pathlib import Path

from faults.jobs import Ended, Job, differences, discard, run_job, start, timed, without
from faults.table import SKIPPED, Outcome, Table
from faults.workflows import COMMANDS, begun, said, wait_for_jobs
from workflow.conftest import Folder, steps

FAULT = "clock set back"
YEAR, HOUR = "-365d", 3600.0
EDIT = ("density_points: 96", "density_points: 64")
FIRST = "fidelity"
"""Chapter that the halted workflows begin with."""


def try_clock(study: Folder, jobs: list[Job], seed: int, table: Table) -> None:
    """Every kind of setting back."""
    for number, name in enumerate(("extract standardiser", "train arm", "report draw")):
        job = next(job for job in jobs if job.name == name).keeps_every_step
        table.try_out(FAULT, number, partial(under_a_job, study, job))
    table.try_out(FAULT, 10, partial(between_runs, study))
    for number, tool in ((11, "snakemake"), (12, "dvc")):
        rng = random.Random(f"{seed} clock {number}")
        table.try_out(FAULT, number, partial(amid_files, study, tool, rng))
    rng = random.Random(f"{seed} clock 13")
    table.try_out(FAULT, 13, partial(amid_processes, study, rng))


def under_a_job(study: Folder, job: Job) -> Outcome:
    """A clock a year back changes no byte."""
    if shutil.which("faketime") is None:
        return Outcome(job.name, "faketime is not installed", survived=True, remark=SKIPPED)
    path = study.path.parent / "clock"
    folder = without(study, job, path)
    ended = run_job(folder, job, ("faketime", "-f", YEAR))
    bad = differences(folder, study, whole=True)
    discard(path)
    return Outcome(job.name, "a year under the job", ended.code == 0 and not bad,
                   "; ".join(bad[:3]) or said(ended))  # fmt: skip


def between_runs(study: Folder) -> Outcome:
    """Results of tomorrow: kept; after an edit, what depends on it is made anew; edited back, the same."""
    path = study.path.parent / "tomorrow"
    folder = study.copied_to(path)
    make_younger(folder, 24 * HOUR)
    untouched = steps(folder.snakemake())
    folder.edit("params.yaml", *EDIT)
    edited = {step.split()[0] for step in steps(folder.snakemake())}
    changed = differences(folder, study, whole=True)
    folder.edit("params.yaml", *reversed(EDIT))
    back = {step.split()[0] for step in steps(folder.snakemake())}
    settled = steps(folder.snakemake())
    bad = differences(folder, study, whole=True)
    discard(path)
    drawn = any(name.endswith(".svg") for name in changed)
    fine = untouched == settled == [] and edited == back == {"report"} and drawn and not bad
    detail = (
        f"a day between runs: {len(untouched)}, {sorted(edited)}, {sorted(back)}, {len(settled)}"
    )
    return Outcome("snakemake", detail, fine, "; ".join(bad[:3]))


def amid_files(study: Folder, tool: str, rng: random.Random) -> Outcome:
    """The workflow is halted, all that it has written so far becomes an hour younger, it goes on."""
    path, command = study.path.parent / "halted", COMMANDS[tool]
    while True:
        folder = begun(study, path, FIRST)
        running = start(folder, *command)
        when = wait_for_jobs(folder, study, running, rng)
        if running.process.poll() is None:
            break
        discard(path)  # it had ended: no trial
    os.killpg(running.process.pid, signal.SIGSTOP)
    make_younger(folder, HOUR)
    os.killpg(running.process.pid, signal.SIGCONT)
    return judged(folder, study, running.end(), command, f"an hour {when}, as files see it")


def amid_processes(study: Folder, rng: random.Random) -> Outcome:
    """What every process of the workflow reads from its clock falls back by an hour."""
    library = fake_library()
    if library is None:
        return Outcome("snakemake", "faketime is not installed", survived=True, remark=SKIPPED)
    path, command = study.path.parent / "fallen", COMMANDS["snakemake"]
    while True:
        folder = begun(study, path, FIRST)
        offset = path / "offset"
        offset.write_text("+0\n")
        running = start(
            folder, *command, LD_PRELOAD=library, FAKETIME_TIMESTAMP_FILE=str(offset),
            FAKETIME_NO_CACHE="1", NO_FAKE_STAT="1", FAKETIME_DONT_FAKE_MONOTONIC="1",
        )  # fmt: skip
        when = wait_for_jobs(folder, study, running, rng)
        if running.process.poll() is None:
            break
        discard(path)  # it had ended: no trial
    offset.write_text(f"-{HOUR:.0f}\n")
    return judged(folder, study, running.end(), command, f"an hour {when}, as processes see it")


def judged(
    folder: Folder, study: Folder, ended: Ended, command: tuple[str, ...], when: str
) -> Outcome:
    """The run ended well or is run again; then the bytes are right and nothing is left to do."""
    again, _ = timed(start(folder, *command)) if ended.code else (ended, 0.0)
    left = steps(folder.snakemake())
    bad = differences(folder, study, whole=True)
    discard(folder.path)
    fine = again.code == 0 and left == [] and not bad and "Traceback" not in ended.said
    detail = f"{when}; exit code {ended.code}, then {again.code}, {len(left)} steps left"
    return Outcome(" ".join(command), detail, fine, "; ".join(bad[:3]) or said(ended, again))


def make_younger(folder: Folder, seconds: float) -> None:
    """All results and Snakemake's records become that much younger, in their own words too."""
    for place in ("results", "scratch", "logs"):
        for file in (folder.path / place).rglob("*"):
            if file.is_file():
                shift(file, seconds)
    for record in (folder.path / ".snakemake/metadata").rglob("*"):
        if record.is_file():
            content = json.loads(record.read_text(encoding="utf-8"))
            moved = {key: content[key] + seconds for key in ("starttime", "endtime")}
            record.write_text(json.dumps(content | moved), encoding="utf-8")


def shift(file: Path, seconds: float) -> None:
    """Move a file's times."""
    stat, by = file.stat(), int(seconds * 1e9)
    os.utime(file, ns=(stat.st_atime_ns + by, stat.st_mtime_ns + by))


def fake_library() -> str | None:
    """Where the library behind `faketime` is, as `faketime` itself says."""
    if shutil.which("faketime") is None:
        return None
    said_so = subprocess.run(
        ["faketime", "-f", "+0", "printenv", "LD_PRELOAD"],
        check=True,
        capture_output=True,
        text=True,
    )
    return said_so.stdout.strip()
