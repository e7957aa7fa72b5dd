"""How much smaller a loss is than a baseline's, as a share of the baseline's.

It needs no torch, so that tables and reports can use it. Must not: know which loss, or choose a baseline.
"""

import numpy as np
from jaxtyping import Float

Number = float | Float[np.ndarray, " draws"]
"""A number, or one number per resample."""


def gain(baseline: Number, value: Number) -> Number:
    """1 - value / baseline: the share of the baseline's loss that is gone; positive if `value` is smaller."""
    return 1 - value / baseline


def gain_samples(
    baseline: Float[np.ndarray, " draws"], value: Float[np.ndarray, " draws"]
) -> Float[np.ndarray, " draws"]:
    """`gain` of every resample, as (baseline - value) / baseline; NaN where the baseline is not above 0."""
    less = baseline - value
    return np.divide(less, baseline, out=np.full_like(less, np.nan), where=baseline > 0)
