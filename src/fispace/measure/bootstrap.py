"""Document bootstrap: percentile intervals of ratios of sums, the document as the unit.

Must not: resample tokens.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Interval(NamedTuple):
    """A point estimate and its percentile interval."""

    value: float
    low: float
    high: float


def resample_counts(
    n_documents: int, n_bootstrap: int, rng: np.random.Generator
) -> Float[np.ndarray, "n_bootstrap n_documents"]:
    """How often each document occurs in each resample; the same counts pair conditions."""
    return rng.multinomial(
        n_documents, np.full(n_documents, 1 / n_documents), size=n_bootstrap
    ).astype(np.float64)


def ratio_interval(
    numerator: Float[np.ndarray, " n_documents"],
    denominator: Float[np.ndarray, " n_documents"],
    counts: Float[np.ndarray, "n_bootstrap n_documents"],
    confidence: float,
) -> Interval:
    """sum(numerator) / sum(denominator) with its percentile interval over resampled documents.

    Source: Efron & Tibshirani (1993), section 13.3; clusters are documents (Cameron et al. 2008).
    """
    ratios = (counts @ numerator) / (counts @ denominator)
    tail = (1 - confidence) / 2
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return Interval(float(numerator.sum() / denominator.sum()), float(low), float(high))
