"""Puts the harness's tables where git keeps them, and their summary into docs/robustness.md.

Must not: try anything, or touch the page outside its generated block.
"""

import argparse
import sys
from pathlib import Path

from faults.table import TRIALS, Table

from fispace.report.markdown import Block

ROOT = Path(__file__).parents[2]
PAGE, REFERENCE = ROOT / "docs/robustness.md", ROOT / "results/reference/faults"
FAULTS = Block("faults", "make faults-reference")


def main() -> int:
    """Copy the table and rewrite the block; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m faults.publish", description=__doc__)
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="folders that harnesses wrote"
    )
    found = [trial for out in parser.parse_args().out for trial in Table(out, go_on=True).trials]
    if not found:
        sys.stderr.write("error: no trial in any of the folders\n")
        return 1
    table = Table(REFERENCE, go_on=False)
    table.trials = sorted(found, key=lambda trial: (trial.fault, trial.number))
    (REFERENCE / TRIALS).write_text(table.as_csv(), encoding="utf-8", newline="\n")
    FAULTS.write(PAGE, table.summary())
    return 0


if __name__ == "__main__":
    sys.exit(main())
