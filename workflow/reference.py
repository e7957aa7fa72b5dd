"""Copies the default run's tables, figures and claims to results/reference/, which git keeps.

Of what the target `full` makes beyond it, that is copied as well which is current. Then it writes the
README's result table from the copied claims, those of the target `full` if they are among them.

Must not: compute or draw anything, or copy from a run that is not complete and current.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import sync

from fispace.steps.report.readme import rewrite_readme, shown_ledger

RUN = "testbed"
SUFFIXES = {".csv", ".md", ".svg", ".pdf"}
NUMBERS = {"testbed/floor.json", "train/lr.json"}  # the two results that are no table


def is_kept(path: Path, folder: Path) -> bool:
    """Whether a result is a table, figure or claim that a reader wants to see."""
    return path.suffix in SUFFIXES or path.relative_to(folder).as_posix() in NUMBERS


def main() -> int:
    """Replace results/reference/<run>/; returns the exit code."""
    source, target = Path("results", RUN), Path("results/reference", RUN)
    try:
        promised, everything = sync.promised_files(), sync.promised_files(sync.EVERYTHING)
    except subprocess.CalledProcessError as error:
        return error.returncode  # Snakemake has said why
    missing = [path for path, is_current in promised.items() if not is_current]
    if missing or not promised:
        sys.stderr.write(
            f"error: the default run is not complete: {len(missing)} of {len(promised)} files are "
            f"missing or out of date, e.g. {missing[0] if missing else source}. "
            "Run `make reproduce` first; nothing was copied.\n"
        )
        return 1
    beyond = {path: done for path, done in everything.items() if path not in promised}
    current = [path for path, is_current in beyond.items() if is_current]
    if len(current) < len(beyond):
        sys.stderr.write(
            f"left out {len(beyond) - len(current)} files that only the target `full` makes, because "
            "they are missing or out of date: `snakemake full --cores all` makes them\n"
        )
    shutil.rmtree(target, ignore_errors=True)
    kept = [path for path in (*promised, *current) if is_kept(path, source)]
    for path in kept:
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    rewrite_readme(Path("README.md"), shown_ledger(target))
    sys.stderr.write(f"copied {len(kept)} files to {target}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
