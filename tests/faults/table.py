"""What was tried, how often, and what survived: one row a trial, one line a kind.

Must not: try anything.
"""

import csv
import io
import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

SKIPPED = "skipped"
FOLDERS = re.compile(r"(?<![\w.])/(?:[\w.+-]+/)+")
"""Absolute folders: those of this machine say nothing."""
TRIALS, SUMMARY = "faults.csv", "faults.md"


@dataclass(frozen=True)
class Outcome:
    """Whether a run came through a fault as promised."""

    what: str
    detail: str
    survived: bool
    remark: str = ""


@dataclass(frozen=True)
class Trial:
    """One fault and its outcome."""

    fault: str
    number: int
    what: str
    detail: str
    survived: bool
    remark: str
    seconds: float


class Table:
    """Trials, written after each one; what is there already need not be tried again."""

    def __init__(self, folder: Path, *, go_on: bool) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.trials = self._read() if go_on and (folder / TRIALS).is_file() else []

    def try_out(self, fault: str, number: int, trial: Callable[[], Outcome]) -> None:
        """Add one trial and say so, unless it is there."""
        if any((known.fault, known.number) == (fault, number) for known in self.trials):
            return
        begin = time.monotonic()
        outcome = trial()
        seconds = round(time.monotonic() - begin, 1)
        values = asdict(outcome) | {"remark": " ".join(outcome.remark.split())}
        self.trials.append(Trial(fault, number, seconds=seconds, **values))
        word = "survived" if outcome.survived else "FAILED"
        sys.stderr.write(f"{word:8s} {fault} {number}: {outcome.what} ({outcome.detail}), "
                         f"{seconds} s {values['remark']}\n")  # fmt: skip
        self.write()

    def write(self) -> None:
        """faults.csv with every trial, faults.md with one line for each kind."""
        (self.folder / TRIALS).write_text(self.as_csv(), encoding="utf-8", newline="\n")
        (self.folder / SUMMARY).write_text(self.summary(), encoding="utf-8")

    def as_csv(self) -> str:
        """Every trial, a row each."""
        stream = io.StringIO()
        names = [field.name for field in fields(Trial)]
        writer = csv.DictWriter(stream, names, lineterminator="\n")
        writer.writeheader()
        for trial in self.trials:
            writer.writerow(asdict(trial) | {"remark": FOLDERS.sub(".../", trial.remark)})
        return stream.getvalue()

    def summary(self) -> str:
        """One line for each kind of fault: tried, survived."""
        lines = ["| fault | tried | survived |", "|---|---:|---:|"]
        for fault in dict.fromkeys(trial.fault for trial in self.trials):
            tried = [t for t in self.trials if t.fault == fault and t.remark != SKIPPED]
            lines.append(f"| {fault} | {len(tried)} | {sum(t.survived for t in tried)} |")
        return "\n".join(lines) + "\n"

    @property
    def all_survived(self) -> bool:
        """Whether no trial failed."""
        return all(trial.survived for trial in self.trials)

    def _read(self) -> list[Trial]:
        with (self.folder / TRIALS).open(newline="", encoding="utf-8") as stream:
            return [
                Trial(row["fault"], int(row["number"]), row["what"], row["detail"],
                      row["survived"] == "True", row["remark"], float(row["seconds"]))
                for row in csv.DictReader(stream)
            ]  # fmt: skip
