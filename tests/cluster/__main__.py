"""The study on a real SLURM of one node, and what befalls it there: `make test-cluster`, or

    python -m cluster --out logs/cluster      (from tests/)

Runs a small study here first, then on SLURM: undisturbed, with jobs killed, a node drained and lost, too
little memory, and asked for what the cluster has not. Compares every byte. Writes faults.csv and faults.md
as it goes; `--go-on` continues. Exit code 1 if anything did not survive.
"""

import argparse
import shutil
import signal
import sys
from pathlib import Path

from cluster.slurm import Slurm, missing
from cluster.trials import TARGETS, try_all
from faults.table import Table
from workflow.conftest import Folder, tiny_folder

HERE = Path(__file__).parent
OVERLAYS = (HERE.parent / "faults/smaller.yaml", HERE / "study.yaml")
MEMORY_MB = 10000
"""Of the node, so that every machine of that size gives the same jobs side by side."""


def main() -> int:
    """Run the trials; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m cluster",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder of the table and the copies"
    )
    parser.add_argument("--go-on", action="store_true", help="continue the table that is there")
    given = parser.parse_args()
    if lacking := missing():
        sys.stderr.write(
            f"error: no SLURM can be started here: no {', '.join(lacking)}. As root, on Debian: apt-get "
            "install --no-install-recommends slurm-wlm munge\n"
        )
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that no daemon is left behind
    table = Table(given.out.resolve(), go_on=given.go_on)
    study = made_study(table.folder / "work", go_on=given.go_on)
    shutil.rmtree(table.folder / "slurm", ignore_errors=True)
    with Slurm(table.folder / "slurm", memory=MEMORY_MB) as slurm:
        try_all(study, slurm, table)
    return 0 if table.all_survived else 1


def made_study(work: Path, *, go_on: bool) -> Folder:
    """The local run that everything is compared with."""
    kept, whole = work / "study", work / "study.whole"
    shutil.rmtree(work / "trial", ignore_errors=True)
    if go_on and whole.is_file():
        return Folder(kept)
    shutil.rmtree(work, ignore_errors=True)
    study = tiny_folder(kept, *OVERLAYS)
    study.snakemake(*TARGETS)
    whole.touch()
    return study


if __name__ == "__main__":
    sys.exit(main())
