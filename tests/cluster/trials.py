"""What can befall the jobs of a study on a cluster; every trial ends with the bytes of a local run.

Must not: start or stop the scheduler.
"""

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cluster.slurm import PATIENCE_SECONDS, Slurm
from faults.jobs import RUN, Ended, Running, differences, discard, start
from faults.table import Outcome, Table
from workflow.conftest import Folder

ARMS, SEEDS = ("sae", "joint"), (0, 1)
TARGETS = tuple(
    f"results/{RUN}/train/{arm}/seed{seed}.safetensors" for arm in ARMS for seed in SEEDS
)
PROFILE = ("--workflow-profile", "profiles/slurm")
"""The profile as users have it; the harness only asks more often."""
OFTEN = ("--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2")
SUBMIT = ("snakemake", *TARGETS, *PROFILE, *OFTEN)
MADE = ("results", "scratch", ".snakemake", "logs")
TRAINING, SYNC = "rule_train_arm", "workflow/sync.py"
TOO_LITTLE_MB = 400
"""As estimate of a process with torch in the trial of memory: a training needs more, twice it suffices."""
PROCESS_MB = "PROCESS_MB = 1500"


def try_all(study: Folder, slurm: Slurm, table: Table) -> None:
    """Every trial, one after the other."""
    trials = {
        "scancel of a running job": partial(in_the_middle, befalls=cancel),
        "kill -9 of a running job's command": partial(in_the_middle, befalls=kill_command),
        "scontrol requeue of a running job": partial(in_the_middle, befalls=requeue),
        "node drained, then resumed": partial(in_the_middle, befalls=drain, arms=ARMS),
        "node down, then resumed": partial(in_the_middle, befalls=node_down),
        "too little memory reserved": out_of_memory,
        "kill -9 of snakemake, jobs cancelled": partial(controller_killed, cancels=True),
        "kill -9 of snakemake, jobs go on": partial(controller_killed, cancels=False),
        "unknown partition": partial(
            refused, options=("--default-resources", "slurm_partition=nowhere"), says="no partition 'nowhere'"
        ),
        "GPU that the cluster has not": partial(
            refused, options=("--set-resources", "train_arm:gpu=1"), says="asks for a GPU"
        ),
        "more memory than a node has": partial(
            refused, options=("--set-resources", "train_arm:mem_mb=9000000"), says="9,000,000 MB"
        ),
    }  # fmt: skip
    for name, trial in trials.items():
        table.try_out(name, 0, lambda trial=trial: trial(study, slurm))
    table.try_out("no fault", 0, lambda: undisturbed(study, slurm))
    table.try_out("scheduler that does not answer", 0, lambda: no_answer(study, slurm))


def begun(study: Folder, arms: Sequence[str] = ARMS[-1:]) -> Folder:
    """A copy of the study in which the trainings of these arms are still to do."""
    path = study.path.parent / "trial"
    folder = study.copied_to(path, "scratch", "logs")
    for arm in arms:
        shutil.rmtree(path / f"results/{RUN}/train/{arm}")
    return folder


def submit(folder: Folder, slurm: Slurm, *options: str) -> Running:
    """Start the workflow on the cluster."""
    return start(folder, *SUBMIT, *options, **slurm.env)


def judged(folder: Folder, study: Folder, ended: Ended, detail: str) -> Outcome:
    """Whether the workflow ended well, with the bytes of the local run."""
    bad = differences(folder, study, whole=True)
    fine = ended.code == 0 and not bad
    remark = "; ".join(bad[:3]) or ("" if ended.code == 0 else ended.said[-600:])
    discard(folder.path)
    return Outcome("snakemake", detail, fine, remark)


def undisturbed(study: Folder, slurm: Slurm) -> Outcome:
    """Every job from the first on, as jobs of the scheduler."""
    before = set(slurm.jobs("all"))
    folder = study.copied_to(study.path.parent / "trial", *MADE)
    ended = submit(folder, slurm).end()
    detail = f"{len(set(slurm.jobs('all')) - before)} jobs from nothing"
    return judged(folder, study, ended, detail)


class Moment(NamedTuple):
    """A training that runs."""

    folder: Folder
    slurm: Slurm
    job: str
    """Its number."""


def in_the_middle(
    study: Folder, slurm: Slurm, befalls: Callable[[Moment], str], arms: Sequence[str] = ARMS[-1:]
) -> Outcome:
    """Something befalls a training that runs."""
    before, folder = set(slurm.jobs("all")), begun(study, arms)
    running = submit(folder, slurm)
    job = training_that_runs(folder, slurm, running)
    detail = befalls(Moment(folder, slurm, job))
    ended = running.end()
    again = len(set(slurm.jobs("all")) - before) - len(arms) * len(SEEDS)
    return judged(folder, study, ended, f"{detail}; {again} jobs submitted again")


def cancel(at: Moment) -> str:
    """The job is taken away by hand."""
    at.slurm.call("scancel", at.job)
    wait_until(lambda: at.slurm.details(at.job).get("JobState") == "CANCELLED", "not cancelled")
    return f"state {at.slurm.details(at.job)['JobState']}"


def kill_command(at: Moment) -> str:
    """All commands of trainings that run are killed on the node."""
    killed = commands_in(at.folder)
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    return f"{len(killed)} commands killed"


def requeue(at: Moment) -> str:
    """The job goes back into the queue."""
    at.slurm.call("scontrol", "requeue", at.job)
    wait_until(lambda: at.slurm.details(at.job).get("Restarts") == "1", "not requeued")
    return "the same job restarted once"


