"""Full disk, read-only results, too few files or too little memory, a clock set back, two at once."""

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

from faults.jobs import Ended, Job, finish, run_job, start, torn, unequal, without
from faults.kills import differences
from faults.table import Table
from workflow.conftest import Folder

NAMES = ("extract standardiser", "fidelity summary", "report draw", "geometry arm")
"""Jobs tried: tensors, Parquet with CSV, figures, several tables."""


def try_limits(study: Folder, jobs: list[Job], table: Table) -> None:
    """Every limit on one job of each name."""
    chosen = [next(job for job in jobs if job.name == name) for name in NAMES]
    for job in chosen:
        for fault, limited in (
            ("disk full", disk_full), ("read-only results", read_only),
            ("12 open files", few_files), ("600 MB of memory", little_memory),
        ):  # fmt: skip
            try_limit(study, job, fault, limited, table)
    try_clock(study, chosen[0], table)
    try_two_jobs(study, chosen[0], table)


def try_limit(study: Folder, job: Job, fault: str, limited, table: Table) -> None:
    """The job under a limit must fail in words, then succeed without it, others untouched."""
    path = study.path.parent / "limited"
    folder = without(study, job, path)
    try:
        ended: Ended | None = limited(folder, job)
        if ended is None:
            table.add(fault, job.name, "not possible here: no mount rights", True, "skipped")
            return
        half = torn(folder, study, job.outputs)
        again = run_job(folder, job)
        bad = half + unequal(folder, study, job.outputs) + differences(folder.path, study.path)
        clear = ended.code == 0 or ended.is_clear_error
        last = (ended.said.strip().splitlines() or [""])[-1]
        table.add(fault, job.name, f"exit code {ended.code}", clear and again.code == 0 and not bad,
                  "; ".join(bad) or last[:200])  # fmt: skip
    finally:
        shutil.rmtree(path)


def limited_by(words: str) -> tuple[str, ...]:
    return ("bash", "-c", f'{words}; exec "$@"', "bash")


def few_files(folder: Folder, job: Job) -> Ended:
    return run_job(folder, job, limited_by("ulimit -n 12"))


def little_memory(folder: Folder, job: Job) -> Ended:
    return run_job(folder, job, limited_by("ulimit -v 600000"))


def disk_full(folder: Folder, job: Job) -> Ended | None:
    return mounted(folder, job, "size=64k", "rw")


def read_only(folder: Folder, job: Job) -> Ended | None:
    return mounted(folder, job, "size=64k", "ro")


def mounted(folder: Folder, job: Job, size: str, mode: str) -> Ended | None:
    """Run the job with a tiny file system where its outputs go, filled up or read-only."""
    target = (folder.path / job.outputs[0]).parent
    aside = folder.path / "aside"
    target.rename(aside)
    target.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"{size},{mode}", "tmpfs", str(target)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        target.rmdir()
        aside.rename(target)
        return None
    try:
        if mode == "rw":
            fill(target)
        # what else the job reads from there is not the matter of this trial
        return finish(start(folder, "fispace", *redirected(job, aside)))
    finally:
        subprocess.run(["umount", str(target)], check=True)
        target.rmdir()
        aside.rename(target)


def redirected(job: Job, aside: Path) -> list[str]:
    """The job's arguments, with inputs from the folder that was put aside."""
    outputs = {str(Path(name)) for name in job.outputs}
    prefix = str(Path(job.outputs[0]).parent)
    return [
        word.replace(prefix, aside.name, 1)
        if word.startswith(f"{prefix}/") and word not in outputs else word
        for word in job.arguments
    ]  # fmt: skip


def fill(folder: Path) -> None:
    """Leave no free byte."""
    with (folder / ".filler").open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(b"x" * 512)


def try_clock(study: Folder, job: Job, table: Table) -> None:
    """A clock a year back changes no byte."""
    if shutil.which("faketime") is None:
        table.add("clock set back", job.name, "faketime is not installed", True, "skipped")
        return
    path = study.path.parent / "clock"
    folder = without(study, job, path)
    ended = run_job(folder, job, ("faketime", "-f", "-365d"))
    bad = unequal(folder, study, job.outputs)
    table.add("clock set back", job.name, "one year", ended.code == 0 and not bad, "; ".join(bad))
    shutil.rmtree(path)


def try_two_jobs(study: Folder, job: Job, table: Table) -> None:
    """The same job twice at once: two whole files of the same bytes, one after the other."""
    path = study.path.parent / "two"
    folder = without(study, job, path)
    both = [start(folder, "fispace", *job.arguments) for _ in range(2)]
    codes = [finish(process).code for process in both]
    bad = unequal(folder, study, job.outputs)
    table.add("two at once", job.name, f"exit codes {codes}", codes == [0, 0] and not bad)
    shutil.rmtree(path)


def try_two_workflows(study: Folder, target: str, table: Table) -> None:
    """A second workflow in one folder is refused in words; the first one ends as if alone."""
    path = study.path.parent / "both"
    folder = study.copied_to(path, "results", "scratch", ".snakemake", "logs")
    first = start(folder, "snakemake", target)
    while not (path / ".snakemake/locks").is_dir() or not os.listdir(path / ".snakemake/locks"):
        if first.poll() is not None:
            break
    second = finish(start(folder, "snakemake", target))
    ended = finish(first)
    bad = differences(path, study.path)
    refused = second.code != 0 and "LockException" in second.said
    table.add("two at once", f"snakemake {target}", f"exit codes {ended.code}, {second.code}",
              ended.code == 0 and refused and not bad, "; ".join(bad[:3]))  # fmt: skip
    shutil.rmtree(path)
