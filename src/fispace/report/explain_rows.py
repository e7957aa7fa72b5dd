"""Rows of the tables of a run, found by what the user types or by what an origin names.

Must not: know a command, or compute a number.
"""

import contextlib
import difflib
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fispace.errors import ArtifactError, ParamsError
from fispace.provenance.lineage import Run
from fispace.store.files import sha256_of
from fispace.store.origins import Row, is_missing
from fispace.store.quantities import Frame
from fispace.store.tables import read_table
from fispace.store.text_files import CsvError, read_cells

CSV, PARQUET = ".csv", ".parquet"
MOST_JOINED = 4
"""Leading columns that a row's name may join: `N5.gain`, `joint.sae.0`."""
FIRST_LINE = 2
WHOLE_NUMBER = re.compile(r"-?\d{1,15}")
N_NEAR = 6
POSITION = "line"
"""Stands in place of a column: the line of the row in the file, whose header is line 1."""


class FoundRow(NamedTuple):
    """A row of a table, with its place."""

    file: str
    line: int
    cells: Row


@dataclass(frozen=True)
class FoundTable:
    """A table of a run, as it was read."""

    file: str
    """The file that was read: the one asked for, or the CSV that the same call wrote beside it."""
    frame: Frame
    lines: Sequence[int]
    """Line of each row as an editor counts; in a Parquet file, the line it would have as a CSV."""

    def rows(self, chosen: Iterable[int]) -> list[FoundRow]:
        """Rows by their position."""
        places = list(chosen)
        records: list[dict[Hashable, Any]] = self.frame.iloc[places].to_dict("records")
        return [
            FoundRow(self.file, self.lines[place], {str(k): v for k, v in record.items()})
            for place, record in zip(places, records, strict=True)
        ]

    def where(self, wanted: Row) -> list[FoundRow]:
        """Rows that hold the wanted values.

        Raises:
            KeyError: if the table lacks one of the columns.
        """
        left = self.frame.reset_index(drop=True)
        for column, value in wanted.items():
            values: tuple[Any, ...] = value if isinstance(value, tuple) else (value,)
            if column == POSITION:
                left = left[[self.lines[place] in values for place in left.index]]
            else:
                left = left[_holds(left[column], values)]
        return self.rows(int(place) for place in left.index)


def _holds(cells: Frame, values: Sequence[Any]) -> Frame:
    """Whether each cell is one of the values; an empty text counts as missing, as in CSV."""
    given = [value for value in values if not is_missing(value)]
    if pd.api.types.is_bool_dtype(cells):
        found = cells.astype(str).isin([str(value) for value in given])
    elif pd.api.types.is_numeric_dtype(cells):
        found = cells.isin([number for number in map(_number, given) if number is not None])
    else:
        found = cells.isin([str(value) for value in given])
    if len(given) < len(values):
        found |= cells.isna() | (cells == "")
    return found


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


class Tables:
    """The tables of a run, each read once."""

    def __init__(self, run: Run) -> None:
        """Open the tables of `run`; each is read when it is first asked for."""
        self._run = run
        self._read: dict[str, FoundTable | str] = {}
        self.memo: dict[str, dict[Any, Any]] = {}
        """What origins keep, by the path of the record."""
        self.altered: list[str] = []
        """Tables that were altered after their command wrote them; their rows are not used."""

    def find(self, name: str) -> FoundTable | str:
        """The table of this name, or its CSV if only that is kept; a text says why there is none."""
        if name not in self._read:
            self._read[name] = self._find(name)
        return self._read[name]

    def get(self, name: str) -> FoundTable:
        """The table of this name, or its CSV if only that is kept.

        Raises:
            ArtifactError: if there is none; the message says why.
        """
        found = self.find(name)
        if isinstance(found, str):
            raise ArtifactError(f"{self._run.path(name)}: {found}.")
        return found

    def _find(self, name: str) -> FoundTable | str:
        suffix = PurePosixPath(name).suffix
        if suffix not in (CSV, PARQUET):
            return "it is not a table"
        if self._run.path(name).is_file():
            return self._readable(name)
        maker = self._run.makers.get(name)
        twin = PurePosixPath(name).with_suffix(CSV).as_posix()
        is_twin = maker is not None and self._run.makers.get(twin) is maker
        if suffix == PARQUET and is_twin and self._run.path(twin).is_file():
            return self._readable(twin)
        return "it is not kept here"

    def _readable(self, name: str) -> FoundTable | str:
        path, maker = self._run.path(name), self._run.makers.get(name)
        recorded = "" if maker is None else self._run.sha256(maker, name)
        if recorded and sha256_of(path) != recorded:
            self.altered.append(name)
            return "it was altered since it was made"
        try:
            if name.endswith(PARQUET):
                frame = read_table(path)
                return FoundTable(name, frame, range(FIRST_LINE, FIRST_LINE + len(frame)))
            cells = read_cells(path)
        except (ArtifactError, CsvError) as error:
            return f"it is not readable: {error}"
        columns = zip(*cells.rows, strict=True) if cells.rows else ((),) * len(cells.header)
        typed = {name: _typed(column) for name, column in zip(cells.header, columns, strict=True)}
        return FoundTable(name, pd.DataFrame(typed), cells.lines)


