"""`geometry summary`: the numbers of all arms and seeds as one table.

Must not: measure.
"""

import pandas as pd

from fispace.chapters.geometry.tables import SUMMARY
from fispace.store.tables import read_table, write_csv, write_table
from fispace.study.step import Reads, Writes, command


@command("geometry", "summary")
def summarise_geometry(*, documents: list[Reads], summary: Writes, table: Writes) -> None:
    """Write the long tables of all arms and seeds as one, as Parquet and as CSV."""
    frame = pd.concat([read_table(path) for path in documents], ignore_index=True)
    frame = frame.sort_values(["arm", "metric", "state", "seed"], ignore_index=True)
    write_table(summary, frame, {"step": "geometry summary"})
    write_csv(table, frame, SUMMARY)
