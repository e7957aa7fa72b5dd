"""Intervals of a mean over few independent repetitions, such as seeds.

Must not: pool tokens or documents; those are resampled in `bootstrap`.
"""

# scipy ships no types
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
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


def over_repetitions(table: Any, keys: Sequence[str], confidence: float) -> Any:
    """Data frame of the keys, mean, low, high and n: `t_interval` of the column `value` in every group.

    Missing values are left out, and with them groups that have no other; groups keep their order.
    """
    rows: list[dict[str, Any]] = []
    for names, own in table.groupby(list(keys), sort=False):
        values = own["value"].dropna().to_numpy(np.float64)
        if len(values):
            found = t_interval(values, confidence)
            rows.append({**dict(zip(keys, names, strict=True)), **found._asdict()})
    return pd.DataFrame(rows, columns=pd.Index([*keys, *Interval._fields]))


def prediction_interval(values: Float[np.ndarray, " repetitions"], confidence: float) -> Interval:
    """Mean and prediction interval of one more repetition: mean +- t_(n-1) s sqrt(1 + 1/n).

    Assumes repetitions from one normal distribution. It is wider than `t_interval` by the factor
    sqrt(n + 1), and NaN in the same cases.
    """
    mean, low, high, n = t_interval(values, confidence)
    wider = (n + 1) ** 0.5
    return Interval(mean, mean - wider * (mean - low), mean + wider * (high - mean), n)


def joined_interval(over_seeds: Interval, low: float, high: float) -> Interval:
    """Interval of a mean over two crossed sources of variation, such as seeds and documents.

    Seeds and documents are crossed random effects: every seed is measured on every document. The variance
    of the mean is then at most the sum of the variance over seeds and that over documents (Owen 2007, The
    pigeonhole bootstrap), so half-widths add as squares, on each side by itself:
    mean - sqrt((mean - low_seeds)^2 + (mean - low_documents)^2), and the same above. An interval over
    documents that does not contain the mean counts on its far side alone. NaN ends stay NaN.
    """
    mean = over_seeds.mean
    below = np.hypot(mean - over_seeds.low, np.maximum(mean - low, 0.0))  # NaN stays NaN
    above = np.hypot(over_seeds.high - mean, np.maximum(high - mean, 0.0))
    return Interval(mean, float(mean - below), float(mean + above), over_seeds.n)


def detectable_effect(interval: Interval, confidence: float, power: float) -> float:
    """Smallest effect that a two-sided t-test at level 1 - confidence shows with the given power.

    (t_{1-alpha/2, n-1} + t_{power, n-1}) s, with the standard error s that the interval's wider side
    implies. NaN with a single repetition.
    """
    if interval.n < 2:
        return float("nan")
    half = max(interval.mean - interval.low, interval.high - interval.mean)
    level, found = (t_quantile(p, interval.n - 1) for p in (0.5 + confidence / 2, power))
    return half * (1 + found / level)


MOST_REPETITIONS = 1000
"""Beyond this, repetitions decide nothing in practice."""


def repetitions_to_decide(
    over_seeds: Interval, joined: Interval, edge: float, confidence: float
) -> int | None:
    """Repetitions with which the joined interval excludes the nearer of the edges +-`edge`.

    Mean, spread over seeds and the share of the other sources of variation stay as they are; None if more
    than 1,000 would be needed, or if the other sources alone reach the edge.
    """
    n, mean = over_seeds.n, over_seeds.mean
    if n < 2 or not np.isfinite(joined.low + joined.high):
        return None
    nearest = min((edge, -edge), key=lambda end: abs(mean - end))
    is_above = mean > nearest
    own = mean - over_seeds.low
    whole = mean - joined.low if is_above else joined.high - mean
    rest = max(whole**2 - own**2, 0.0)
    spread = own / t_quantile(0.5 + confidence / 2, n - 1) * n**0.5
    for more in range(n + 1, MOST_REPETITIONS + 1):
        half = t_quantile(0.5 + confidence / 2, more - 1) * spread / more**0.5
        if half**2 + rest < (mean - nearest) ** 2:
            return more
    return None
