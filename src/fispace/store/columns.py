"""What the columns of a CSV table hold: the one declaration that its writer and its readers share.

A reader converts by the declaration and never by what the cells look like: a level named "1" or "None"
stays a text. Must not: touch a file, or know a table.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from fispace.errors import NonFiniteError

WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
WHOLE_AS_DECIMAL = re.compile(r"[+-]?\d+(\.0)?", re.ASCII)
BOOLEANS = {"True": True, "False": False}
EXACT = 2**53
"""Whole numbers up to this are exact as float64, which holds the columns that lack a value."""
LIMIT = 2**63
SHOWN = 60
"""Characters of a cell that a message quotes."""

FACTORS = "*"
"""Place in a declaration of the columns that are named by the factors of the study."""


@dataclass(frozen=True)
class Column:
    """Type of one column, and whether its cells may be empty."""

    kind: Literal["text", "boolean", "whole number", "count", "number"]
    may_miss: bool = False


TEXT = Column("text")
"""Any text, taken as it is."""
BOOLEAN = Column("boolean")
"""`True` or `False`."""
INTEGER = Column("whole number")
NUMBER = Column("number")
"""A finite number."""
COUNT = Column("count", may_miss=True)
"""A whole number that may be missing; where a column lacks one, its numbers are written as `3.0`."""


def optional(column: Column) -> Column:
    """The same type with cells that may be empty: a value that is not defined, or does not apply."""
    return replace(column, may_miss=True)


class CellError(ValueError):
    """A cell or a header that is not what the table declares."""

    def __init__(self, message: str, row: int | None = None) -> None:
        """`row` is the number of the table's row, from 0; none for the header."""
        super().__init__(message)
        self.row = row


class TextColumn(NamedTuple):
    """Name and cells of a column as they stand in a file."""

    name: str
    cells: Sequence[str]


@dataclass(frozen=True)
class Table:
    """The columns of one CSV table, in order."""

    name: str
    """What messages call it: its file below results/<run>/."""
    columns: Mapping[str, Column]
    """`FACTORS` stands for one column per factor of the study."""
    key: tuple[str, ...] = ()
    """Columns that say which row a message is about."""
    may_lack: tuple[str, ...] = ()
    """Columns that a file need not have."""
    others_ignored: bool = False
    """Whether a file may have further columns, which are not read."""

    def frame(self, rows: Iterable[Mapping[str, Any]], factors: Sequence[str] = ()) -> pd.DataFrame:
        """The rows as a frame that has its columns even where there is no row.

        Raises:
            CellError: if a row has a column that is not declared, or none has one that must be there.
        """
        found = list(rows)
        names = dict.fromkeys(name for row in found for name in row)
        declared = (name for name in self.columns if name != FACTORS)
        header = self.header(names or [*declared, *factors])
        return pd.DataFrame(found, columns=pd.Index(header))

    def header(self, names: Iterable[str]) -> list[str]:
        """The given column names in the order of the declaration.

        Raises:
            CellError: if a column is missing, not declared, or there twice.
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
        """Type of a column; of one that is not declared, that of the factors."""
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

        `of` says in the message which of several such tables this is.

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
        column, values = self.column(name), frame[name].tolist()
        if frame[name].dtype in (np.float16, np.float32):
            raise CellError(f"{self.name}: {name} holds {frame[name].dtype}, not float64")
        lacks = frame[name].isna().tolist()
        if column.kind == "count":
            write = _decimal_text if any(lacks) else _whole_text
        else:
            write = WRITERS[column.kind]
        cells: list[str] = []
        for row, (value, is_missing) in enumerate(zip(values, lacks, strict=True)):
            if is_missing and not column.may_miss:
                raise CellError(f"{self.name}: the {column.kind} {name!r} is missing", row)
            try:
                cells.append("" if is_missing else write(value))
            except (TypeError, ValueError):
                said = f"{name} holds {value!r:.{SHOWN}}, which is no {column.kind}"
                raise CellError(f"{self.name}: {said}", row) from None
        return cells

    def typed(self, columns: Iterable[TextColumn]) -> pd.DataFrame:
        """The frame that the cells of a file stand for.

        Raises:
            CellError: if a column is missing or not declared, or a cell is not of its type.
        """
        by_name = list(columns)
        wanted = set(self.header([column.name for column in by_name]))
        return pd.DataFrame(
            {c.name: self._series(c) for c in by_name if c.name in wanted},
        )

    def _series(self, text: TextColumn) -> pd.Series:
        column, cells = self.column(text.name), text.cells
        if column.kind == "text":
            missing = np.nan if column.may_miss else ""
            return pd.Series([cell or missing for cell in cells], dtype="str")
        read, pattern = READERS[column.kind]
        values: list[Any] = []
        for row, cell in enumerate(cells):
            if cell == "" and column.may_miss:
                values.append(math.nan)
                continue
            value = read(cell) if pattern.fullmatch(cell) else None
            if value is None or (isinstance(value, float) and not math.isfinite(value)):
                said = f"{text.name} should be a {column.kind} and is {cell!r:.{SHOWN}}"
                raise CellError(said, row)
            values.append(value)
        return pd.Series(values, dtype=_dtype(column, values))


def _dtype(column: Column, values: list[Any]) -> str:
    """Of a numeric column: whole numbers are float64 only where one is missing, as pandas has it."""
    if column.kind == "boolean":
        return "bool"
    is_whole = column.kind != "number" and not any(isinstance(value, float) for value in values)
    return "int64" if is_whole else "float64"


def _text_of(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _boolean_text(value: Any) -> str:
    if not isinstance(value, bool):
        raise TypeError
    return str(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError
    return float(value)


def _decimal_text(value: Any) -> str:
    """Shortest text that gives the number back."""
    return repr(_number(value))


def _whole_text(value: Any) -> str:
    if not _number(value).is_integer() or (isinstance(value, float) and abs(value) > EXACT):
        raise ValueError
    return str(int(value))


def _whole(cell: str) -> int | None:
    value = int(cell) if len(cell) < SHOWN else LIMIT
    return value if -LIMIT <= value < LIMIT else None


WRITERS: Mapping[str, Callable[[Any], str]] = {
    "text": _text_of, "boolean": _boolean_text, "whole number": _whole_text, "number": _decimal_text,
}  # fmt: skip
READERS: Mapping[str, tuple[Callable[[str], Any], re.Pattern[str]]] = {
    "boolean": (BOOLEANS.__getitem__, re.compile("|".join(BOOLEANS))),
    "whole number": (_whole, WHOLE),
    "count": (lambda cell: _whole(cell.removesuffix(".0")), WHOLE_AS_DECIMAL),
    "number": (float, DECIMAL),
}
"""How the cells of a kind are converted, once the whole cell has the given form."""
