"""Intervals of a mean over few independent repetitions, such as seeds.

Must not: pool tokens or documents; those are resampled in `bootstrap`.
"""

# scipy ships no types
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Interval(NamedTuple):
    """A mean and its two-sided interval."""

    mean: float
    low: float
    high: float
    n: int
    """Number of repetitions."""


def t_quantile(probability: float, n_degrees: int) -> float:
    """Quantile of Student's t distribution."""
    from scipy import stats  # a second to load, which `explain` has no use for

    return float(stats.t.ppf(probability, n_degrees))


def t_interval(values: Float[np.ndarray, " repetitions"], confidence: float) -> Interval:
    """Mean and Student t interval: mean +- t_(n-1) s / sqrt(n).

    With a single repetition the ends are NaN. A NaN value makes mean and ends NaN.
    """
    n, mean = len(values), float(np.mean(values))
    if n < 2:
        return Interval(mean, float("nan"), float("nan"), n)
    half = t_quantile(0.5 + confidence / 2, n - 1) * float(np.std(values, ddof=1)) / n**0.5
    return Interval(mean, mean - half, mean + half, n)


def prediction_interval(values: Float[np.ndarray, " repetitions"], confidence: float) -> Interval:
    """Mean and prediction interval of one more repetition: mean +- t_(n-1) s sqrt(1 + 1/n).

    Assumes repetitions from one normal distribution. It is wider than `t_interval` by the factor
    sqrt(n + 1), and NaN in the same cases.
    """
    mean, low, high, n = t_interval(values, confidence)
    wider = (n + 1) ** 0.5
    return Interval(mean, mean - wider * (mean - low), mean + wider * (high - mean), n)