def _typed(cells: Sequence[str]) -> np.ndarray:
    """The cells of a column: numbers if every filled cell is one, else texts."""
    if not any(cells):
        return np.array(cells, dtype=object)
    try:
        numbers = np.array([cell or "nan" for cell in cells]).astype(np.float64)
    except ValueError:
        return np.array(cells, dtype=object)
    is_whole = all(WHOLE_NUMBER.fullmatch(cell) for cell in cells)
    return numbers.astype(np.int64) if is_whole else numbers


def select(table: FoundTable, wanted: str, path: Path) -> list[FoundRow]:
    """The rows of the table at `path` that a user means by `17`, `arm=joint,seed=0`, or a row's name.

    A number is a line of the file. A name is the cell of the first column, or the cells of the first
    columns joined by dots, as in `N5.gain`.

    Raises:
        ParamsError: if there is no such row or column; the message lists similar ones.
    """
    if re.fullmatch(r"\d{1,9}", wanted):
        line = int(wanted)
        if line not in table.lines:
            known = list(table.lines)
            rows = f"its rows are on lines {known[0]} to {known[-1]}" if known else "it has no rows"
            raise ParamsError(f"explain {path} {wanted}: no row begins on this line; {rows}.")
        return table.where({POSITION: line})
    if "=" in wanted:
        return _by_columns(table, wanted, path)
    return _by_name(table, wanted, path)


def _by_columns(table: FoundTable, wanted: str, path: Path) -> list[FoundRow]:
    pairs = dict(part.split("=", 1) for part in re.split(r",(?=[^,=]+=)", wanted) if "=" in part)
    columns = [str(column) for column in table.frame.columns]
    for column in pairs:
        if column not in columns:
            near = difflib.get_close_matches(column, columns, n=1)
            raise ParamsError(
                f"explain {path}: there is no column {column!r}"
                f"{f'; did you mean {near[0]!r}' if near else ''}. It has {', '.join(columns)}."
            )
    found = table.where(pairs)
    if not found:
        raise ParamsError(f"explain {path} {wanted}: {_misses(table, pairs)}")
    return found


def _misses(table: FoundTable, pairs: Mapping[str, str]) -> str:
    """Which condition no row meets, and similar cells of that column; or that no row meets all."""
    for column, value in pairs.items():
        if not table.where({column: value}):
            held = [str(one) for one in table.frame[column].drop_duplicates()]
            near = difflib.get_close_matches(value, held, n=N_NEAR, cutoff=0.3) or held[:N_NEAR]
            return f"no row has {column}={value}. Near it: {', '.join(near)}."
    return "no row meets all of these conditions; leave one out."


def _by_name(table: FoundTable, wanted: str, path: Path) -> list[FoundRow]:
    names: list[str] = []
    texts: Frame = table.frame.iloc[:, :MOST_JOINED].astype(str)
    for n_joined in range(1, texts.shape[1] + 1):
        joined: list[str] = texts.iloc[:, :n_joined].agg(".".join, axis=1).tolist()
        places = [place for place, name in enumerate(joined) if name == wanted]
        if places:
            return table.rows(places)
        names += joined
    unique = list(dict.fromkeys(names))
    near = difflib.get_close_matches(wanted, unique, n=N_NEAR, cutoff=0.5)
    near = near or [name for name in unique if wanted.lower() in name.lower()][:N_NEAR]
    for other in _tables_beside(path):
        if any(
            ".".join(row[:n]) == wanted for row in other.rows for n in range(1, MOST_JOINED + 1)
        ):
            raise ParamsError(
                f"explain {path} {wanted}: there is no row of this name, but {other.path} has one: "
                f"`fispace explain {other.path} {wanted}`."
            )
    raise ParamsError(
        f"explain {path} {wanted}: there is no row of this name. Near it: "
        f"{', '.join(near or unique[:N_NEAR]) or 'the table has no rows'}. A row is also named by its "
        "line in the file, or by its cells, as in `arm=joint,seed=0`."
    )


class _TableBeside(NamedTuple):
    path: Path
    rows: list[list[str]]


def _tables_beside(path: Path) -> Iterator[_TableBeside]:
    """Tables of the same name a folder below or above, as `full/claims.csv`, which has further rows."""
    beside = [*sorted(path.parent.glob(f"*/{path.name}")), path.parent.parent / path.name]
    for other in beside:
        if other.suffix == CSV and other.is_file():
            with contextlib.suppress(CsvError):
                yield _TableBeside(other, read_cells(other).rows)
