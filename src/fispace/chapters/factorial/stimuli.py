"""Reading stimulus batteries: CSV files to validated tables of items crossed with conditions.

Must not: generate stimuli, run a model, or repair a broken battery.
"""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from fispace.errors import StimuliError
from fispace.store.columns import NUMBER
from fispace.store.text_files import CsvError, read_cells
from fispace.study.config.factorial import FactorConfig
from fispace.study.names import plain_text

FRAME = "frame"
"""Optional column: the wording that an item's texts share."""

PLANTED_CONTRAST = "contrast"
"""Column of a word's planted y11 - y10 - y01 + y00 in nats, where a battery has ground truth."""


def read_battery(path: Path, factors: Sequence[FactorConfig], variant: str | None) -> pd.DataFrame:
    """Columns item, frame (optional), one per factor, text; one row per item and cell, sorted.

    One factor with two levels makes a matched-pair battery, two factors a 2x2 battery. With `variant`,
    only the rows of that variant are kept, but the whole file is validated.

    Raises:
        StimuliError: if the file breaks a rule of the schema; the message names file, row and rule.
    """
    columns = ["item", *(factor.name for factor in factors), "text"]
    frame = _read_columns(path, columns)
    _require_filled(path, frame, columns)
    for factor in factors:
        _require_levels(path, frame, factor)
    _require_distinct(path, frame, ["text"], "a text may occur only once in a battery")
    _require_variant(path, frame, variant)
    keys = ["item", *(["variant"] if "variant" in frame else [])]
    _require_balance(path, frame, keys, factors)
    kept = frame[frame["variant"] == variant] if "variant" in frame else frame
    return _sorted(kept, factors)


def read_words(path: Path, factors: Sequence[FactorConfig]) -> pd.DataFrame:
    """Response words: columns word, one per factor, and `contrast` if planted; as many in every cell.

    Raises:
        StimuliError: if the file breaks a rule of the schema; the message names file, row and rule.
    """
    return validated_words(path, _read(path), factors)


def validated_words(path: Path, frame: Any, factors: Sequence[FactorConfig]) -> pd.DataFrame:
    """The response words in `frame`, which was read from `path`, after checking the rules.

    Raises:
        StimuliError: as `read_words`.
    """
    names = [factor.name for factor in factors]
    _require_columns(path, frame, ["word", *names])
    _require_filled(path, frame, ["word", *names])
    for factor in factors:
        _require_levels(path, frame, factor)
    _require_plain(path, frame, "word")
    _require_distinct(path, frame, ["word"], "a response word may belong to one cell only")
    counts = Counter(frame[names].itertuples(index=False, name=None))
    sizes = {cell: counts[cell] for cell in product(*(factor.levels for factor in factors))}
    if len(set(sizes.values())) != 1:
        listed = ", ".join(f"{'/'.join(cell)}: {size}" for cell, size in sizes.items())
        raise StimuliError(
            f"{path}: every cell needs the same number of response words; found {listed}."
        )
    if PLANTED_CONTRAST in frame:
        frame = frame.assign(**{PLANTED_CONTRAST: _numbers(path, frame, PLANTED_CONTRAST)})
    kept = frame[["word", *names, *([PLANTED_CONTRAST] if PLANTED_CONTRAST in frame else [])]]
    return kept.reset_index(drop=True)


def read_prompts(path: Path) -> pd.DataFrame:
    """Neutral prompts, each an item of its own: columns item and prompt.

    Items are numbered in the alphabetical order of the prompts. Sign flips go by item, and no p-value may
    depend on the order of rows in the file.

    Raises:
        StimuliError: if the column `prompt` is missing, or a prompt is empty or occurs twice.
    """
    frame = _read_columns(path, ["prompt"])
    _require_filled(path, frame, ["prompt"])
    _require_distinct(path, frame, ["prompt"], "a prompt may occur only once")
    numbers = frame["prompt"].rank(method="first").astype(int)
    named = {"item": numbers.map("prompt-{:03d}".format), "prompt": frame["prompt"]}
    return pd.DataFrame(named).reset_index(drop=True)


def _read_columns(path: Path, columns: list[str]) -> Any:
    frame = _read(path)
    _require_columns(path, frame, columns)
    return frame


def _read(path: Path) -> Any:
    """All cells as text; the index holds each row's line number in the file."""
    try:
        cells = read_cells(path)
    except (FileNotFoundError, IsADirectoryError):
        raise StimuliError(
            f"{path} does not exist. A battery is a folder with stimuli.csv, responses.csv and "
            "prompts.csv; set factorial.battery to such a folder."
        ) from None
    except CsvError as error:
        raise StimuliError(f"{path} is not readable as CSV in UTF-8, {error}.") from None
    twice = [name for name, count in Counter(cells.header).items() if count > 1]
    if twice:
        raise StimuliError(f"{path}, row 1: the column {twice[0]!r} occurs twice.")
    if not cells.rows:
        raise StimuliError(f"{path}: the file has a header but no row.")
    return pd.DataFrame(cells.rows, columns=pd.Index(cells.header), index=cells.lines, dtype="str")


