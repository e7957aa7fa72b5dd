"""The result files and their columns. Must not: import torch; the figure is redrawn without it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from fispace.errors import ArtifactError
from fispace.store.tables import read_csv, write_csv

SIZE = ("d_model", "n_latents", "k", "d_embed", "batch_tokens")

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "steps": ("device", *SIZE, "contestant", "n_rounds", "median_s", "min_s", "max_s", "tokens_per_s"),
    "memory": ("device", *SIZE, "contestant", "before_mib", "peak_mib", "training_mib"),
    "scaling": ("contestant", *SIZE, "active_latents", "n_rounds", "median_s", "us_per_token"),
    "quality": (
        "run", "contestant", "d_model", "n_latents", "k", "batch_tokens", "n_tokens",
        "lr", "seed", "fvu", "seconds",
    ),
    "data": ("what", "quantity", "value"),
}  # fmt: skip
"""Every table and its columns, in order."""

Tables = dict[str, pd.DataFrame]


def table_of(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows of a table under exactly its columns.

    Raises:
        ValueError: if a row has other columns.
    """
    for row in rows:
        if set(row) != set(COLUMNS[name]):
            raise ValueError(f"a row of {name} has the columns {sorted(row)}")
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS[name]))


def write_tables(folder: Path, tables: Tables) -> None:
    """Write each table as CSV."""
    for name, table in tables.items():
        write_csv(folder / f"{name}.csv", table)


def read_tables(folder: Path) -> Tables:
    """All tables of an earlier benchmark.

    Raises:
        ArtifactError: if one is missing or has other columns.
    """
    tables = {name: read_csv(folder / f"{name}.csv") for name in COLUMNS}
    for name, table in tables.items():
        if tuple(table.columns) != COLUMNS[name]:
            raise ArtifactError(
                f"{folder / name}.csv has the columns {', '.join(table.columns)}, expected "
                f"{', '.join(COLUMNS[name])}: run `make bench` again."
            )
    return tables
