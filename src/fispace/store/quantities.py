"""Quantities: named numbers by seed with their origins, the rows of `report/quantities.parquet`.

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
    """Seed of the training that it comes from; `NO_SEED` if it depends on none."""
    value: float
    unit: str
    n: int
    """Tokens, latents, pairs or items behind the value."""
    origin: Origin | None = None
    """Cells and function that the value was computed from; not a column of the table."""


NO_SEED = -1
QUANTITY_COLUMNS = Quantity._fields[:-1]


def quantity(name: str, seed: int, derived: Derived, unit: str, n: int) -> Quantity:
    """A derived number as a quantity, with its origin."""
    return Quantity(name, seed, float(derived.value), unit, n, derived.origin)


def quantity_frame(quantities: Iterable[Quantity]) -> pd.DataFrame:
    """The quantities as a table, sorted by name and seed.

    Raises:
        ValueError: if a name is there twice for one seed.
    """
    rows = [row[: len(QUANTITY_COLUMNS)] for row in quantities]
    frame = pd.DataFrame(rows, columns=pd.Index(QUANTITY_COLUMNS))
    repeated = frame.duplicated(["quantity", "seed"])
    if repeated.any():
        raise ValueError(f"quantity {frame.loc[repeated, 'quantity'].iloc[0]!r} is defined twice")
    return frame.sort_values(["quantity", "seed"], ignore_index=True)
