"""Puts a finished benchmark where git keeps it: results/reference/bench/ and the page docs/benchmark.md.

Must not: measure, or touch the page outside its generated block.
"""

import shutil
from pathlib import Path

from benchmarks.summary import published_block
from benchmarks.tables import COLUMNS, read_tables
from fispace.errors import ArtifactError
from fispace.report.markdown import Block
from fispace.store.files import read_json

REFERENCE = Path("results/reference/bench")
PAGE = Path("docs/benchmark.md")
BENCHMARK = Block("benchmark", "make bench-reference")
GPU_REFERENCE = Path("results/reference/bench-gpu")
GPU_BENCHMARK = Block("benchmark-gpu", "make bench-gpu PUBLISH=--publish")
GPU_FILES = ("steps.csv", "memory.csv", "quality.csv", "machine.json", "table.md")
FILES = (*(f"{name}.csv" for name in COLUMNS), "machine.json", "bench.svg", "bench.pdf", "table.md")


def publish(out: Path, reference: Path, page: Path) -> None:
    """Replace the reference results and the page's block by those of a finished benchmark.

    Raises:
        ArtifactError: if a result is missing, or the page or one of its markers.
    """
    missing = [name for name in FILES if not (out / name).exists()]
    if missing:
        raise ArtifactError(f"{out / missing[0]} does not exist: run `make bench` first.")
    BENCHMARK.write(page, block(out))
    reference.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(out / name, reference / name)


def publish_gpu(out: Path) -> None:
    """The same for a finished benchmark on a GPU.

    Raises:
        ArtifactError: if a result is missing, or the page or one of its markers.
    """
    missing = [name for name in GPU_FILES if not (out / name).exists()]
    if missing:
        raise ArtifactError(f"{out / missing[0]} does not exist: run `make bench-gpu` first.")
    GPU_BENCHMARK.write(PAGE, (out / "table.md").read_text())
    GPU_REFERENCE.mkdir(parents=True, exist_ok=True)
    for name in GPU_FILES:
        shutil.copyfile(out / name, GPU_REFERENCE / name)


def block(folder: Path) -> str:
    """What the page shows of the results in a folder.

    Raises:
        ArtifactError: if a result is missing.
    """
    return published_block(read_tables(folder), read_json(folder / "machine.json"))
