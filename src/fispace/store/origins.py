"""Origins: which cells of which table a number was computed from, and by which function.

A number and its origin come out of one call (`derive`), so an origin cannot describe another
computation than the one that was made. Must not: read a table, or know a chapter.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

Row = Mapping[str, Any]
"""One row of a table, by column."""


class Rows(NamedTuple):
    """Rows of a table that a command reads, and the column that counts."""

    table: str
    """Option of the command that names the table."""
    where: Row
    """What the rows hold: a value by column, or a tuple of values any of which will do."""
    column: str | None = None
    """Column that the number is in; None: whole files that can hold such rows."""


class Origin(NamedTuple):
    """How one number was computed."""

    function: str
    """`module:function`; its docstring has the equation."""
    reads: Mapping[str, Rows]
    """Rows behind each argument of the function."""


class Inputs(Protocol):
    """What an origin of a row may look at beside the row: the tables and parameters of the call."""

    @property
    def params(self) -> Mapping[str, Any]:
        """Parameters of the call."""
        ...

    @property
    def memo(self) -> dict[Any, Any]:
        """Where an origin may keep what it needs for more rows of the same call."""
        ...

    def table(self, option: str) -> Any:
        """The table that was given, or written, under an option, as a data frame.

        Raises:
            ArtifactError: if it is not there.
        """
        ...


RowOrigin = Callable[[Row, Inputs], Origin]
"""Origin of a row of a table."""
Origins = Mapping[str, Mapping[str, RowOrigin]]
"""Origins of the rows of the tables that a function writes, by function and option.

`ORIGINS` of the module `origins` of a chapter. `fispace explain` looks them up there by the function
of the command that wrote a table.
"""


class Cell(NamedTuple):
    """A number of a table, or the numbers of several rows, with its place."""

    value: Any
    rows: Rows


class Derived(NamedTuple):
    """A number, or its draws under resampling, with its origin."""

    value: Any
    origin: Origin


def is_missing(value: Any) -> bool:
    """Whether a cell holds nothing: None, no text, or NaN."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and not value)


def derive(function: Callable[..., Any], **cells: Cell) -> Derived:
    """The function's value for the cells, given by the names of its arguments, with its origin."""
    value = function(**{name: cell.value for name, cell in cells.items()})
    return Derived(value, made_by(function, **{name: cell.rows for name, cell in cells.items()}))


def made_by(function: Callable[..., Any], **reads: Rows) -> Origin:
    """The origin of what `function` made of these rows, by the names of its arguments."""
    return Origin(f"{function.__module__}:{function.__qualname__}", reads)


def unchanged(value: Any) -> Any:
    """The cell itself."""
    return value
