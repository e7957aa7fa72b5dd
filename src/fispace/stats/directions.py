"""Geometry of a set of directions: squared norms, Gram entries, cosines, spectra, rank correlation.

Must not: know a model, a file or a threshold of the paper; the paper's formulas are in `published`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

Directions = Float[np.ndarray, "rows width"]
Vector = Float[np.ndarray, " rows"]


class PairGeometry(NamedTuple):
    """Off-diagonal Gram entries of pairs of rows, each averaged over the pairs."""

    mean_abs_dot: float
    """Mean |w_i . w_j|, in squared units of the rows."""
    mean_abs_cosine: float
    """Mean |w_i . w_j| / (|w_i| |w_j|), in [0, 1]."""
    n_pairs: int


class Quantiles(NamedTuple):
    """Location and spread of a sample, as quantiles."""

    low: float
    median: float
    high: float


def squared_norms(rows: Directions) -> Vector:
    """Squared Euclidean norm of each row, float64: the diagonal of the Gram matrix rows rows^T."""
    wide = rows.astype(np.float64)
    return np.einsum("ij,ij->i", wide, wide)


def sample_pairs(
    n_rows: int, n_pairs: int, generator: np.random.Generator
) -> Int[np.ndarray, "pairs 2"]:
    """Unordered pairs i < j of distinct rows: all of them, or `n_pairs` drawn uniformly if there are more.

    Pairs are drawn with replacement. The author's script draws i ~ U and j ~ U(i, n), which
    over-samples high indices (p16b:182); here each pair has the same probability.
    """
    n_all = n_rows * (n_rows - 1) // 2
    if n_all <= n_pairs:
        return np.stack(np.triu_indices(n_rows, k=1), axis=1)
    first = generator.integers(0, n_rows, size=n_pairs)
    second = (first + generator.integers(1, n_rows, size=n_pairs)) % n_rows
    return np.sort(np.stack([first, second], axis=1), axis=1)


def pair_geometry(rows: Directions, pairs: Int[np.ndarray, "pairs 2"]) -> PairGeometry:
    """Mean |dot| and mean |cosine| over the given pairs of rows.

    A pair with a row of norm 0 has no cosine; it counts in the mean |dot| but not in the mean |cosine|.
    """
    wide = rows.astype(np.float64)
    norms = np.sqrt(squared_norms(rows))
    dots, scales = np.empty(len(pairs)), np.empty(len(pairs))
    for start in range(0, len(pairs), 65536):  # bounds the two gathered blocks in memory
        i, j = pairs[start : start + 65536].T
        dots[start : start + 65536] = np.einsum("ij,ij->i", wide[i], wide[j])
        scales[start : start + 65536] = norms[i] * norms[j]
    has_angle = scales > 0
    cosines = np.abs(dots[has_angle]) / scales[has_angle]
    return PairGeometry(float(np.abs(dots).mean()), float(cosines.mean()), len(pairs))


def variance_spectrum(rows: Directions, *, centred: bool) -> Float[np.ndarray, " components"]:
    """Share of the total sum of squares along each principal direction, descending, summing to 1.

    s_i^2 / sum s^2, where s are the singular values of `rows`, computed in float64 from the width x width
    matrix rows^T rows. With `centred` the mean row is subtracted first (PCA); without it the first
    component mostly carries the mean. There are min(n_rows, width) components.
    """
    wide = rows.astype(np.float64)
    if centred:
        wide = wide - wide.mean(axis=0)
    powers = np.linalg.eigvalsh(wide.T @ wide)[::-1].clip(min=0)[: min(rows.shape)]
    return powers / powers.sum()


def n_components_for(shares: Float[np.ndarray, " components"], target: float) -> int:
    """Smallest number of leading components that hold at least `target` of the sum of all."""
    cumulative = np.cumsum(shares) / np.sum(shares)
    # the last entry is 1 up to rounding; searchsorted must not run past it
    return min(int(np.searchsorted(cumulative, target)) + 1, len(shares))


def participation_ratio(shares: Float[np.ndarray, " components"]) -> float:
    """Effective number of components, (sum s)^2 / sum s^2, in [1, n_components]."""
    return float(np.sum(shares) ** 2 / np.sum(np.square(shares)))


def spearman(first: Vector, second: Vector) -> float:
    """Rank correlation in [-1, 1]; NaN if either vector is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(_ranks(first), _ranks(second))[0, 1])


def quantiles(values: Vector, tail: float) -> Quantiles:
    """Quantiles `tail`, 1/2 and 1 - `tail` of the values."""
    low, median, high = np.quantile(values, [tail, 0.5, 1 - tail])
    return Quantiles(float(low), float(median), float(high))


def _ranks(values: Vector) -> Vector:
    """Ranks from 1; ties get their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]
