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

Rows = Float[np.ndarray, "tokens width"]


class Matching(NamedTuple):
    """The latent of each feature, one to one, and how well they agree."""

    latents: Int[np.ndarray, " n_features"]
    correlations: Float[np.ndarray, " n_features"]


def match_features(
    features: Float[np.ndarray, "tokens n_features"], latents: Float[np.ndarray, "tokens n_latents"]
) -> Matching:
    """One-to-one assignment of latents to features with the largest sum of correlations over tokens.

    Source: Kuhn 1955 (Hungarian method). A column that does not vary correlates with none.
    """
    correlations = _standardised(features).T @ _standardised(latents) / len(features)
    rows, columns = linear_sum_assignment(correlations, maximize=True)
    return Matching(columns, correlations[rows, columns])


def _standardised(columns: Rows) -> Rows:
    centred = columns - columns.mean(0)
    deviation = centred.std(0)
    return np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 0)


def auc(scores: Float[np.ndarray, " pairs"], is_planted: Bool[np.ndarray, " pairs"]) -> float:
    """Probability that a planted pair scores above another one, ties half: area under the ROC curve.

    Source: Mann & Whitney 1947. NaN where there is none of either kind.
    """
    has_both = is_planted.any() and not is_planted.all()
    return float(roc_auc_score(is_planted, scores)) if has_both else float("nan")


def beyond_linear(features: Float[np.ndarray, "tokens n_features"], values: Rows) -> Rows:
    """What a least-squares regression of the values on the features, with intercept, leaves."""
    design = np.concatenate([np.ones((len(features), 1)), features], axis=1).astype(np.float64)
    wide = values.astype(np.float64)
    coefficients, *_ = np.linalg.lstsq(design, wide, rcond=None)
    return wide - design @ coefficients


def captured_share(planted: Rows, found: Rows) -> float:
    """Share of the planted non-linear variance that is found: sum <s, y> / sum |s|^2.

    s and y are what regressing the planted term and an output on the true features leaves. 1 where
    y = s, and where y is s on a share of the pairs and 0 on the others, that share; what y holds
    besides, uncorrelated with s, does not count. NaN where nothing is planted.
    """
    energy = float(np.square(planted).sum())
    return float((planted * found).sum()) / energy if energy > 0 else float("nan")


def net_captured_share(planted: Rows, found: Rows) -> float:
    """1 - sum |s - y|^2 / sum |s|^2: the same, less everything that y holds besides s; at most 1."""
    energy = float(np.square(planted).sum())
    return 1 - float(np.square(planted - found).sum()) / energy if energy > 0 else float("nan")


def null_threshold(scores: Float[np.ndarray, " pairs"], alpha: float) -> float:
    """The (1 - alpha) quantile of scores where no pair is planted; above it a pair counts as found.

    The next larger score, never an interpolation, so that at most alpha of these very scores exceed it.
    """
    return float(np.quantile(scores, 1 - alpha, method="higher"))


def share_above(scores: Float[np.ndarray, " pairs"], threshold: float) -> float:
    """Share of the scores above a threshold; NaN where there is no score."""
    return float((scores > threshold).mean()) if len(scores) else float("nan")
