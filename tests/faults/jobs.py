"""A finished study, its single jobs, and copies of it in which something goes wrong.

Copies share the study's results by hard links: every writer replaces files and none changes one in
place, which the harness checks at its end. Must not: decide what goes wrong.
"""

import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workflow.conftest import Folder

RUN = "testbed"
CHECKPOINTS = "--checkpoint-seconds"
JOB_PATIENCE_SECONDS = 300.0

UNFINISHED = (".partial-", ".tmp")
"""Hidden files of a write that was killed: ours, and those of the library that writes tensors."""


@dataclass(frozen=True)
class Job:
    """One call of the command line, as the workflow makes it."""

    name: str
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    timing: str
    """Where the workflow noted its seconds."""

    @property
    def scratch(self) -> str | None:
        """Folder of its unfinished work."""
        return self._after("--scratch")

    @property
    def keeps_every_step(self) -> "Job":
        """The same job, its training kept after every step: nothing that it writes depends on it."""
        seconds = self._after(CHECKPOINTS)
        if seconds is None:
            return self
        at = self.arguments.index(CHECKPOINTS) + 1
        words = (*self.arguments[:at], "0", *self.arguments[at + 1 :])
        return Job(self.name, words, self.outputs, self.timing)

    def _after(self, flag: str) -> str | None:
        words = dict(zip(self.arguments, self.arguments[1:], strict=False))
        return words.get(flag)


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it said."""

    code: int
    said: str

    @property
    def is_clear_error(self) -> bool:
        """Whether it failed in words: no traceback, no signal."""
        return self.code in (1, 2) and "error" in self.said and "Traceback" not in self.said

    @property
    def last_words(self) -> str:
        """The last line of what it said."""
        return (self.said.strip().splitlines() or [""])[-1][:300]


class Running:
    """A tool in a process group of its own; what it says goes to a file, which never fills up."""

    def __init__(self, folder: Folder, words: Sequence[str], env: dict[str, str]) -> None:
        self._said = said_file(folder.path)
        with self._said.open("wb") as stream:
            self.process = subprocess.Popen(
                words, cwd=folder.path, env=env, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=stream, start_new_session=True,
            )  # fmt: skip

    def end(self, patience: float = 3600.0) -> Ended:
        """Wait for its end; one that hangs is killed, which is no clear error."""
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            code = self.process.wait()
        return Ended(code, self._said.read_text(encoding="utf-8", errors="replace"))


def said_file(path: Path) -> Path:
    """Where a tool in that folder speaks."""
    return path.with_name(path.name + ".said")


def discard(path: Path) -> None:
    """Delete a copy and what was said there."""
    shutil.rmtree(path)
    said_file(path).unlink(missing_ok=True)


def jobs_of(study: Folder) -> list[Job]:
    """Every job of the study, from a dry run."""
    text = study.run("snakemake", "-n", "-p", "--forceall", FISPACE_IN_SYNC="1")
    found: list[Job] = []
    for block in re.split(r"^(?:local)?rule ", text, flags=re.MULTILINE)[1:]:
        call = re.search(r"python -m fispace (.*)$", block, re.MULTILINE)
        lines = dict(re.findall(r"^    (output|benchmark): (.*)$", block, re.MULTILINE))
        if call and "output" in lines:
            arguments = tuple(shlex.split(call[1]))
            paths = tuple(lines["output"].split(", "))
            found.append(Job(" ".join(arguments[:2]), arguments, paths, lines["benchmark"]))
    return found


def seconds_noted(study: Folder, job: Job) -> float:
    """How long the job took in the undisturbed run."""
    with (study.path / job.timing).open(encoding="utf-8") as stream:
        return float(list(csv.DictReader(stream, delimiter="\t"))[-1]["s"])


def without(study: Folder, job: Job, path: Path) -> Folder:
    """A copy of the study in which the job is still to be done."""
    folder = linked(study, path)
    for name in job.outputs:
        (path / name).unlink()
    for record in (path / "results").rglob(".provenance/*.json"):
        named = json.loads(record.read_text(encoding="utf-8"))["outputs"]
        made = {os.path.relpath(record.parent.parent / name, path) for name in named}
        if made & set(job.outputs):
            record.unlink()
    return folder


def linked(study: Folder, path: Path) -> Folder:
    """A copy of the study's files by hard links, without the records of the tools."""
    left_out = {".snakemake", ".git", ".dvc", "logs", "scratch"}
    path.mkdir(parents=True)
    for source in study.path.iterdir():
        if source.is_dir() and source.name not in left_out:
            shutil.copytree(source, path / source.name, copy_function=os.link)
        elif source.is_file():
            os.link(source, path / source.name)
    return Folder(path)


def start(folder: Folder, *arguments: str, prefix: tuple[str, ...] = (), **env: str) -> Running:
    """Start `python -m ...` in the folder."""
    source = {"PYTHONPATH": str(folder.path / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    words = [*prefix, sys.executable, "-m", *arguments]
    return Running(folder, words, folder.env(**source, **env))


def start_job(folder: Folder, job: Job, prefix: tuple[str, ...] = (), **env: str) -> Running:
    """Start a job as Snakemake does: the folders of its outputs are there."""
    for name in job.outputs:
        (folder.path / name).parent.mkdir(parents=True, exist_ok=True)
    return start(folder, "fispace", *job.arguments, prefix=prefix, **env)


def run_job(folder: Folder, job: Job, prefix: tuple[str, ...] = (), **env: str) -> Ended:
    """Run a job to its end."""
    return start_job(folder, job, prefix, **env).end(JOB_PATIENCE_SECONDS)


def timed(running: Running) -> tuple[Ended, float]:
    """How a process ends, and the seconds until then."""
    begin = time.monotonic()
    return running.end(), time.monotonic() - begin


def torn(folder: Folder, study: Folder, names: tuple[str, ...]) -> list[str]:
    """Files under their final names that are not the bytes of the undisturbed run."""
    present = [name for name in names if (folder.path / name).is_file()]
    return [name for name in present if not same_bytes(folder.path / name, study.path / name)]


def differences(folder: Folder, study: Folder, *, whole: bool) -> list[str]:
    """Result files, records included, that are not those of the study; `whole`: or are missing."""
    mine, others = result_files(folder), result_files(study)
    missing = others - mine if whole else set()
    surplus = mine - others
    common = (name for name in mine & others)
    changed = {n for n in common if not same_bytes(folder.path / n, study.path / n)}
    return sorted(missing | surplus | changed) if mine else ["no results at all"]


def result_files(folder: Folder) -> set[str]:
    """Names of all files below results/, unfinished ones left out."""
    found = (path for path in (folder.path / "results").rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder.path)) for path in found if not path.name.startswith(UNFINISHED)
    }


def same_bytes(one: Path, other: Path) -> bool:
    """Whether two files have equal content; links of one file do."""
    return one.samefile(other) or one.read_bytes() == other.read_bytes()
