"""One mode or two: Hartigan's dip test, and a mixture of two Gaussians with the groups it defines.

Must not: know what the values are, or a threshold of the paper.
"""

# scikit-learn and diptest ship no types
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from typing import Any, NamedTuple

import diptest
import numpy as np
from jaxtyping import Float
from sklearn.mixture import GaussianMixture

SampleValues = Float[np.ndarray, " values"]
QUARTILES = (0.25, 0.75)
"""Quantiles at which the two components start."""
TOLERANCE, MOST_STEPS = 1e-6, 10_000
"""Gain in mean log-likelihood, in nats, below which EM ends; at the library's 1e-3 the threshold still
depends on where EM started."""
GRID = 2001
"""Number of points between the two means at which the posterior is evaluated."""


class Dip(NamedTuple):
    """Hartigan's test of unimodality."""

    statistic: float
    """Largest distance between the empirical and the closest unimodal distribution, in [0, 1/4]."""
    p: float
    """Probability of a larger dip under the uniform distribution, interpolated from tables."""


class Mixture(NamedTuple):
    """A mixture of two Gaussians, compared with a single Gaussian."""

    threshold: float
    """Value between the two means at which both components are equally likely."""
    bic_gain: float
    """BIC of one Gaussian minus BIC of two, per value; positive favours two."""
    low_mean: float
    high_mean: float


def dip_test(values: SampleValues) -> Dip:
    """The dip of the values and its p-value. Source: Hartigan & Hartigan 1985.

    Constant values, and fewer than four values, have no second mode: dip 0, p 1.
    """
    if len(values) < 4 or np.ptp(values) == 0:
        return Dip(0.0, 1.0)
    found: Any = diptest.diptest(np.sort(values.astype(np.float64)))
    statistic, p = found
    return Dip(float(statistic), float(p))


def two_modes(values: SampleValues, stream: np.random.Generator) -> Mixture:
    """Mixture of two Gaussians by EM, and the threshold between its components.

    `stream` draws the k-means partition from which the weights and variances start.

    BIC counts 2 parameters for one Gaussian and 5 for two. A single skewed mode also favours two
    Gaussians, so always read it together with the dip. If all values are equal, the threshold is that
    value.
    """
    column = values.astype(np.float64)[:, None]
    if np.ptp(column) == 0:
        return Mixture(float(column[0, 0]), 0.0, float(column[0, 0]), float(column[0, 0]))
    starts = np.quantile(column, QUARTILES)[:, None]
    if starts[0, 0] == starts[1, 0]:
        starts = np.array([[column.min()], [column.max()]])
    one = GaussianMixture(1).fit(column)
    two = GaussianMixture(
        2, means_init=starts, random_state=int(stream.integers(2**32)), tol=TOLERANCE,
        max_iter=MOST_STEPS,
    ).fit(column)  # fmt: skip
    gain = (one.bic(column) - two.bic(column)) / len(column)
    means: Any = two.means_
    low, high = float(means.min()), float(means.max())
    return Mixture(_crossing(two, int(means.argmax()), low, high), float(gain), low, high)


def _crossing(mixture: GaussianMixture, upper_component: int, low: float, high: float) -> float:
    """Value between the means at which the posterior crosses 1/2; their midpoint if it does not."""
    grid = np.linspace(low, high, GRID)
    upper = mixture.predict_proba(grid[:, None])[:, upper_component]
    is_upper = upper >= 0.5
    if is_upper.all() or not is_upper.any():
        return (low + high) / 2
    return float(grid[int(np.argmax(is_upper))])
