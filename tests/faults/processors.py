"""Does all hold as on older processors? `make test-processors`, or `python -m faults.processors` in tests/.

Runs all tests that are not slow, and the whole tiny study, in environments in which numpy, torch and
their matrix products use no AVX-512, and none of AVX. The study's numbers have other last digits there
and part ways from them. What must not change are the names of its files and, drawn from equal tables,
the bytes of every figure. No part of `make test`: it takes an hour for each processor.
"""

import argparse
import logging
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from workflow.conftest import OLDER_PROCESSORS, ROOT, Folder, tiny_folder

log = logging.getLogger("faults.processors")
FIGURES = "report/figures"
DRAW = """
import sys
from pathlib import Path
from fispace.report.draw import draw_figure
for table in map(Path, sys.argv[2:]):
    out = Path(sys.argv[1], table.stem)
    draw_figure(figure=table.stem, table=table, svg=out.with_suffix(".svg"), pdf=out.with_suffix(".pdf"))
"""


def main() -> int:
    """Run all and compare; returns the exit code."""
    logging.basicConfig(format="%(message)s", stream=sys.stdout, level=logging.INFO)
    parser = argparse.ArgumentParser(prog="python -m faults.processors", description=__doc__)
    parser.add_argument("--no-tests", action="store_true", help="only the study")
    with_tests = not parser.parse_args().no_tests
    failures = [name for name, env in OLDER_PROCESSORS.items() if with_tests and not passes(env)]
    with TemporaryDirectory() as name:
        ours = study_of(Path(name, "own"), {})
        for processor, env in OLDER_PROCESSORS.items():
            theirs = study_of(Path(name, processor), env)
            different = [*differing_names(ours, theirs), *differing_drawings(theirs, Path(name))]
            log.info("%s: %d differences %s", processor, len(different), " ".join(different))
            failures += different
    return 1 if failures else 0


def passes(env: dict[str, str]) -> bool:
    """Whether all tests that are not slow pass in the environment; pytest says which do not."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider"]
    return subprocess.run(command, cwd=ROOT, env=os.environ | env, check=False).returncode == 0


def study_of(place: Path, env: dict[str, str]) -> Folder:
    """A working copy in which the whole tiny study has run in the environment."""
    folder = tiny_folder(place)
    folder.snakemake("full", **env)
    return folder


def differing_names(ours: Folder, theirs: Folder) -> list[str]:
    """Result files that only one of the studies has."""
    return sorted(ours.results().keys() ^ theirs.results().keys())


def differing_drawings(study: Folder, scratch: Path) -> list[str]:
    """Figures of the study that this processor draws otherwise from the study's own tables."""
    figures = study.path / "results/testbed" / FIGURES
    tables = sorted(figures.glob("*.csv"))
    out = scratch / f"drawn {study.path.name}"
    out.mkdir()
    command = [sys.executable, "-c", DRAW, str(out), *map(str, tables)]
    env = study.env(PYTHONPATH=str(study.path / "src"))
    subprocess.run(command, cwd=study.path, env=env, check=True)
    drawn = sorted(out.iterdir())
    assert len(drawn) == 2 * len(tables) > 0
    return [path.name for path in drawn if path.read_bytes() != (figures / path.name).read_bytes()]


if __name__ == "__main__":
    sys.exit(main())
