"""Are two runs of one commit the same bytes? `make test-clones`, or `python -m faults.clones` in tests/.

Clones the last commit twice, sets up an environment in each, and runs the default study in both: by
`make reproduce` in the surroundings as they are, by `make repro` in odd ones. Compares every result
file, records included. Exit code 1 if one differs. No part of `make test`: it takes two whole runs.
"""

import argparse
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from workflow.conftest import ROOT, odd_surroundings

from fispace.store.files import sha256_of

log = logging.getLogger("faults.clones")
RESULTS = "results/testbed"


def main() -> int:
    """Run both and compare; returns the exit code."""
    logging.basicConfig(format="%(message)s", stream=sys.stdout, level=logging.INFO)
    parser = argparse.ArgumentParser(prog="python -m faults.clones", description=__doc__)
    parser.add_argument("--keep", type=Path, help="new folder in which the clones are left")
    kept: Path | None = parser.parse_args().keep
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) if kept is None else kept.resolve()
        place.mkdir(exist_ok=kept is None)
        one = digests(made(place / "one", "reproduce", {}))
        two = digests(made(place / "other" / "study", "repro", odd_surroundings(place)))
    differing = sorted(path for path in one | two if one.get(path) != two.get(path))
    for path in differing:
        log.info("differs: %s", path)
    log.info(
        "%d files, %d of them with the same sha256", len(one | two), len(one | two) - len(differing)
    )
    return 1 if differing or not one else 0


def made(folder: Path, target: str, surroundings: dict[str, str]) -> Path:
    """A clone in which `make` has made the target; what it said is above it if it failed."""
    folder.parent.mkdir(exist_ok=True)
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    leave_out = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "MAKEFLAGS", "MAKELEVEL", "VIRTUAL_ENV")
    kept = {key: value for key, value in os.environ.items() if key not in leave_out}
    done = subprocess.run(
        ["make", target], cwd=folder, env=kept | surroundings, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    log.info("make %s: exit code %d", target, done.returncode)
    if done.returncode:
        log.info("%s", done.stdout[-4000:])
    done.check_returncode()
    return folder / RESULTS


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every result file and record, by its path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    found = {str(path.relative_to(folder)): path for path in files}
    return {
        name: sha256_of(path)
        for name, path in found.items()
        if not path.name.startswith(".snakemake")
    }


if __name__ == "__main__":
    sys.exit(main())
