"""The quantity: one named number of one seed, the row of `report/quantities.parquet`.

Must not: compute.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import pandas as pd

Frame = Any  # pandas ships no types


class Quantity(NamedTuple):
    """One named number."""

    quantity: str
    seed: int
    """Seed of the training it comes from; `NO_SEED` if it depends on none."""
    value: float
    unit: str
    n: int
    """Tokens, latents, pairs or items behind the value."""


NO_SEED = -1


def quantity_frame(quantities: Iterable[Quantity]) -> pd.DataFrame:
    """The quantities as a table, sorted by name and seed.

    Raises:
        ValueError: if a name stands twice for one seed.
    """
    frame = pd.DataFrame(list(quantities), columns=pd.Index(Quantity._fields))
    repeated = frame.duplicated(["quantity", "seed"])
    if repeated.any():
        raise ValueError(f"quantity {frame.loc[repeated, 'quantity'].iloc[0]!r} is defined twice")
    return frame.sort_values(["quantity", "seed"], ignore_index=True)
