"""Single jobs under limits: a full disk, read-only results, few files, little memory, two at once.

Must not: know the workflow's tools.
"""

import contextlib
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

from faults.jobs import (
    Ended,
    Job,
    differences,
    discard,
    run_job,
    start,
    start_job,
    torn,
    without,
)
from faults.table import SKIPPED, Outcome, Table
from workflow.conftest import Folder

NAMES = ("extract standardiser", "train arm", "fidelity summary", "geometry arm", "report draw")
"""Jobs tried: tensors, a training, Parquet with CSV, several tables, figures."""
FILES, MEMORIES_MB = 5, (300, 600)
TWO = "the same step twice at once"

Limited = Callable[[Folder, Job], Ended | None]


def try_limits(study: Folder, jobs: list[Job], table: Table) -> None:
    """Every limit on one job of each name, then a training that cannot keep its state."""
    kinds: dict[str, Limited] = {
        "disk full": partial(mounted, mode="rw"), "read-only results": partial(mounted, mode="ro"),
        f"{FILES} open files": few_files,
    }  # fmt: skip
    kinds |= {f"{mb} MB of memory": partial(little_memory, mb=mb) for mb in MEMORIES_MB}
    for number, name in enumerate(NAMES):
        job = next(job for job in jobs if job.name == name)
        for fault, limited in kinds.items():
            table.try_out(fault, number, partial(try_limit, study, job, limited))
    for number, name in enumerate(("extract activations", *NAMES)):
        job = next(job for job in jobs if job.name == name)
        table.try_out(TWO, number, partial(two_at_once, study, job))
    training = next(job for job in jobs if job.name == "train arm").keeps_every_step
    table.try_out("disk full under checkpoints", 0, partial(no_checkpoints, study, training))


def try_limit(study: Folder, job: Job, limited: Limited) -> Outcome:
    """The job under a limit fails in words (or does with what it has), then succeeds without it."""
    path = study.path.parent / "limited"
    folder = without(study, job, path)
    try:
        ended = limited(folder, job)
        if ended is None:
            return Outcome(job.name, "no mount rights here", survived=True, remark=SKIPPED)
        half = torn(folder, study, job.outputs) + differences(folder, study, whole=False)
        again = run_job(folder, job)
        bad = half + differences(folder, study, whole=True)
        fine = (ended.is_clear_error or ended.code == 0) and again.code == 0 and not bad
        return Outcome(job.name, f"exit code {ended.code}, then {again.code}", fine,
                       "; ".join(bad[:3]) or ended.last_words)  # fmt: skip
    finally:
        discard(path)


def limited_by(words: str) -> tuple[str, ...]:
    """A shell that limits itself before it becomes the job."""
    return ("bash", "-c", f'{words}; exec "$@"', "bash")


def few_files(folder: Folder, job: Job) -> Ended:
    """The job with few file descriptors."""
    return run_job(folder, job, limited_by(f"ulimit -n {FILES}"))


def little_memory(folder: Folder, job: Job, *, mb: int) -> Ended:
    """The job with little address space."""
    return run_job(folder, job, limited_by(f"ulimit -v {mb}000"))


def mounted(folder: Folder, job: Job, *, mode: str) -> Ended | None:
    """Run the job with a tiny file system where its outputs go, filled up or read-only."""
    target = (folder.path / job.outputs[0]).parent
    aside = folder.path / "aside"
    target.rename(aside)
    target.mkdir()
    try:
        if not mount(target, mode):
            return None
        try:
            # what else the job reads from there is not the matter of this trial
            return start(folder, "fispace", *redirected(job, aside)).end()
        finally:
            subprocess.run(["umount", str(target)], check=True)
    finally:
        target.rmdir()
        aside.rename(target)


def mount(target: Path, mode: str) -> bool:
    """A file system of 64 KiB at the folder, full if it can be written; False without the right to."""
    command = ["mount", "-t", "tmpfs", "-o", f"size=64k,{mode}", "tmpfs", str(target)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        return False
    if mode == "rw":
        fill(target)
    return True


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


def no_checkpoints(study: Folder, job: Job) -> Outcome:
    """A training whose state cannot be kept says so and ends in the same bytes."""
    path = study.path.parent / "unkept"
    folder = without(study, job, path)
    scratch = path / str(job.scratch)
    scratch.mkdir(parents=True)
    try:
        if not mount(scratch, "rw"):
            return Outcome(job.name, "no mount rights here", survived=True, remark=SKIPPED)
        ended = run_job(folder, job)
        subprocess.run(["umount", str(scratch)], check=True)
        bad = differences(folder, study, whole=True)
        fine = ended.code == 0 and "is not kept" in ended.said and not bad
        return Outcome(job.name, f"exit code {ended.code}", fine, "; ".join(bad[:3]))
    finally:
        discard(path)


def two_at_once(study: Folder, job: Job) -> Outcome:
    """The same job twice at once: whole files of the same bytes, whoever writes last."""
    path = study.path.parent / "two"
    folder = without(study, job, path)
    both = [start_job(folder, job) for _ in range(2)]
    codes = [running.process.wait() for running in both]
    bad = differences(folder, study, whole=True)
    discard(path)
    fine = codes == [0, 0] and not bad
    return Outcome(job.name, f"exit codes {codes}", fine, "; ".join(bad[:3]))
