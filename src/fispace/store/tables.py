"""Long result tables as Parquet files with the recipe that made them, and tables as CSV.

Must not: compute, know what the columns mean, or guess their types.
"""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from fispace.errors import ArtifactError
from fispace.store.columns import CellError, Table, TextColumn
from fispace.store.files import atomic_path, canonical_json, parse_json, require_memory, write_text
from fispace.store.text_files import CsvError, csv_text, read_cells

RECIPE_KEY = b"fispace"
COMPRESSION = "zstd"


def write_table(path: Path, frame: pd.DataFrame, recipe: dict[str, Any]) -> None:
    """Write `frame` without its index as Parquet, with `recipe` in the schema's metadata, atomically."""
    table = pa.Table.from_pandas(frame, preserve_index=False, nthreads=1)
    table = table.replace_schema_metadata({RECIPE_KEY: canonical_json(recipe).encode()})
    with atomic_path(path) as partial:
        pq.write_table(table, partial, compression=COMPRESSION)


def of_training(frame: pd.DataFrame, arm: str, seed: int) -> pd.DataFrame:
    """The table with the arm and seed that it is about as its first columns."""
    columns = [name for name in frame.columns if name not in ("arm", "seed")]
    return frame.assign(arm=arm, seed=seed)[["arm", "seed", *columns]]


def read_table(path: Path) -> pd.DataFrame:
    """All rows of a table written by `write_table`.

    Raises:
        ArtifactError: if the file is missing or not readable as Parquet.
    """
    return frame_of(_read(path))


def frame_of(table: pa.Table) -> pd.DataFrame:
    """The table as a data frame; pandas metadata in the file is ignored."""
    return table.to_pandas(ignore_metadata=True, use_threads=False)


def read_arrow(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Columns of a Parquet file, read by this thread alone.

    The library's thread pool waits for ever if there is no memory for one more thread.

    Raises:
        FileNotFoundError, OSError, ValueError, pa.ArrowException: if the file is missing or unreadable.
    """
    with pq.ParquetFile(path) as file:
        return file.read(columns=columns, use_threads=False)


def read_recipe(path: Path) -> dict[str, Any]:
    """Recipe that a table was written with.

    Raises:
        ArtifactError: if the file is missing, not Parquet, or carries no recipe.
    """
    metadata = _read(path, columns=[]).schema.metadata or {}
    if RECIPE_KEY not in metadata:
        raise ArtifactError(f"{path} carries no recipe: it was not written by this workflow.")
    try:
        recipe = parse_json(metadata[RECIPE_KEY])
    except ValueError:
        recipe = None
    if not isinstance(recipe, dict):
        raise ArtifactError(f"{path}: its recipe is damaged; delete it and run the workflow again.")
    return recipe


def write_csv(path: Path, frame: pd.DataFrame, table: Table) -> None:
    """Write `frame` as the declared CSV table without its index, atomically.

    Columns are in the order of the declaration. Floats are written as the shortest text that gives the
    number back. Line ends are line feeds.

    Raises:
        NonFiniteError: if a number is infinite, or missing where the declaration does not allow it.
        ValueError: if a column or a value differs from the declaration.
    """
    columns = table.texts(frame)
    rows = zip(*(column.cells for column in columns), strict=True)
    write_text(path, csv_text([column.name for column in columns], rows))


def read_csv(path: Path, table: Table) -> pd.DataFrame:
    """All rows of the declared CSV table, each column of its declared type.

    Raises:
        ArtifactError: if the file is missing, not readable as CSV, or another table; the message names
            the row by its line.
    """
    try:
        cells = read_cells(path)
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist; run the rule that makes it.") from None
    except CsvError as error:
        raise ArtifactError(
            f"{path} is not readable as CSV, {error}. It is truncated or was edited; delete it and run "
            "the workflow again."
        ) from None
    by_column = zip(*cells.rows, strict=True) if cells.rows else ((),) * len(cells.header)
    columns = (TextColumn(*named) for named in zip(cells.header, by_column, strict=True))
    try:
        return table.typed(columns)
    except CellError as error:
        place = "row 1" if error.row is None else f"row {cells.lines[error.row]}"
        raise ArtifactError(
            f"{path} is not the table {table.name}, {place}: {error}. It was edited, or is of another "
            "version; delete it and run the workflow again."
        ) from None


def _read(path: Path, columns: list[str] | None = None) -> pa.Table:
    try:
        return read_arrow(path, columns)
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist; run the rule that makes it.") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        require_memory(error)
        said = " ".join(str(error).split())
        raise ArtifactError(
            f"{path} is not readable as Parquet ({said:.200}). It is truncated or was edited; "
            "delete it and run the workflow again."
        ) from None