def drain(at: Moment) -> str:
    """The node takes no more jobs; those that run end; the others wait until it is back."""
    running, waiting = set(at.slurm.jobs("running")), set(at.slurm.jobs("pending"))
    at.slurm.set_node("drain")
    wait_until(lambda: at.slurm.state() == "drained", "the node is not drained", seconds=600)
    assert waiting <= set(at.slurm.jobs("pending")), "a job began on a drained node"
    at.slurm.set_node("resume")
    return f"{len(running)} jobs ended, {len(waiting)} waited"


def node_down(at: Moment) -> str:
    """The node is lost with its jobs, which the scheduler puts back into the queue."""
    running = set(at.slurm.jobs("running"))
    at.slurm.set_node("down")
    wait_until(lambda: at.slurm.details(at.job).get("Restarts") == "1", "not requeued")
    at.slurm.set_node("resume")
    return f"{len(running)} jobs restarted by the scheduler"


def out_of_memory(study: Folder, slurm: Slurm) -> Outcome:
    """The table of resources reserves too little: the scheduler kills, the workflow asks for twice as much."""
    folder = begun(study)
    folder.edit("workflow/engine/resources.py", PROCESS_MB, f"PROCESS_MB = {TOO_LITTLE_MB}")
    before = set(slurm.jobs("all"))
    ended = submit(folder, slurm).end()
    mine = [job for job in slurm.jobs("all") if job not in before]
    logs = (folder.path / ".snakemake/slurm_logs").rglob("*.log")
    killed = sum("exceeded memory limit" in path.read_text(errors="replace") for path in logs)
    asked = sorted({slurm.details(job).get("MinMemoryNode", "?") for job in mine})
    detail = f"{killed} jobs killed for memory; reserved {', '.join(asked)}"
    outcome = judged(folder, study, ended, detail)
    return Outcome(outcome.what, detail, outcome.survived and killed > 0, outcome.remark)


def controller_killed(study: Folder, slurm: Slurm, *, cancels: bool) -> Outcome:
    """The process on the login node is killed; after `--unlock` the same command goes on.

    Jobs that ended without it have written results that it does not know: it refuses to guess, and
    `workflow/sync.py` accepts them by their records.
    """
    folder = begun(study)
    running = submit(folder, slurm)
    training_that_runs(folder, slurm, running)
    os.killpg(running.process.pid, signal.SIGKILL)
    running.process.wait()
    if cancels:
        slurm.call("scancel", "--user=root")
        wait_until(lambda: not slurm.jobs(), "jobs are not cancelled")
    left = set(slurm.jobs())
    wait_until(lambda: not slurm.jobs(), "jobs do not end", seconds=600)
    start(folder, "snakemake", "--unlock").end()
    before, ended, detail = set(slurm.jobs("all")), submit(folder, slurm).end(), ""
    if SYNC in ended.said and not cancels:
        folder.sync()
        ended, detail = submit(folder, slurm).end(), ", accepted by sync.py"
    again = len(set(slurm.jobs("all")) - before)
    return judged(
        folder, study, ended, f"{len(left)} jobs went on{detail}; {again} submitted again"
    )


def refused(study: Folder, slurm: Slurm, options: tuple[str, ...], says: str) -> Outcome:
    """Nothing is submitted, and one message says why; without the options the same command works."""
    before, folder = set(slurm.jobs("all")), begun(study)
    ended = submit(folder, slurm, *options).end()
    submitted = set(slurm.jobs("all")) - before
    kept = (folder.path / f"results/{RUN}/train/lr.json").is_file()
    discard(folder.path)
    said = " ".join(ended.said.split())
    fine = ended.code != 0 and says in said and not submitted and kept and "Traceback" not in said
    return Outcome(
        "snakemake",
        f"exit code {ended.code}, {len(submitted)} jobs submitted",
        fine,
        message_in(said),
    )


def no_answer(study: Folder, slurm: Slurm) -> Outcome:
    """A configuration that leads to no controller."""
    silent = slurm.silent()
    folder = begun(study)
    ended = start(folder, *SUBMIT, **silent).end()
    discard(folder.path)
    said = " ".join(ended.said.split())
    fine = ended.code != 0 and "SLURM does not answer" in said and "Traceback" not in said
    return Outcome("snakemake", f"exit code {ended.code}", fine, message_in(said))


def message_in(said: str) -> str:
    """The workflow's own error, without the places in its code."""
    found = re.search(r"WorkflowError in file \S+ line \d+: (.*?)(?: File \"|$)", said)
    return found[1] if found else said[-400:]


def training_that_runs(folder: Folder, slurm: Slurm, running: Running) -> str:
    """Wait for a training whose command has kept something; returns its job."""
    scratch = folder.path / f"scratch/{RUN}/train"

    def is_training() -> bool:
        return bool(commands_in(folder)) and any(p.is_file() for p in scratch.rglob("*"))

    wait_until(
        lambda: is_training() or running.process.poll() is not None, "no training", seconds=600
    )
    found = [job for job, comment in slurm.jobs("running").items() if TRAINING in comment]
    if not found:
        raise RuntimeError(f"no training runs:\n{running.end().said[-2000:]}")
    return found[0]


def commands_in(folder: Folder) -> list[int]:
    """Processes of `fispace train arm` that run in the folder."""
    found: list[int] = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
            here = (place / "cwd").resolve() == folder.path.resolve()
        except OSError:
            continue  # it has ended
        if here and words[1:5] == [b"-m", b"fispace", b"train", b"arm"]:
            found.append(int(place.name))
    return found


def wait_until(
    holds: Callable[[], bool], complaint: str, seconds: float = PATIENCE_SECONDS
) -> None:
    """Wait, but not for ever.

    Raises:
        RuntimeError: with the complaint, if it does not come true.
    """
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError(complaint)
        time.sleep(0.3)
