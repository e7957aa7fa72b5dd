"""Origins: the cells that a number was computed from, and the function that computed it.

One call (`derive`) gives the number and its origin, so the origin always describes the computation
that was made. Must not: read a table, or know a chapter.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Row = Mapping[str, Any]
"""One row of a table, by column."""


class Rows(NamedTuple):
    """Rows of a table that a command reads, and the column that is used."""

    table: str
    """Option of the command that names the table."""
    where: Row
    """Value that the rows hold, by column; a tuple means any of its values."""
    column: str | None = None
    """Column with the number; None stands for whole files that can hold such rows."""


class Origin(NamedTuple):
    """How one number was computed."""

    function: str
    """`module:function`; its docstring has the equation."""
    reads: Mapping[str, Rows]
    """Rows behind each argument of the function."""


@dataclass(frozen=True)
class Inputs:
    """What the origin of a row may use besides the row."""

    params: Mapping[str, Any]
    """Parameters of the call that wrote the row."""
    table: Callable[[str], Any]
    """The table that the call read or wrote under an option, as a data frame.

    Raises:
        ArtifactError: if it is not there.
    """
    memo: dict[Any, Any]
    """Values that origins keep between rows of the same call."""


RowOrigin = Callable[[Row, Inputs], Origin]
"""Gives the origin of a row of a table."""
Origins = Mapping[str, Mapping[str, RowOrigin]]
"""Origins of the rows of the tables that a function writes, by function and option.

A chapter's module `origins` holds them as `ORIGINS`, where `fispace explain` looks them up by the
function of the command that wrote a table.
"""


class Cell(NamedTuple):
    """A number of a table, or the numbers of several rows, with their place."""

    value: Any
    rows: Rows


class Derived(NamedTuple):
    """A number, or its draws under resampling, with its origin."""

    value: Any
    origin: Origin


def is_missing(value: Any) -> bool:
    """Whether a cell is empty: None, an empty text, or NaN."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and not value)


def derive(function: Callable[..., Any], **cells: Cell) -> Derived:
    """The function's value on these cells, which are its arguments by name, with its origin."""
    value = function(**{name: cell.value for name, cell in cells.items()})
    return Derived(value, made_by(function, **{name: cell.rows for name, cell in cells.items()}))


def made_by(function: Callable[..., Any], **reads: Rows) -> Origin:
    """The origin of what `function` computed from these rows, by the names of its arguments."""
    return Origin(f"{function.__module__}:{function.__qualname__}", reads)


def unchanged(value: Any) -> Any:
    """The cell itself."""
    return value
