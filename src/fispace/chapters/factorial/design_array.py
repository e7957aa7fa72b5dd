"""Long tables to arrays by cell.

Must not: test, or see both halves of the items at once.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from fispace.study.config.factorial import FactorConfig

Frame = Any  # pandas ships no types


def by_cell(
    texts: Frame, values: Float[np.ndarray, "texts latents"], factors: Sequence[FactorConfig]
) -> Float[np.ndarray, "items 2 2 latents"]:
    """Values as items x level of the first factor x level of the second x latents, items sorted."""
    places = np.stack(
        [
            pd.Categorical(texts["item"]).codes,
            *(pd.Categorical(texts[f.name], categories=f.levels).codes for f in factors),
        ]
    )
    cells = np.full((places[0].max() + 1, 2, 2, values.shape[1]), np.nan)
    cells[tuple(places)] = values
    return cells
