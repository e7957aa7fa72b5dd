"""Redraws every figure below results/reference/ from the tables committed beside them.

    python workflow/redraw.py            every figure, in place
    python workflow/redraw.py --check    compare only; exit code 1 if any would change

It needs only a fresh clone after set-up: no run, no torch and no Snakemake. Must not: compute a number.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

# the package and the benchmark as they stand here
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
os.environ.pop("MPLBACKEND", None)  # a notebook's: it may be missing here
from benchmarks.figure import draw as draw_benchmark
from benchmarks.tables import read_tables
from fispace.errors import FispaceError
from fispace.plotting.style import rendered
from fispace.report.draw import FIGURES
from fispace.report.tables import OF_FIGURES
from fispace.store.tables import read_csv

REFERENCE = Path("results/reference")
BENCHMARK = REFERENCE / "bench"


def drawings() -> Iterator[Path]:
    """Every committed figure, without its suffix: the benchmark's, and those of the studies."""
    if BENCHMARK.is_dir():
        yield BENCHMARK / "bench"
    for path in sorted(REFERENCE.glob("*/report/figures/*.csv")):
        if path.stem in FIGURES:
            yield path.with_suffix("")


def redrawn(drawing: Path) -> list[tuple[Path, bytes]]:
    """The figure's committed files, each with the bytes of a new drawing of it."""
    if drawing.parent == BENCHMARK:
        figure = draw_benchmark(read_tables(BENCHMARK))
    else:
        table = read_csv(drawing.with_suffix(".csv"), OF_FIGURES[drawing.name])
        figure = FIGURES[drawing.name](table)
    return [(drawing.with_suffix(end), rendered(figure, end)) for end in (".svg", ".pdf")]


def differs(old: Path, new: bytes) -> bool:
    """Whether the committed drawing is missing or has other bytes."""
    return not old.is_file() or old.read_bytes() != new


def main(arguments: list[str] | None = None) -> int:
    """Redraw or compare; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare only")
    is_check = parser.parse_args(arguments).check
    changed, count = [], 0
    try:
        with ProcessPoolExecutor() as pool:
            drawn = [pair for pairs in pool.map(redrawn, drawings()) for pair in pairs]
    except FispaceError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    for old, new in drawn:
        count += 1
        if differs(old, new):
            changed.append(old)
            if not is_check:
                old.write_bytes(new)
    same = f"{count - len(changed)} of {count} files below {REFERENCE} have the committed bytes"
    names = "".join(f"\n  {path}" for path in changed)
    verb = "would change" if is_check else "changed"
    sys.stderr.write(f"{same}{f'; {verb}:{names}' if changed else '.'}\n")
    return 1 if count == 0 or (is_check and changed) else 0


if __name__ == "__main__":
    sys.exit(main())
