"""The quantity: one named number of one seed, the row of `report/quantities.parquet`, and its origin.

Must not: compute.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import pandas as pd

from fispace.store.origins import Derived, Origin

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
    origin: Origin | None = None
    """Cells and function that the value was computed from; no column of the table."""


NO_SEED = -1
COLUMNS = Quantity._fields[:-1]


def quantity(name: str, seed: int, derived: Derived, unit: str, n: int) -> Quantity:
    """The quantity that a derived number is, with the number's origin."""
    return Quantity(name, seed, float(derived.value), unit, n, derived.origin)


def quantity_frame(quantities: Iterable[Quantity]) -> pd.DataFrame:
    """The quantities as a table, sorted by name and seed.

    Raises:
        ValueError: if a name stands twice for one seed.
    """
    rows = [row[: len(COLUMNS)] for row in quantities]
    frame = pd.DataFrame(rows, columns=pd.Index(COLUMNS))
    repeated = frame.duplicated(["quantity", "seed"])
    if repeated.any():
        raise ValueError(f"quantity {frame.loc[repeated, 'quantity'].iloc[0]!r} is defined twice")
    return frame.sort_values(["quantity", "seed"], ignore_index=True)
