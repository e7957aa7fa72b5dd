"""Equivalence tests: is an effect small enough to count as none?

Must not: choose the bound.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# statsmodels ships no types

import numpy as np
from jaxtyping import Float
from statsmodels.stats.weightstats import DescrStatsW

Items = Float[np.ndarray, "items columns"]
PerColumn = Float[np.ndarray, " columns"]


def tost(values: Items, bounds: PerColumn) -> PerColumn:
    """p-value of two one-sided t tests that the mean lies in (-bound, bound), per column.

    A small p shows that the effect is negligible, which a large p of a difference test does not
    (Schuirmann 1987; Lakens 2017). A column without variance is decided by its mean alone.
    """
    scaled = values.astype(np.float64) / bounds
    spread = scaled.std(0) > 1e-12 * np.maximum(np.abs(scaled).max(0), 1e-300)
    p = np.where(np.abs(scaled.mean(0)) < 1, 0.0, 1.0)
    if spread.any():
        p[spread] = DescrStatsW(scaled[:, spread]).ttost_mean(-1.0, 1.0)[0]
    return p
