"""What Snakemake would do: the jobs of a target, and whether their files are current.

Must not: run a job.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from engine.foreign import IN_SYNC
from fispace.cli import calls_of
from fispace.provenance.proof import Call

EVERYTHING = "full"  # the target that makes all that any rule makes
DRY = ("--dry-run", "--forceall", "--printshellcmds", "--nolock")


def snakemake(*arguments: str, capture: bool = False) -> str:
    """Run Snakemake past the guard; returns its standard output if captured."""
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *arguments],
        check=True, text=True, env={**os.environ, IN_SYNC: "1"},
        stdout=subprocess.PIPE if capture else None,
    )  # fmt: skip
    return done.stdout or ""


def promised_files(*targets: str, options: Sequence[str] = ()) -> dict[Path, bool]:
    """Every file that the targets need or consist of, and whether it exists and is current."""
    listed = snakemake(*targets, "--detailed-summary", "--nolock", *options, capture=True)
    head, *rows = [line.split("\t") for line in listed.splitlines()]
    found = [dict(zip(head, row, strict=True)) for row in rows]
    return {Path(row["output_file"]): row["plan"] == "no update" for row in found}


class Job(NamedTuple):
    """A planned job: its files, and the calls of commands that it makes in turn."""

    inputs: tuple[Path, ...]
    """All files that its rule waits for, also those that no command reads."""
    outputs: tuple[Path, ...]
    calls: tuple[Call, ...]


def planned_jobs(*targets: str, options: Sequence[str] = ()) -> Iterator[Job]:
    """The jobs that would make the targets if there were no results."""
    said = snakemake(*targets, *DRY, *options, capture=True)
    for block in re.split(r"^(?:local)?rule ", said, flags=re.MULTILINE)[1:]:
        output = re.search(r"^    output: (.*)$", block, re.MULTILINE)
        needed = re.search(r"^    input: (.*)$", block, re.MULTILINE)
        command = re.search(r"\bpython -m fispace (.*)$", block, re.MULTILINE)
        if output and command:
            files = tuple(map(Path, output[1].split(", ")))
            inputs = tuple(map(Path, needed[1].split(", "))) if needed else ()
            yield Job(inputs, files, tuple(_calls(shlex.split(command[1]), files)))


def _calls(words: Sequence[str], files: Sequence[Path]) -> Iterator[Call]:
    """The calls that a command line makes in turn, each with the files of the job that it writes."""
    command, turns = calls_of(words)
    for values in turns:
        places = [values[name] for name in command.writes]
        own = (path for path in files if any(path.is_relative_to(place) for place in places))
        yield Call(command, values, tuple(own))
