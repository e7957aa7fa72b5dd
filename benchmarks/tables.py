"""The result files and their columns. Must not: import torch; the figure is redrawn without it."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from fispace.errors import ArtifactError
from fispace.store.columns import INTEGER, NUMBER, TEXT, Column, Table
from fispace.store.tables import read_csv, write_csv

SIZE = ("d_model", "n_latents", "k", "d_embed", "batch_tokens")

OF_SIZE: dict[str, Column] = dict.fromkeys(SIZE, INTEGER)
TIMED: dict[str, Column] = {"n_rounds": INTEGER, "median_s": NUMBER}
TABLES: Mapping[str, Table] = {
    name: Table(f"{name}.csv", columns)
    for name, columns in {
        "steps": {
            "device": TEXT, **OF_SIZE, "contestant": TEXT, **TIMED, "min_s": NUMBER, "max_s": NUMBER,
            "tokens_per_s": NUMBER,
        },
        "memory": {
            "device": TEXT, **OF_SIZE, "contestant": TEXT, "before_mib": NUMBER, "peak_mib": NUMBER,
            "training_mib": NUMBER,
        },
        "scaling": {
            "contestant": TEXT, **OF_SIZE, "active_latents": INTEGER, **TIMED, "us_per_token": NUMBER,
        },
        "quality": {
            "run": TEXT, "contestant": TEXT, "d_model": INTEGER, "n_latents": INTEGER, "k": INTEGER,
            "batch_tokens": INTEGER, "n_tokens": INTEGER, "lr": NUMBER, "seed": INTEGER, "fvu": NUMBER,
            "seconds": NUMBER,
        },
        "data": {"what": TEXT, "quantity": TEXT, "value": NUMBER},
    }.items()
}  # fmt: skip
"""Every table by its file's name, with its columns in order."""
COLUMNS: Mapping[str, tuple[str, ...]] = {name: tuple(t.columns) for name, t in TABLES.items()}

Tables = dict[str, pd.DataFrame]


def table_of(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows of a table under exactly its columns.

    Raises:
        ValueError: if a row has other columns.
    """
    for row in rows:
        if set(row) != set(COLUMNS[name]):
            raise ValueError(f"a row of {name} has the columns {sorted(row)}")
    columns = TABLES[name].columns
    return pd.DataFrame(rows, columns=pd.Index(columns)).astype(
        {column: declared.kind.dtype for column, declared in columns.items()}
    )


def write_tables(folder: Path, tables: Tables) -> None:
    """Write each table as CSV."""
    for name, table in tables.items():
        write_csv(folder / f"{name}.csv", table, TABLES[name])


def read_tables(folder: Path, names: Collection[str] = TABLES) -> Tables:
    """All tables of an earlier benchmark, or those of some names.

    Raises:
        ArtifactError: if one is missing or has other columns.
    """
    try:
        return {name: read_csv(folder / f"{name}.csv", TABLES[name]) for name in names}
    except ArtifactError as error:
        raise ArtifactError(f"{error} Benchmarks are made by `make bench`.") from None
