"""Text files in UTF-8, and CSV files as rows of texts; errors name the line and say what to do.

Must not: know what a text means, convert a cell, or replace a character.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

LINE_END = re.compile(rb"\r\n|\r|\n")
UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
UNWRITABLE = re.compile("[\0\ud800-\udfff]")
"""Characters that `decoded` would not read back."""
HALF_CHARACTER = re.compile("[\ud800-\udfff]")
"""A lone surrogate: half of a character in UTF-16, which no UTF-8 text can hold."""


class TextError(ValueError):
    """Bytes or characters that are not text; the message names the line, counted from 1."""


def decoded(raw: bytes, first_line: int = 1) -> str:
    """The bytes as text, without a byte-order mark at the beginning.

    Raises:
        TextError: if a byte is not UTF-8, or is NUL; names its line, counted from `first_line`.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"is not UTF-8 text (byte {raw[error.start]:#04x})"
        raise _not_text(raw, error.start, found, first_line) from None
    if b"\0" in raw:
        raise _not_text(raw, raw.index(b"\0"), "holds the character NUL", first_line)
    return text


def _not_text(raw: bytes, place: int, found: str, first_line: int) -> TextError:
    line = first_line + len(LINE_END.findall(raw[:place]))
    kind = "UTF-16" if raw.startswith(UTF16_MARKS) or b"\0" in raw[:100] else "another encoding"
    return TextError(f"line {line} {found}; the file may be in {kind}: save it in UTF-8")


def require_whole(text: str) -> None:
    r"""Refuse a text that holds half a character, such as the JSON escape \ud83d, or NUL.

    Raises:
        TextError: names the place and the escape.
    """
    if "\0" in text:
        raise TextError(
            f"character {text.index(chr(0)) + 1} is NUL, which does not occur in texts: this one may be in "
            "UTF-16 or hold binary data. Write it in UTF-8, or remove the character"
        )
    half = HALF_CHARACTER.search(text)
    if half is not None:
        around = text[max(0, half.start() - 20) : half.end() + 20]
        raise TextError(
            f"character {half.start() + 1} is half of one (\\u{ord(half[0]):04x}, in {around!a}): "
            "a text was cut inside a character, such as an emoji. Cut it elsewhere, or remove the half"
        )


class CsvError(ValueError):
    """A file that is not readable as CSV; the message names the row by its line, counted from 1."""


class CsvCells(NamedTuple):
    """A CSV file as texts."""

    header: list[str]
    rows: list[list[str]]
    """Each as long as the header."""
    lines: list[int]
    """Line on which each row begins, counted from 1."""


def read_cells(path: Path) -> CsvCells:
    """All cells of a CSV file in UTF-8, with or without a byte-order mark; blank lines are left out.

    Any kind of line end is read, and a quoted cell may hold line ends.

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
    return CsvCells(rows[0], rows[1:], lines[1:])


def _of_length(n_cells: int, n_names: int, line: int) -> str:
    more = "more" if n_cells > n_names else "fewer"
    return (
        f"row {line}: the row holds {n_cells} cells, {more} cells than the header names ({n_names}); put "
        "a text that contains a comma in quotes"
    )


def csv_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The cells as CSV with Unix line ends; cells with a comma, a quote or a line end are quoted."""
    lines = _Lines()
    writer = csv.writer(lines, lineterminator=_Lines.END)
    writer.writerow(header)
    writer.writerows(rows)
    return lines.getvalue()


class _Lines(io.StringIO):
    """Text whose rows end in a line feed.

    Before Python 3.13 the writer quotes only the line ends that it ends rows with, so it must end them
    with both characters, which are replaced here.
    """

    END = "\r\n"

    def write(self, row: str, /) -> int:
        return super().write(row.removesuffix(self.END) + "\n")
