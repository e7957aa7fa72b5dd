"""Copies a run's tables, figures and claims to results/reference/, which git keeps.

    python workflow/reference.py                          the default run
    python workflow/reference.py --config overlay=...     another study: the options it was made with

Files that only the target `full` makes are copied if they are current. The records of all calls are
copied as one file. For the default run, the result tables of the README and of docs/ledger.md are then
written from its claims, or from those of `full` if they exist.

Must not: compute or draw anything, or copy from a run that is not complete and current.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))  # the package as it stands here
from engine import plan
from engine.kept_records import records_of, write_kept
from fispace.report.pages import rewrite_pages, shown_ledger

DEFAULT_RUN = "testbed"
SUFFIXES = {".csv", ".md", ".svg", ".pdf"}
NUMBERS = {"testbed/floor.json", "train/lr.json"}  # the two results that are not tables


def is_kept(path: Path, folder: Path) -> bool:
    """Whether a result is a table, figure or page that git keeps."""
    return path.suffix in SUFFIXES or path.relative_to(folder).as_posix() in NUMBERS


def main(arguments: list[str] | None = None) -> int:
    """Replace results/reference/<run>/; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    _, options = parser.parse_known_args(arguments)  # the rest is Snakemake's
    try:
        promised = plan.promised_files(options=options)
        everything = plan.promised_files(plan.EVERYTHING, options=options)
    except subprocess.CalledProcessError as error:
        return error.returncode  # Snakemake has said why
    run = next(iter(everything)).parts[1]  # every promised file lies in results/<run>/
    source, target = Path("results", run), Path("results/reference", run)
    missing = [path for path, is_current in promised.items() if not is_current]
    if missing or not promised:
        sys.stderr.write(
            f"error: the run {run} is not complete: {len(missing)} of {len(promised)} files are "
            f"missing or out of date, e.g. {missing[0] if missing else source}. "
            "Run the workflow first (`make reproduce`); nothing was copied.\n"
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
    write_kept(target, records_of(source))
    if run == DEFAULT_RUN:
        rewrite_pages(Path(), shown_ledger(target))
    sys.stderr.write(f"copied {len(kept)} files to {target}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
