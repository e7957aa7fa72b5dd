"""Spectra and angles of random directions: the null for a set of rows without structure.

Everything here is an exact law or its limit for many rows. Must not: draw random numbers.
"""

import math

import numpy as np
from jaxtyping import Float

GRID = 4096
"""Number of angles at which the cumulative distribution is tabulated."""


def marchenko_pastur_edges(n_rows: int, width: int) -> tuple[float, float]:
    """Ends of the spectrum of W^T W / n_rows for independent entries of variance 1.

    (1 -+ sqrt(width / n_rows))^2. With fewer rows than columns use the transpose; the remaining eigenvalues
    are zero. Source: Marchenko & Pastur 1967.
    """
    root = math.sqrt(width / n_rows)
    return (1 - root) ** 2, (1 + root) ** 2


def marchenko_pastur_spectrum(n_rows: int, width: int) -> Float[np.ndarray, " components"]:
    """Expected shares of the total sum of squares, descending, summing to 1.

    Component i of m = min(n_rows, width) is the quantile at (m - i + 1/2) / m of the law; the
    uncentred spectrum of a matrix with independent entries of equal variance tends to it.
    """
    n_components = min(n_rows, width)
    low, high = marchenko_pastur_edges(max(n_rows, width), n_components)
    angle = (np.arange(GRID) + 0.5) * math.pi / GRID
    # x = centre - half cos(angle) turns the density's two square-root ends into sin^2
    values = (low + high) / 2 - (high - low) / 2 * np.cos(angle)
    cumulative = np.cumsum(np.sin(angle) ** 2 / values)
    cumulative = (cumulative - cumulative[0] / 2) / cumulative[-1]
    levels = (np.arange(n_components) + 0.5) / n_components
    powers = np.interp(levels, cumulative, values)[::-1]
    return powers / powers.sum()


def n_above_edge(shares: Float[np.ndarray, " components"], n_rows: int, width: int) -> int:
    """Number of components above the upper edge of the Marchenko-Pastur law.

    It counts share_i * m > (1 + sqrt(q))^2, with m = min(n_rows, width) components, so that the mean
    eigenvalue is 1, and q = m / max(n_rows, width). A random matrix has none, or one by chance.
    """
    n_components = min(n_rows, width)
    _, high = marchenko_pastur_edges(max(n_rows, width), n_components)
    return int(np.sum(shares * n_components > high))


def mean_abs_cosine(width: int) -> float:
    """Mean |cosine| of two independent directions, uniform on the sphere in R^width.

    Gamma(d/2) / (sqrt(pi) Gamma((d + 1)/2)), about sqrt(2 / (pi d)): 0.0141 for d = 3,200.
    """
    return math.exp(math.lgamma(width / 2) - math.lgamma((width + 1) / 2)) / math.sqrt(math.pi)
