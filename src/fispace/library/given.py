"""Texts and items as a caller gives them, checked before a tokenizer or a test takes them.

Must not: tokenise, or change a text.
"""

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import pandas as pd

from fispace.errors import CorpusError, StimuliError
from fispace.store.text_files import TextError, require_whole

SHOWN = 60
"""Characters of a value that a message quotes."""


def given_texts(texts: Any, name: str) -> list[str]:
    """The texts as a list; `name` is the argument's name in messages.

    Raises:
        CorpusError: if they are not a list of texts, there is none, or one is not a whole text.
    """
    if isinstance(texts, str | bytes) or not hasattr(texts, "__iter__"):
        raise CorpusError(
            f"The {name} must be a list of documents or prompts, each a string, and are "
            f"{texts!a:.{SHOWN}}. Put a single text in brackets: [text]."
        )
    found = list(texts)
    if not found:
        raise CorpusError(f"The list of {name} is empty. Give at least one text.")
    for number, text in enumerate(found):
        _require_text(text, f"{name}[{number}]")
    return found


def _require_text(text: Any, place: str) -> None:
    """Refuse what is not a string, or holds a character that no tokenizer and no file can take."""
    if not isinstance(text, str):
        raise CorpusError(
            f"{place} must be a string and is {text!a:.{SHOWN}} ({type(text).__name__}). Leave it out, or "
            "give its text."
        )
    try:
        require_whole(text)
    except TextError as error:
        raise CorpusError(f"{place}: {error}.") from None


def require_filled(texts: Sequence[str], name: str) -> None:
    """Refuse texts of nothing but spaces.

    Raises:
        CorpusError: names the first one by its index.
    """
    blank = [number for number, text in enumerate(texts) if not text.strip()]
    if blank:
        raise CorpusError(f"{name}[{blank[0]}] is an empty text. Leave it out.")


def given_items(items: Any, factors: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The columns item, one per factor, and text of a battery, with rows numbered from 0.

    Nothing stands for a missing value but a missing value: an item may be called "NA".

    Raises:
        StimuliError: if a column is missing, or a cell lacks its value or holds another kind of value; names
            row and column.
    """
    columns = ["item", *factors, "text"]
    if not isinstance(items, pd.DataFrame):
        raise StimuliError(
            f"The items must be a data frame with the columns {', '.join(columns)}, and are "
            f"{type(items).__name__}."
        )
    missing = [name for name in columns if name not in items]
    if missing:
        raise StimuliError(
            f"The items have no column {missing[0]!r}; a 2x2 test needs {', '.join(columns)}, found "
            f"{', '.join(map(str, items.columns))}."
        )
    if not len(items):
        raise StimuliError("The items have no row. Give each item in all four cells.")
    for name in columns:
        if isinstance(items[name], pd.DataFrame):
            raise StimuliError(f"The items have more than one column {name!r}. Rename the others.")
        for row, value in enumerate(items[name]):
            _require_cell(value, name, f"Row {row} of the items (counted from 0)")
    for name, levels in factors.items():
        for row, value in enumerate(items[name]):
            if value not in levels:
                raise StimuliError(
                    f"Row {row} of the items (counted from 0): the level {value!a:.{SHOWN}} of {name!r} is "
                    f"unknown; declared are {' and '.join(map(repr, levels))}. Correct the row, or `factors`."
                )
    return items[columns].reset_index(drop=True)


def _require_cell(value: Any, column: str, place: str) -> None:
    """Refuse a missing value, and any but a text; items may be numbered."""
    if value is None or value is pd.NA or value is pd.NaT or value != value:  # noqa: PLR0124 (NaN)
        raise StimuliError(
            f"{place}: the column {column!r} has no value. Fill it, or leave the item out; if it was written "
            f'as "NA" or "null", read the file with dtype=str, keep_default_na=False.'
        )
    numbered = column == "item" and type(value) is not bool and isinstance(value, Integral)
    if not isinstance(value, str) and not numbered:
        raise StimuliError(
            f"{place}: the column {column!r} must hold a text and holds {value!a:.{SHOWN}} "
            f"({type(value).__name__}). Read the file with dtype=str, "
            "keep_default_na=False."
        )
    if isinstance(value, str) and not value.strip():
        raise StimuliError(
            f"{place}: the column {column!r} is empty. Fill it, or leave the item out."
        )
    if isinstance(value, str):
        try:
            require_whole(value)
        except TextError as error:
            raise StimuliError(f"{place}, column {column!r}: {error}.") from None
