"""A finished study, its single jobs, and copies of it in which something goes wrong."""

import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from workflow.conftest import Folder

RUN = "testbed"


@dataclass(frozen=True)
class Job:
    """One call of the command line, as the workflow makes it."""

    name: str
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it said."""

    code: int
    said: str

    @property
    def is_clear_error(self) -> bool:
        """Whether it failed with words instead of a traceback."""
        return self.code not in (0, -signal.SIGKILL) and "Traceback" not in self.said


def jobs_of(study: Folder) -> list[Job]:
    """Every job of the study, from a dry run."""
    text = study.run("snakemake", "-n", "-p", "--forceall", FISPACE_IN_SYNC="1")
    found: list[Job] = []
    for block in re.split(r"^(?:local)?rule ", text, flags=re.MULTILINE)[1:]:
        call = re.search(r"python -m fispace (.*?) 2> ", block, re.DOTALL)
        outputs = re.search(r"^    output: (.*)$", block, re.MULTILINE)
        if call and outputs:
            arguments = tuple(shlex.split(call[1]))
            paths = tuple(outputs[1].split(", "))
            found.append(Job(" ".join(arguments[:2]), arguments, paths))
    return found


def without(study: Folder, job: Job, path: Path) -> Folder:
    """A copy of the study in which the job is still to be done."""
    folder = study.copied_to(path, ".snakemake", ".git", ".dvc", "logs", "scratch")
    for name in job.outputs:
        (path / name).unlink(missing_ok=True)
    return folder


def start(folder: Folder, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """A tool in its own process group; its output goes to a pipe."""
    source = {"PYTHONPATH": str(folder.path / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", *arguments], cwd=folder.path, env=folder.env(**source),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> Ended:
    """Wait for the end of a process."""
    _, said = process.communicate()
    return Ended(process.returncode, said)


def run_job(folder: Folder, job: Job, prefix: tuple[str, ...] = ()) -> Ended:
    """Run a job to its end."""
    for name in job.outputs:
        (folder.path / name).parent.mkdir(parents=True, exist_ok=True)
    return finish(start(folder, "fispace", *job.arguments, prefix=prefix))


def seconds_of(study: Folder, job: Job, path: Path) -> float:
    """How long the job takes undisturbed."""
    folder, begin = without(study, job, path), time.monotonic()
    ended = run_job(folder, job)
    assert ended.code == 0, ended.said[-2000:]
    shutil.rmtree(path)
    return time.monotonic() - begin


def torn(folder: Folder, study: Folder, names: tuple[str, ...]) -> list[str]:
    """Files under their final names that are not the bytes of the undisturbed run."""
    present = [name for name in names if (folder.path / name).is_file()]
    return [n for n in present if (folder.path / n).read_bytes() != (study.path / n).read_bytes()]


def unequal(folder: Folder, study: Folder, names: tuple[str, ...]) -> list[str]:
    """Files that are missing or not the bytes of the undisturbed run."""
    missing = [name for name in names if not (folder.path / name).is_file()]
    return missing + torn(folder, study, names)
