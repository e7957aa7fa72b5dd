"""Which declared table a CSV below results/ is."""

import re
from collections.abc import Mapping
from pathlib import Path

from benchmarks.tables import TABLES as BENCHMARK
from fispace.chapters.factorial import tables as factorial
from fispace.chapters.fidelity import tables as fidelity
from fispace.chapters.geometry import tables as geometry
from fispace.chapters.interactions import tables as interactions
from fispace.chapters.testbed import tables as testbed
from fispace.chapters.train import tables as train
from fispace.report import tables as report
from fispace.store.columns import Table

ROOT = Path(__file__).parents[1]
REFERENCE = Path("results/reference")
RUN_OF_BANDS = Table(
    "bands/runs",
    {name: column for name, column in report.BANDS.columns.items() if name != report.N_RUNS},
)
"""What bands keep of a run's ledger."""
OTHER_TOOLS = ("faults/faults.csv", "cluster/faults.csv")
"""Tables that no part of the package writes or reads."""

OF_RUN: Mapping[str, Table] = {
    "testbed/stimuli": testbed.STIMULI,
    "testbed/planted": testbed.PLANTED_PAIRS,
    "train/validation": train.VALIDATION,
    "train/tuning": train.TUNING,
    "fidelity/summary": fidelity.SUMMARY,
    "fidelity/differences": fidelity.DIFFERENCES,
    "fidelity/controls": fidelity.CONTROLS,
    "fidelity/gain_curve": fidelity.GAIN_CURVE,
    "fidelity/shapley": fidelity.SHAPLEY,
    "geometry/summary": geometry.SUMMARY,
    "geometry/heads": geometry.HEADS,
    "geometry/history": geometry.HISTORY,
    "interactions/pairs": interactions.PAIRS,
    "interactions/summary": interactions.SUMMARY,
    "interactions/latents": interactions.LATENTS,
    "interactions/contexts": interactions.CONTEXTS,
    "interactions/recovery": interactions.RECOVERY,
    "interactions/power": interactions.POWER,
    "factorial/items": factorial.ITEMS,
    "factorial/words": factorial.WORDS,
    "factorial/contexts": factorial.CONTEXTS,
    "factorial/candidates": factorial.CANDIDATES,
    "factorial/pairs": factorial.PAIRS,
    "factorial/generation_counts": factorial.GENERATION_COUNTS,
    "factorial/singles": factorial.SINGLES,
    "factorial/singles_histogram": factorial.HISTOGRAM,
    "factorial/infer": factorial.FAMILY,
    "factorial/hypotheses": factorial.HYPOTHESES,
    "factorial/activation_cells": factorial.ACTIVATION_CELLS,
    "factorial/clamp_cells": factorial.CLAMP_CELLS,
    "factorial/clamp_items": factorial.CLAMP_ITEMS,
    "factorial/clamp_fits": factorial.CLAMP_FITS,
    "factorial/secondary": factorial.SECONDARY,
    "factorial/truth": factorial.TRUTH,
    "factorial/calibration": factorial.CALIBRATION,
    "factorial/power": factorial.POWER,
    "report/claims": report.LEDGER,
    "report/quantities": report.QUANTITIES,
    "report/documents": report.DOCUMENTS,
    "report/arms": report.ARM_NUMBERS,
    "report/audit": report.AUDIT,
    "report/health": report.HEALTH,
    **{f"report/figures/{name}": table for name, table in report.OF_FIGURES.items()},
}
"""By the path below results/<run>/, without suffix, seed, and the folder of the target `full`."""


def table_of_file(path: Path) -> Table:
    """The declared table of a CSV below results/reference/."""
    name = path.relative_to(REFERENCE).with_suffix("").as_posix()
    if name.startswith(("bench/", "bench-gpu/")):
        return BENCHMARK[name.partition("/")[2]]
    if name.startswith("bands/"):
        return RUN_OF_BANDS if "/runs/" in name else report.BANDS
    return OF_RUN[re.sub(r"full/|seed\d+\.", "", name.partition("/")[2])]


REFERENCE_TABLES = [
    path.relative_to(ROOT)
    for path in sorted((ROOT / REFERENCE).rglob("*.csv"))
    if path.relative_to(ROOT / REFERENCE).as_posix() not in OTHER_TOOLS
]
