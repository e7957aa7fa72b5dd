"""Types of the columns of CSV tables, in one declaration that a table's writer and readers share.

A reader converts cells by the declaration, never by how they look: a factor level named "1" or "None"
stays a text. Must not: touch a file, or know a table.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fispace.errors import NonFiniteError
from fispace.store.text_files import UNWRITABLE

EXACT = 2**53
"""Whole numbers up to this are exact in float64, the type of columns that lack a value."""
QUOTED = 60
"""Characters of a cell that a message quotes."""

FACTORS = "*"
"""Stands in a declaration for the columns that are named by the factors of the study."""


class CellType(NamedTuple):
    """A type of values, and how cells hold them."""

    name: str
    types: tuple[type, ...]
    write: Callable[[Any], str]
    pattern: re.Pattern[str]
    """Matches a whole cell of this type."""
    read: Callable[[str], Any]
    dtype: str
    """Type of a column without missing values."""


@dataclass(frozen=True)
class Column:
    """Type of one column, and whether its cells may be empty."""

    kind: CellType
    may_miss: bool = False


TEXT = Column(CellType("text", (str,), str, re.compile(".*", re.DOTALL), str, "str"))
"""Any text, taken as it is."""
BOOLEAN = Column(
    CellType(
        "boolean",
        (bool,),
        str,
        re.compile("True|False"),
        {"True": True, "False": False}.get,
        "bool",
    )
)
"""`True` or `False`."""
DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
NUMBER = Column(
    CellType("number", (float, int), lambda value: repr(float(value)), DECIMAL, float, "float64")
)
"""A finite number, written as the shortest decimal that gives it back."""
DIGITS = re.compile(r"[+-]?\d{1,16}", re.ASCII)
INTEGER = Column(
    CellType("whole number", (float, int), lambda value: str(int(value)), DIGITS, int, "int64")
)
"""A whole number of at most `EXACT`."""
COUNTED = re.compile(r"\d{1,16}(\.0)?", re.ASCII)
COUNT = Column(
    CellType("count", (float, int), INTEGER.kind.write, COUNTED, float, "int64"), may_miss=True
)
"""A whole number that may be missing; a column that lacks one is written as `3.0`, `4.0`, ..."""
WHOLE_TYPES = (INTEGER.kind, COUNT.kind)


def optional(column: Column) -> Column:
    """The same type with cells that may be empty, for values that are undefined or do not apply."""
    return replace(column, may_miss=True)


class CellError(ValueError):
    """A cell or a header that differs from the declaration."""

    def __init__(self, message: str, row: int | None = None) -> None:
        """`row` counts the table's rows from 0; None is the header."""
        super().__init__(message)
        self.row = row


class TextColumn(NamedTuple):
    """Name and cells of a column as a file holds them."""

    name: str
    cells: Sequence[str]


