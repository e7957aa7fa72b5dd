"""What was tried, how often, and what survived: one row a trial, one line a kind."""

import csv
import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path


@dataclass(frozen=True)
class Trial:
    """One fault, and whether the run came through it as promised."""

    fault: str
    what: str
    detail: str
    survived: bool
    remark: str


class Table:
    """Trials, written after each one so that an interrupted harness loses nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.trials = folder, list[Trial]()
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, fault: str, what: str, detail: str, survived: bool, remark: str = "") -> None:
        """Add a trial and say so."""
        trial = Trial(fault, what, detail, survived, " ".join(remark.split()))
        self.trials.append(trial)
        word = "survived" if survived else "FAILED"
        sys.stderr.write(f"{word:8s} {fault}: {what} ({detail}) {trial.remark}\n")
        self.write()

    def write(self) -> None:
        """faults.csv with every trial, faults.md with one line for each kind."""
        with (self.folder / "faults.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, [field.name for field in fields(Trial)])
            writer.writeheader()
            writer.writerows(asdict(trial) for trial in self.trials)
        lines = ["| fault | tried | survived |", "|---|---:|---:|"]
        for fault in dict.fromkeys(trial.fault for trial in self.trials):
            of_kind = [trial for trial in self.trials if trial.fault == fault]
            tried = [trial for trial in of_kind if trial.remark != "skipped"]
            survived = sum(trial.survived for trial in tried)
            lines.append(f"| {fault} | {len(tried)} | {survived} |")
        text = "\n".join(lines) + "\n"
        (self.folder / "faults.md").write_text(text, encoding="utf-8")

    @property
    def all_survived(self) -> bool:
        """Whether no trial failed."""
        return all(trial.survived for trial in self.trials)
