"""CSV files as rows of texts: reading that says the line of whatever is wrong, and writing.

Must not: convert a cell, or know a column.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from fispace.store.text_files import TextError, decoded


class CsvError(ValueError):
    """A file that is not readable as CSV; the message says the row, by its line from 1."""


class Cells(NamedTuple):
    """A CSV file as texts."""

    header: list[str]
    rows: list[list[str]]
    """Each as long as the header."""
    lines: list[int]
    """Line on which each row begins, from 1, as an editor counts."""


def read_cells(path: Path) -> Cells:
    """All cells of a CSV file in UTF-8, with or without a byte-order mark; blank lines are left out.

    Lines may end in any way, and a cell in quotes may hold line ends.

    Raises:
        FileNotFoundError: if there is no such file.
        CsvError: if it is not UTF-8, not CSV, empty, or has rows of different lengths.
    """
    try:
        text = decoded(path.read_bytes())
    except TextError as error:
        raise CsvError(str(error)) from None
    rows: list[list[str]] = []
    lines: list[int] = []
    reader, line = csv.reader(io.StringIO(text, newline=""), strict=True), 1
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise CsvError(f"row {line}: {error}") from None
    if not rows:
        raise CsvError("the file is empty")
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(rows[0]):
            raise CsvError(_of_length(len(row), len(rows[0]), line))
    return Cells(rows[0], rows[1:], lines[1:])


def _of_length(n_cells: int, n_names: int, line: int) -> str:
    more = "more" if n_cells > n_names else "fewer"
    return (
        f"row {line}: the row holds {n_cells} cells, {more} cells than the header names ({n_names}); put "
        "a text that contains a comma in quotes"
    )


def csv_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The cells as CSV with Unix line ends; quoted where a cell holds a comma, a quote or a line end."""
    lines = _Lines()
    writer = csv.writer(lines, lineterminator=_Lines.END)
    writer.writerow(header)
    writer.writerows(rows)
    return lines.getvalue()


class _Lines(io.StringIO):
    """Text whose rows end in a line feed.

    Before Python 3.13 the writer quotes only those line ends that it ends rows with, so that it must
    end them with both characters.
    """

    END = "\r\n"

    def write(self, row: str, /) -> int:
        return super().write(row.removesuffix(self.END) + "\n")
