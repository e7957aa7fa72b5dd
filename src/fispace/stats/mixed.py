"""Linear mixed model of an items x words table with crossed item and word effects.

Must not: know what was measured, or a file.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# statsmodels ships no types

import warnings
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams, VCSpec
from statsmodels.tools.sm_exceptions import ConvergenceWarning, SingularMatrixWarning

WordCells = Float[np.ndarray, "items 2 2 words"]

CONTRAST = np.array([1.0, -1.0, -1.0, 1.0])
"""Weights of the four cells (order 00 01 10 11) in the interaction contrast."""

FLOOR = 1e-3
"""Variance components below this, in units of the residual variance, leave the model."""

MAX_STEPS = 30
"""Iterations of the optimiser; on balanced data it starts close to the optimum."""


class Estimate(NamedTuple):
    """One linear combination of the cell means, in the units of the data."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided p-value of a zero value."""


class MixedFit(NamedTuple):
    """The interaction contrast and the four cell means of one fit."""

    contrast: Estimate
    cells: tuple[Estimate, ...]
    """In the order 00 01 10 11."""
    converged: bool


def fit_crossed(table: WordCells, confidence: float) -> MixedFit:
    """Cell means and interaction of y = cell + item + item x cell + word + e, by REML.

    Words are nested in cells and crossed with items. The item x cell effect lets the interaction vary
    between items (Barr et al. 2013, maximal structure). The word effect generalises the result to other
    words of the kind, which an average over words cannot (Clark 1973). Intervals and p-values use a t
    distribution with max(min(items, 4 words) - 4, 1) degrees of freedom, those of the smaller sample,
    because the library's normal quantiles are too narrow for few words.
    """
    scale = float(table.std())
    if scale == 0:
        mean = float(table.mean())
        nothing = Estimate(mean, mean, mean, 1.0)
        return MixedFit(nothing, (nothing,) * 4, True)
    n_items, n_words = table.shape[0], table.shape[3]
    ratios = _variance_ratios(table / scale)
    kept = [name for name, ratio in ratios.items() if ratio > FLOOR] or ["item_cell"]
    item, cell, word = _codes(n_items, n_words)
    codes = {"item": item, "item_cell": item * 4 + cell, "word": cell * n_words + word}
    parts = [_dummies(codes[name]) for name in kept]
    columns = [[[str(i) for i in range(part.shape[1])]] for part in parts]
    model = MixedLM(
        (table / scale).reshape(-1), _dummies(cell), groups=np.zeros(table.size),
        exog_vc=VCSpec(kept, columns, [[part] for part in parts]),
    )  # fmt: skip
    start = MixedLMParams.from_components(
        fe_params=table.mean((0, 3)).ravel() / scale,
        vcomp=np.array([max(ratios[name], FLOOR) for name in kept]),
    )
    with warnings.catch_warnings():  # the result reports what they warn about: `converged`
        for category in (ConvergenceWarning, SingularMatrixWarning, RuntimeWarning):
            warnings.simplefilter("ignore", category)
        fit = model.fit(start_params=start, method=["bfgs"], maxiter=MAX_STEPS)
    df = max(min(n_items, 4 * n_words) - 4, 1)
    means, covariance = np.asarray(fit.fe_params), np.asarray(fit.cov_params())[:4, :4]

    def estimate(weights: np.ndarray) -> Estimate:
        value, error = weights @ means, float(np.sqrt(weights @ covariance @ weights))
        half = stats.t.ppf(0.5 + confidence / 2, df) * error
        p = 2 * stats.t.sf(abs(value) / error, df) if error > 0 else float("nan")
        low, high = scale * (value - half), scale * (value + half)
        return Estimate(float(scale * value), float(low), float(high), float(p))

    return MixedFit(estimate(CONTRAST), tuple(map(estimate, np.eye(4))), bool(fit.converged))


def _codes(n_items: int, n_words: int) -> Any:
    item, first, second, word = np.indices((n_items, 2, 2, n_words))
    return item.ravel(), (2 * first + second).ravel(), word.ravel()


def _dummies(codes: np.ndarray) -> Float[np.ndarray, "rows levels"]:
    return np.eye(int(codes.max()) + 1)[codes]


def _variance_ratios(table: WordCells) -> dict[str, float]:
    """Variance components over the residual's, by the method of moments (Searle et al. 1992).

    On balanced data positive components equal their REML estimates. A component that is not positive is
    zero under REML too and leaves the model, because the optimiser cannot converge at a boundary.
    """
    n_items, n_words = table.shape[0], table.shape[3]
    of_cell, of_word, means = table.mean(3), table.mean(0), table.mean((0, 3))
    both = table - of_cell[..., None] - of_word + means[..., None]
    error = np.square(both).sum() / (4 * (n_items - 1) * max(n_words - 1, 1))
    spread = np.square(of_word - means[..., None]).sum() / (4 * max(n_words - 1, 1))
    centred = of_cell - means
    item_mean = centred.mean((1, 2))
    within = np.square(centred - item_mean[:, None, None]).sum() / (3 * (n_items - 1))
    found = {
        "item": item_mean.var(ddof=1) - within / 4,
        "item_cell": within - error / n_words,
        "word": spread - error / n_items,
    }
    return {name: float(value / error) if error > 0 else 0.0 for name, value in found.items()}