def _require_columns(path: Path, frame: Any, columns: list[str]) -> None:
    missing = [column for column in columns if column not in frame]
    if missing:
        raise StimuliError(
            f"{path}, row 1: missing column {missing[0]!r}; a battery needs {', '.join(columns)} "
            f"(the factors are declared in factorial.factors), found {', '.join(map(repr, frame))}."
        )


def _require_filled(path: Path, frame: Any, columns: list[str]) -> None:
    for column in columns:
        empty = frame.index[frame[column].str.strip() == ""]
        if len(empty):
            raise StimuliError(f"{path}, row {empty[0]}: the column {column!r} is empty.")


def _require_levels(path: Path, frame: Any, factor: FactorConfig) -> None:
    unknown = frame.index[~frame[factor.name].isin(factor.levels)]
    if len(unknown):
        found = frame.loc[unknown[0], factor.name]
        raise StimuliError(
            f"{path}, row {unknown[0]}: unknown level {_shown(found)} of {factor.name!r}; "
            f"the levels declared in factorial.factors are {', '.join(factor.levels)}."
        )


def _shown(text: str) -> str:
    """The text in quotes, with the codes of non-ASCII letters, which may look like ASCII ones."""
    return repr(text) if text.isascii() else f"{text!r} ({text!a})"


def _require_plain(path: Path, frame: Any, column: str) -> None:
    """Refuse invisible characters and outer spaces, which would be scored as part of the word."""
    for row, cell in frame[column].items():
        try:
            plain_text(cell)
        except ValueError as error:
            raise StimuliError(f"{path}, row {row}: the {column} {error}.") from None


def _numbers(path: Path, frame: Any, column: str) -> list[float]:
    """The numbers of a column, which a grammar stores as numbers and a CSV as text."""
    for row, cell in frame[column].items():
        is_number = not isinstance(cell, str) or NUMBER.kind.pattern.fullmatch(cell)
        if not is_number or not math.isfinite(float(cell)):
            raise StimuliError(
                f"{path}, row {row}: {column} is {cell!r}, but must be a finite number: the contrast "
                "planted for this word, in nats. If the column means something else, rename it."
            )
    return [float(cell) for cell in frame[column]]


def _require_distinct(path: Path, frame: Any, columns: list[str], rule: str) -> None:
    folded = frame[columns].apply(
        lambda column: column.str.normalize("NFC").str.strip().str.casefold()
    )
    again = frame.index[folded.duplicated()]
    if len(again):
        first = frame.index[(folded == folded.loc[again[0]]).all(axis=1)][0]
        raise StimuliError(
            f"{path}, row {again[0]}: duplicate of row {first} "
            f"({frame.loc[again[0], columns[0]]!r}); {rule}."
        )


def _require_variant(path: Path, frame: Any, variant: str | None) -> None:
    known = sorted(set(frame["variant"])) if "variant" in frame else []
    if variant is None and len(known) > 1:
        raise StimuliError(
            f"{path}: the battery has the variants {', '.join(known)}; choose one with "
            "factorial.variant."
        )
    if variant is not None and variant not in known:
        raise StimuliError(
            f"{path}: no row of the variant {variant!r} (factorial.variant); "
            + (
                f"the file has {', '.join(known)}."
                if known
                else "the file has no column 'variant'."
            )
        )


def _require_balance(
    path: Path, frame: Any, keys: list[str], factors: Sequence[FactorConfig]
) -> None:
    """Every item holds every cell exactly once."""
    names = [factor.name for factor in factors]
    again = frame.index[frame.duplicated([*keys, *names])]
    if len(again):
        row = frame.loc[again[0]]
        raise StimuliError(
            f"{path}, row {again[0]}: unbalanced cells: item {row['item']!r} holds the cell "
            f"{'/'.join(row[names])} more than once."
        )
    cells = set(product(*(factor.levels for factor in factors)))
    for _, rows in frame.groupby(keys, sort=False):
        missing = sorted(cells - set(rows[names].itertuples(index=False, name=None)))
        if missing:
            raise StimuliError(
                f"{path}, row {rows.index[0]}: item {rows['item'].iloc[0]!r} is missing the "
                f"cell {'/'.join(missing[0])}; an item is realised in all {len(cells)} cells."
            )


def _sorted(frame: Any, factors: Sequence[FactorConfig]) -> Any:
    """Rows by item, then by the index of each factor's level: cells in the order 00 01 10 11."""
    names = [factor.name for factor in factors]
    ranks = {factor.name: {level: i for i, level in enumerate(factor.levels)} for factor in factors}
    order = frame.sort_values(
        ["item", *names], key=lambda column: column.map(ranks.get(str(column.name), str))
    )
    kept = ["item", *([FRAME] if FRAME in order else []), *names, "text"]
    return order[kept].reset_index(drop=True)
