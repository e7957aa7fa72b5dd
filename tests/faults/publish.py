"""Puts a harness's tables where git keeps them, and their summary into its page.

Must not: try anything, or touch a page outside its generated block.
"""

import argparse
import sys
from pathlib import Path

from faults.table import TRIALS, Table

from fispace.report.markdown import Block

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results/reference"
PLACES = {
    "faults": (
        ROOT / "docs/robustness.md", REFERENCE / "faults", Block("faults", "make faults-reference"),
    ),
    "cluster": (
        ROOT / "docs/cluster.md", REFERENCE / "cluster", Block("cluster", "make cluster-reference"),
    ),
}  # fmt: skip
"""Page, folder and block by harness."""


def main() -> int:
    """Copy the table and rewrite the block; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m faults.publish", description=__doc__)
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="folders that harnesses wrote"
    )
    parser.add_argument("--of", choices=PLACES, default="faults", help="the harness")
    given = parser.parse_args()
    page, reference, block = PLACES[given.of]
    found = [trial for out in given.out for trial in Table(out, go_on=True).trials]
    if not found:
        sys.stderr.write("error: no trial in any of the folders\n")
        return 1
    table = Table(reference, go_on=False)
    table.trials = sorted(found, key=lambda trial: (trial.fault, trial.number))
    (reference / TRIALS).write_text(table.as_csv(), encoding="utf-8", newline="\n")
    block.write(page, table.summary())
    return 0


if __name__ == "__main__":
    sys.exit(main())
