"""Document bootstrap: percentile intervals for ratios of sums, with the document as the unit.

Must not: resample tokens.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class BootstrapInterval(NamedTuple):
    """A point estimate and its percentile interval."""

    value: float
    low: float
    high: float


def resample_counts(
    n_documents: int, n_bootstrap: int, rng: np.random.Generator
) -> Float[np.ndarray, "n_bootstrap n_documents"]:
    """How often each resample contains each document. Using the same counts pairs the conditions."""
    return rng.multinomial(
        n_documents, np.full(n_documents, 1 / n_documents), size=n_bootstrap
    ).astype(np.float64)


def document_weights(
    n_documents: int, n_bootstrap: int, rng: np.random.Generator
) -> Float[np.ndarray, "samples n_documents"]:
    """Weights of the documents in the sample itself (row 0, all ones) and in each resample.

    A statistic of weighted sums is then one array: the estimate first, then its resamples.
    """
    counts = resample_counts(n_documents, n_bootstrap, rng)
    return np.concatenate([np.ones((1, n_documents)), counts])


def ratio_samples(
    numerator: Float[np.ndarray, " n_documents ..."],
    denominator: Float[np.ndarray, " n_documents ..."],
    weights: Float[np.ndarray, "samples n_documents"],
) -> Float[np.ndarray, " samples ..."]:
    """sum(w numerator) / sum(w denominator) of every sample; NaN where the denominator is not > 0."""
    above, below = weights @ numerator, weights @ denominator
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


def interval_of(samples: Float[np.ndarray, " samples"], confidence: float) -> BootstrapInterval:
    """The estimate (first entry) and the percentile interval of the resamples (all other entries).

    If any entry is undefined (NaN), both ends are NaN. Source: Efron & Tibshirani (1993), section 13.3;
    clusters are documents (Cameron et al. 2008).
    """
    value, resamples = float(samples[0]), samples[1:]
    tail = (1 - confidence) / 2
    if np.isnan(samples).any():
        return BootstrapInterval(value, float("nan"), float("nan"))
    low, high = np.quantile(resamples, [tail, 1 - tail])
    return BootstrapInterval(value, float(low), float(high))
