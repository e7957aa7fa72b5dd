"""Long tables to arrays by cell.

Must not: test, or see both halves of the items at once.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from fispace.errors import StimuliError
from fispace.study.config.factorial import FactorConfig

Frame = Any  # pandas ships no types

N_CELLS = 4


def by_cell(
    texts: Frame, values: Float[np.ndarray, "texts latents"], factors: Sequence[FactorConfig]
) -> Float[np.ndarray, "items 2 2 latents"]:
    """Values as items x level of the first factor x level of the second x latents, items sorted.

    Raises:
        StimuliError: if a level is not declared, or an item does not hold every cell once.
    """
    for factor in factors:
        _require_levels(texts, factor)
    _require_every_cell(texts, [factor.name for factor in factors])
    places = np.stack(
        [
            pd.Categorical(texts["item"]).codes,
            *(pd.Categorical(texts[f.name], categories=f.levels).codes for f in factors),
        ]
    )
    cells = np.empty((places[0].max() + 1, 2, 2, values.shape[1]))
    cells[tuple(places)] = values
    return cells


def _require_levels(texts: Frame, factor: FactorConfig) -> None:
    unknown = texts[~texts[factor.name].isin(factor.levels)]
    if len(unknown):
        raise StimuliError(
            f"Item {unknown['item'].iloc[0]!r} has the level {unknown[factor.name].iloc[0]!r} of "
            f"{factor.name!r}; declared in factorial.factors are "
            f"{' and '.join(map(repr, factor.levels))}. Run the rule factorial_battery again."
        )


def _require_every_cell(texts: Frame, names: Sequence[str]) -> None:
    n_rows = texts.groupby("item").size()
    n_cells = texts.drop_duplicates(["item", *names]).groupby("item").size()
    odd = n_rows.index[(n_rows != N_CELLS) | (n_cells != N_CELLS)]
    if len(odd):
        raise StimuliError(
            f"Item {odd[0]!r} does not hold each of the {N_CELLS} cells of {' and '.join(names)} "
            "once. Run the rule factorial_battery again."
        )