@dataclass(frozen=True)
class Table:
    """The columns of one CSV table, in order."""

    name: str
    """Its name in messages: the file below results/<run>/."""
    columns: Mapping[str, Column]
    """`FACTORS` stands for one column per factor of the study."""
    key: tuple[str, ...] = ()
    """Columns by which messages name a row."""
    may_lack: tuple[str, ...] = ()
    """Columns that a file need not have."""
    others_ignored: bool = False
    """Whether files may have other columns, which are not read."""

    def frame(self, rows: Iterable[Mapping[str, Any]], factors: Sequence[str] = ()) -> pd.DataFrame:
        """The rows as a frame, which has its columns even without a row.

        Raises:
            CellError: if a row has a column that is not declared, or a declared column is missing.
        """
        found = list(rows)
        names = dict.fromkeys(name for row in found for name in row)
        declared = (name for name in self.columns if name != FACTORS)
        header = self.header(names or [*declared, *factors])
        return pd.DataFrame(found, columns=pd.Index(header))

    def header(self, names: Iterable[str]) -> list[str]:
        """The given column names in the order of the declaration.

        Raises:
            CellError: if a column is missing, not declared, or repeated.
        """
        given = list(names)
        twice = sorted({name for name in given if given.count(name) > 1})
        if twice:
            raise CellError(f"the column {twice[0]!r} is there twice")
        missing = [n for n in self.columns if n not in (*given, *self.may_lack, FACTORS)]
        if missing:
            raise CellError(
                f"it has no column {missing[0]!r} (found: {', '.join(map(repr, given)):.600})"
            )
        return self._ordered(given)

    def factors(self, frame: pd.DataFrame) -> list[str]:
        """The frame's columns that are named by factors, in their order."""
        return [name for name in frame.columns if name not in self.columns]

    def _ordered(self, given: list[str]) -> list[str]:
        others = [name for name in given if name not in self.columns]
        if others and FACTORS not in self.columns and not self.others_ignored:
            raise CellError(f"the column {others[0]!r} is not one of {self.name}")
        factors = others if FACTORS in self.columns else []
        declared = (factors if name == FACTORS else [name] for name in self.columns)
        return [name for names in declared for name in names if name in given]

    def column(self, name: str) -> Column:
        """Type of a column; a column that is not declared has the type of the factors."""
        return self.columns.get(name) or self.columns[FACTORS]

    def texts(self, frame: pd.DataFrame) -> list[TextColumn]:
        """The frame's columns as cells, in the order of the declaration.

        Raises:
            CellError: if a column or a value is not what the table declares.
            NonFiniteError: if a number is infinite, or missing where none may be.
        """
        self.require_finite(frame)
        return [
            TextColumn(name, self._texts_of(frame, name)) for name in self.header(frame.columns)
        ]

    def require_finite(self, frame: pd.DataFrame, of: str = "") -> None:
        """Refuse infinite numbers, and missing ones in columns that do not allow them.

        `of` completes the table's name in the message.

        Raises:
            NonFiniteError: names the table, the column and the row by its key.
        """
        for name in frame.columns:
            column = self.columns.get(name)
            if column is None or not pd.api.types.is_numeric_dtype(frame[name]):
                continue
            values = frame[name].to_numpy(np.float64, na_value=np.nan)
            bad = np.flatnonzero(np.isinf(values) | (np.isnan(values) & (not column.may_miss)))
            if len(bad):
                raise NonFiniteError(self._not_finite(frame, name, bad, of))

    def _not_finite(self, frame: pd.DataFrame, name: str, bad: np.ndarray, of: str) -> str:
        row, n_bad = int(bad[0]), len(bad)
        value = frame[name].iloc[row]
        keys = ", ".join(f"{key} {frame[key].iloc[row]}" for key in self.key if key in frame)
        return (
            f"{self.name}{of}: {name} is {'missing' if pd.isna(value) else value} for {keys or f'row {row}'} "
            f"({n_bad} such {'row' if n_bad == 1 else 'rows'}). A statistic without a finite value "
            "means that its values do not vary where they must, or that there are none: look at the "
            "texts, activations or trainings it comes from."
        )

    def _texts_of(self, frame: pd.DataFrame, name: str) -> list[str]:
        column, lacks = self.column(name), frame[name].isna().to_numpy(bool)
        kind, values = column.kind, frame[name][~lacks].tolist()
        if lacks.any() and not column.may_miss:
            raise CellError(f"{self.name}: the {kind.name} {name!r} is missing")
        odd = [value for value in values if type(value) not in kind.types]
        if kind is TEXT.kind and not odd:
            odd = [value for value in values if UNWRITABLE.search(value)]
        if kind in WHOLE_TYPES and not odd:
            odd = [value for value in values if value % 1 or abs(value) > EXACT]
        if odd or frame[name].dtype in (np.float16, np.float32):
            held = repr(odd[0])[:QUOTED] if odd else str(frame[name].dtype)
            raise CellError(f"{self.name}: {name} holds {held}, which is not a {kind.name}")
        as_decimal = kind is COUNT.kind and lacks.any()
        cells = map(NUMBER.kind.write if as_decimal else kind.write, values)
        return ["" if is_missing else next(cells) for is_missing in lacks]

    def typed(self, columns: Iterable[TextColumn]) -> pd.DataFrame:
        """The frame that the cells of a file stand for.

        Raises:
            CellError: if a column is missing or not declared, or a cell is not of its type.
        """
        by_name = list(columns)
        wanted = set(self.header([column.name for column in by_name]))
        return pd.DataFrame({c.name: self._series(c) for c in by_name if c.name in wanted})

    def _series(self, text: TextColumn) -> pd.Series:
        column, cells = self.column(text.name), text.cells
        kind, missing = column.kind, math.nan if column.may_miss else ""
        if kind is TEXT.kind:
            return pd.Series([cell or missing for cell in cells], dtype="str")
        for row, cell in enumerate(cells):
            if not kind.pattern.fullmatch(cell) and not (cell == "" and column.may_miss):
                raise _not_of_its_kind(text, kind, row)
        values: list[Any] = [kind.read(cell) if cell else missing for cell in cells]
        infinite = [row for row, value in enumerate(values) if math.isinf(value)]
        if infinite:  # written with more digits than float64 holds
            raise _not_of_its_kind(text, kind, infinite[0])
        return pd.Series(values, dtype="float64" if "" in cells else kind.dtype)


def _not_of_its_kind(text: TextColumn, kind: CellType, row: int) -> CellError:
    found = repr(text.cells[row])[:QUOTED]
    return CellError(f"{text.name} should be a {kind.name} and is {found}", row)
