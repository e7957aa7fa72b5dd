"""The design of a battery: items divided into a select and a confirm half, each crossed with four cells.

Must not: look at a text, or test a hypothesis.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from fispace.errors import ArtifactMismatchError, StimuliError
from fispace.seeds import numpy_stream
from fispace.study.config.factorial import FactorConfig

Frame = Any  # pandas ships no types

N_CELLS = 4

SELECT, CONFIRM = "select", "confirm"
MIN_ITEMS = 2
"""A half with fewer items has no variance between items."""


def split_items(frame: pd.DataFrame, select_fraction: float, root_seed: int) -> pd.DataFrame:
    """`frame` with a column `half`; all rows of an item are in the same half.

    Items are permuted by the random stream factorial/split. The first `select_fraction` of them form the
    select half.

    Raises:
        StimuliError: if a half would hold fewer than two items.
    """
    items = sorted(set(frame["item"]))
    n_select = round(select_fraction * len(items))
    if min(n_select, len(items) - n_select) < MIN_ITEMS:
        raise StimuliError(
            f"The battery has {len(items)} items; factorial.select_fraction={select_fraction} "
            f"leaves {n_select} to select and {len(items) - n_select} to confirm. Each half needs "
            f"at least {MIN_ITEMS}."
        )
    order = numpy_stream(root_seed, "factorial", "split").permutation(len(items))
    selected = {items[i] for i in order[:n_select]}
    half = [SELECT if item in selected else CONFIRM for item in frame["item"]]
    return frame.assign(half=half)


def require_same(path: Path, key: str, found: Any, expected: Any) -> None:
    """Check that a step may read `path`, for instance that the file is of the right half.

    Raises:
        ArtifactMismatchError: if the recorded value is not the expected one.
    """
    if found != expected:
        raise ArtifactMismatchError(
            f"{path} does not match its use: {key} is {found!r} in the file and {expected!r} here. "
            "Run the rule that makes it again."
        )


def by_cell(
    texts: Frame, values: Float[np.ndarray, "texts latents"], factors: Sequence[FactorConfig]
) -> Float[np.ndarray, "items 2 2 latents"]:
    """Values by item, level of the first factor, level of the second, and latent; items are sorted.

    Raises:
        StimuliError: if an item has no name, a level is not declared, or an item does not hold every cell
            once.
    """
    places = np.stack(
        [
            _places(texts, "item", None),
            *(_places(texts, factor.name, factor.levels) for factor in factors),
        ]
    )
    _require_every_cell(texts, [factor.name for factor in factors])
    cells = np.empty((places[0].max() + 1, 2, 2, values.shape[1]))
    cells[tuple(places)] = values
    return cells


def _places(texts: Frame, column: str, levels: Sequence[str] | None) -> np.ndarray:
    """Index of each row's value among the levels, or among the sorted values of the column.

    pandas gives -1 to a value that is missing or unknown, which would be the last place of an array.
    """
    known_values = sorted(set(texts[column].dropna())) if levels is None else levels
    places = pd.Index(known_values).get_indexer(texts[column])
    unknown = texts[places < 0]
    if len(unknown):
        known = "a name" if levels is None else " or ".join(map(repr, levels))
        raise StimuliError(
            f"Item {unknown['item'].iloc[0]!r} has the value {unknown[column].iloc[0]!r} of {column!r}; "
            f"expected {known} (factorial.factors). Run the rule factorial_battery again."
        )
    return places


def _require_every_cell(texts: Frame, names: Sequence[str]) -> None:
    n_rows = texts.groupby("item").size()
    n_cells = texts.drop_duplicates(["item", *names]).groupby("item").size()
    odd = n_rows.index[(n_rows != N_CELLS) | (n_cells != N_CELLS)]
    if len(odd):
        raise StimuliError(
            f"Item {odd[0]!r} does not hold each of the {N_CELLS} cells of {' and '.join(names)} "
            "exactly once. Run the rule factorial_battery again."
        )
