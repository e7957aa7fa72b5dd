"""Tests of 2x2 factorial designs crossed with items, for all latents at once.

The unit of every test is the item: rows of one item stay together, so p-values do not depend on the
order of rows. Must not: know a model, a file, or which half of the items it is given.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# scipy and statsmodels ship no types

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

Items = Float[np.ndarray, "items latents"]
CellArray = Float[np.ndarray, "items 2 2 latents"]
Flips = Float[np.ndarray, "flips items"]
PerLatent = Float[np.ndarray, " latents"]

NEGLIGIBLE = 1e-12
"""A variance below this share of the mean square is rounding error of a constant; in `tost`, where values are
in units of their bound, a standard deviation below this share of the largest value."""


class TTest(NamedTuple):
    """One t test per latent."""

    estimate: PerLatent
    """Mean, or difference of means, in the units of the data."""
    low: PerLatent
    high: PerLatent
    t: PerLatent
    df: PerLatent
    p: PerLatent
    """Two-sided."""
    partial_eta2: PerLatent
    """t^2 / (t^2 + df), in [0, 1]: the effect's share of effect plus error."""


class SignFlip(NamedTuple):
    """p-values of the sign-flip permutation test, one per latent."""

    p: PerLatent
    """For the latent alone."""
    p_max: PerLatent
    """Against the maximum of |t| over all latents, which corrects for the search over latents."""


def welch_t(first: Items, second: Float[np.ndarray, "others latents"], confidence: float) -> TTest:
    """Welch's t test of mean(first) - mean(second), per latent; both hold one row per item.

    t = (m1 - m2) / sqrt(s1^2/n1 + s2^2/n2), degrees of freedom by Welch-Satterthwaite (Welch 1947).
    A latent that is constant and equal on both sides has t = 0 and p = 1.
    """
    n1, n2 = first.shape[0], second.shape[0]
    share1, share2 = _variance(first) / n1, _variance(second) / n2
    squared_error = share1 + share2
    denominator = share1**2 / (n1 - 1) + share2**2 / (n2 - 1)
    df = np.where(denominator > 0, _ratio(squared_error**2, denominator), float(n1 + n2 - 2))
    return _t_test(first.mean(0) - second.mean(0), np.sqrt(squared_error), df, confidence)


def one_sample_t(values: Items, confidence: float) -> TTest:
    """Student's t test of a zero mean over items, per latent, with its confidence interval.

    A latent whose values are all zero has t = 0 and p = 1.
    """
    n_items = values.shape[0]
    error = np.sqrt(_variance(values) / n_items)
    df = np.full(values.shape[1], float(n_items - 1))
    return _t_test(values.mean(0), error, df, confidence)


def tost(values: Items, bounds: PerLatent) -> PerLatent:
    """p-value of two one-sided t tests that the mean lies in (-bound, bound), per latent.

    A small p shows that the effect is negligible; a large p of a difference test does not show this
    (Schuirmann 1987; Lakens 2017). Without variance, p is 0 if the mean lies inside the bound, else 1.
    """
    from statsmodels.stats.weightstats import DescrStatsW  # slow to import, and used here only

    scaled = values.astype(np.float64) / bounds
    spread = scaled.std(0) > NEGLIGIBLE * np.maximum(np.abs(scaled).max(0), 1e-300)
    p = np.where(np.abs(scaled.mean(0)) < 1, 0.0, 1.0)
    if spread.any():
        p[spread] = DescrStatsW(scaled[:, spread]).ttost_mean(-1.0, 1.0)[0]
    return p


def benjamini_hochberg(p: PerLatent) -> PerLatent:
    """Adjusted p-values that control the false discovery rate (Benjamini & Hochberg 1995)."""
    if p.size == 0:
        return p
    return np.asarray(stats.false_discovery_control(p, method="bh"))


def interaction_contrasts(cells: CellArray) -> Items:
    """Per-item interaction contrast y11 - y10 - y01 + y00, in the units of the data.

    The subtraction within an item removes everything that the item adds to all four cells. So item variance
    cannot swamp the test, as it does in a plain two-way ANOVA on crossed items.
    """
    return cells[:, 1, 1] - cells[:, 1, 0] - cells[:, 0, 1] + cells[:, 0, 0]


def sign_flips(n_items: int, n_permutations: int, generator: np.random.Generator) -> Flips:
    """Matrix of +-1 signs with one permutation per row; row 0 is all +1, the data as observed.

    It holds all 2^n_items patterns if there are at most `n_permutations` (exact test). Otherwise it holds
    the observed pattern and `n_permutations` random ones (Monte-Carlo test; Phipson & Smyth 2010).
    """
    if 2**n_items <= n_permutations:
        bits = np.right_shift(np.arange(2**n_items)[:, None], np.arange(n_items)) % 2
        return np.where(bits == 0, 1.0, -1.0)
    signs = 1.0 - 2.0 * generator.integers(0, 2, size=(n_permutations, n_items))
    return np.concatenate([np.ones((1, n_items)), signs])


def sign_flip_test(values: Items, flips: Flips) -> SignFlip:
    """Two-sided sign-flip tests of a zero mean: each latent alone, and against their maximum.

    Under the null an item's value is symmetric about zero, so its sign may be flipped. One flip applies to
    all latents of an item, which preserves their dependence. p_max is the single-step max-|t| adjustment
    (Westfall & Young 1993), equivalent to max-F since F = t^2. Memory is O(flips x latents).
    """
    n_flips = flips.shape[0]
    null = flipped_abs_t(values, flips)
    observed = null[0] * (1 - NEGLIGIBLE)  # ties with the observed pattern count as larger
    p = (null >= observed).sum(0) / n_flips
    largest = np.sort(null.max(1))
    n_smaller = np.searchsorted(largest, observed, side="left")
    return SignFlip(p, (n_flips - n_smaller) / n_flips)


def flipped_abs_t(values: Items, flips: Flips) -> Float[np.ndarray, "flips latents"]:
    """|t| of the mean over items under each pattern of signs.

    A flip does not change the sum of squares, so one matrix product gives every mean and every variance.
    """
    n_items = values.shape[0]
    wide = values.astype(np.float64)
    means = flips @ wide / n_items
    mean_square = np.square(wide).mean(0)
    variance = (mean_square - means**2) * (n_items / (n_items - 1))
    variance = np.where(variance <= NEGLIGIBLE * mean_square, 0.0, variance)
    return np.abs(_ratio(means, np.sqrt(variance / n_items)))


def _t_test(estimate: PerLatent, error: PerLatent, df: PerLatent, confidence: float) -> TTest:
    t = _ratio(estimate, error)
    p = 2 * stats.t.sf(np.abs(t), df)
    half = stats.t.ppf(0.5 + confidence / 2, df) * error
    squared = np.where(np.isinf(t), 0.0, t) ** 2
    eta2 = np.where(np.isinf(t), 1.0, squared / (squared + df))
    return TTest(estimate, estimate - half, estimate + half, t, df, p, eta2)


def _variance(values: Items) -> PerLatent:
    wide = values.astype(np.float64)
    variance = wide.var(0, ddof=1)
    return np.where(variance <= NEGLIGIBLE * np.square(wide).mean(0), 0.0, variance)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Quotient with 0/0 = 0 and x/0 = +-inf."""
    sign = np.where(numerator == 0, 0.0, np.copysign(np.inf, numerator))
    return np.divide(numerator, denominator, out=sign, where=denominator > 0)
