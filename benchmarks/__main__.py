"""`python -m benchmarks`: measure, write the tables, the figure and the page. See README.md here."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.activations import require_manifest
from benchmarks.console import exit_code
from benchmarks.data import measure_data
from benchmarks.figure import draw
from benchmarks.machine import machine
from benchmarks.publish import PAGE, REFERENCE, publish
from benchmarks.quality import Training, measure_quality
from benchmarks.scaling import N_LATENTS, measure_scaling
from benchmarks.steps import SIZES, Rounds, Rows, measure_cpu
from benchmarks.summary import page
from benchmarks.tables import read_tables, table_of, write_tables
from fispace.plotting.style import rendered
from fispace.store.files import atomic_path, read_json, write_json, write_text
from fispace.study.config.lm import LmConfig

MANIFEST = Path("results/testbed/extract/manifest.json")
LM = LmConfig(name="results/testbed/testbed/lm", revision=None, dtype="float32", hook_point=1)
"""The default study's LM, for the comparison of extraction with its forward pass."""
SECTIONS = ("steps", "scaling", "data", "quality")
ROUNDS = Rounds(n_warmup=2, n_rounds=9)
TRAINING = Training(
    n_tokens=1_000_000, batch_tokens=1024, k=32, lrs=(1e-3, 3e-3, 1e-2), seeds=(0, 1)
)


def main() -> int:
    """Run the benchmark; returns the exit code."""
    options = _parser().parse_args()
    if options.publish:
        return exit_code(lambda: publish(options.out, REFERENCE, PAGE))
    manifests = options.manifest or [MANIFEST]
    return exit_code(lambda: run(options.only or SECTIONS, manifests, options.out))


def run(sections: Sequence[str], manifests: list[Path], out: Path) -> None:
    """Measure the sections named, each written when it is done; other tables are left as they are."""
    for manifest in manifests if {"quality", "data"} & set(sections) else ():
        require_manifest(manifest)
    for section in sections:
        found = measure_section(section, manifests)
        write_tables(out, {name: table_of(name, rows) for name, rows in found.items()})
        write_json(out / "machine.json", machine())
    write_report(out)


def measure_section(section: str, manifests: list[Path]) -> dict[str, Rows]:
    """Rows of every table that a section fills."""
    if section == "steps":
        steps, memory = measure_cpu(SIZES, ROUNDS)
        return {"steps": steps, "memory": memory}
    if section == "scaling":
        return {"scaling": measure_scaling(N_LATENTS, ROUNDS)}
    if section == "data":
        return {"data": measure_data(manifests[0], LM, ROUNDS)}
    by_study = [measure_quality(manifest, TRAINING) for manifest in manifests]
    return {"quality": [row for rows in by_study for row in rows]}


def write_report(out: Path) -> None:
    """The figure and the Markdown page from the tables in the folder."""
    tables = read_tables(out)
    figure = draw(tables)
    for suffix in (".svg", ".pdf"):
        with atomic_path(out / f"bench{suffix}") as partial:
            partial.write_bytes(rendered(figure, suffix))
    write_text(out / "table.md", page(tables, read_json(out / "machine.json")))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--manifest", type=Path, action="append",
        help=f"a study's activations; may be given more than once (default: {MANIFEST})",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("results/bench"), help="folder of results")
    parser.add_argument(
        "--only",
        choices=SECTIONS,
        action="append",
        help="measure only this section; the rest is kept",
    )
    parser.add_argument(
        "--publish",
        action="store_true",
        help="measure nothing: copy the results to where git keeps them",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
