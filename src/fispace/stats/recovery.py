"""Recovery of planted features and pairs: matching, AUC, captured variance, thresholds of a null.

Must not: know a model, or how scores are made.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# scipy and scikit-learn ship no types

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import roc_auc_score

TokenRows = Float[np.ndarray, "tokens width"]


class Matching(NamedTuple):
    """One latent per feature, and the correlation of the two."""

    latents: Int[np.ndarray, " n_features"]
    correlations: Float[np.ndarray, " n_features"]


def match_features(
    features: Float[np.ndarray, "tokens n_features"], latents: Float[np.ndarray, "tokens n_latents"]
) -> Matching:
    """One-to-one assignment of latents to features with the largest sum of correlations over tokens.

    Source: Kuhn 1955 (Hungarian method). A constant column has correlation 0 with every other.
    """
    correlations = _standardised(features).T @ _standardised(latents) / len(features)
    rows, columns = linear_sum_assignment(correlations, maximize=True)
    return Matching(columns, correlations[rows, columns])


def _standardised(columns: TokenRows) -> TokenRows:
    centred = columns - columns.mean(0)
    deviation = centred.std(0)
    return np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 0)


def auc(scores: Float[np.ndarray, " pairs"], is_planted: Bool[np.ndarray, " pairs"]) -> float:
    """Area under the ROC curve: probability that a planted pair scores above another; ties count half.

    Source: Mann & Whitney 1947. NaN if there are no planted pairs, or no others.
    """
    has_both = is_planted.any() and not is_planted.all()
    return float(roc_auc_score(is_planted, scores)) if has_both else float("nan")


def beyond_linear(features: Float[np.ndarray, "tokens n_features"], values: TokenRows) -> TokenRows:
    """Residuals of a least-squares regression of the values on the features, with intercept."""
    design = np.concatenate([np.ones((len(features), 1)), features], axis=1).astype(np.float64)
    wide = values.astype(np.float64)
    coefficients, *_ = np.linalg.lstsq(design, wide, rcond=None)
    return wide - design @ coefficients


def captured_share(planted: TokenRows, found: TokenRows) -> float:
    """Share of the planted non-linear variance that is found: sum <s, y> / sum |s|^2.

    s and y are the residuals of the planted term and of an output, both regressed on the true features.
    The share is 1 if y = s. If y equals s for a fraction of the pairs and is 0 for the others, it is that
    fraction. Anything in y that is uncorrelated with s does not count. NaN if nothing is planted.
    """
    energy = float(np.square(planted).sum())
    return float((planted * found).sum()) / energy if energy > 0 else float("nan")


def net_captured_share(planted: TokenRows, found: TokenRows) -> float:
    """1 - sum |s - y|^2 / sum |s|^2, at most 1: whatever y adds to s counts against it."""
    energy = float(np.square(planted).sum())
    return 1 - float(np.square(planted - found).sum()) / energy if energy > 0 else float("nan")


def null_threshold(scores: Float[np.ndarray, " pairs"], alpha: float) -> float:
    """(1 - alpha) quantile of the scores where no pair is planted; a pair above it counts as found.

    The quantile is always one of the scores, never interpolated, so at most alpha of them exceed it.
    """
    return float(np.quantile(scores, 1 - alpha, method="higher"))


def share_above(scores: Float[np.ndarray, " pairs"], threshold: float) -> float:
    """Share of the scores above a threshold; NaN if there are no scores."""
    return float((scores > threshold).mean()) if len(scores) else float("nan")
