"""Two-way analyses of variance of a 2x2 table: the published one and the textbook one.

Both treat rows as independent replicates, which crossed items are not. They are reported beside the
interaction contrast of `two_by_two` and never replace it. Must not: know a model or a file.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# scipy ships no types

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

Rows2x2 = Float[np.ndarray, "rows 2 2"]


class FTest(NamedTuple):
    """One F test."""

    f: float
    p: float
    df_error: int
    partial_eta2: float
    """SS_effect / (SS_effect + SS_error), in [0, 1]."""


class TwoWay(NamedTuple):
    """The three tests of a two-way analysis."""

    first: FTest
    second: FTest
    interaction: FTest


def paper_anova(table: Rows2x2) -> TwoWay:
    """The "2x2 ANOVA" of the author's script (p13:687-711): three one-way tests.

    Each main effect is a one-way test of its two levels that ignores the other factor. The interaction
    is a one-way test between the row-paired differences y11 - y10 and y01 - y00. A row pairs unrelated
    words, so this interaction depends on the order of the rows within a cell.
    """
    # DEVIATION(published-anova): this does not test an interaction; we report it beside the contrast only.
    return TwoWay(
        _one_way(table[:, 0].ravel(), table[:, 1].ravel()),
        _one_way(table[:, :, 0].ravel(), table[:, :, 1].ravel()),
        _one_way(table[:, 1, 1] - table[:, 1, 0], table[:, 0, 1] - table[:, 0, 0]),
    )


def two_way_anova(table: Rows2x2) -> TwoWay:
    """Balanced two-way analysis of variance with fixed effects and independent rows.

    With c the contrast of the four cell means under an effect's weights +-1, SS_effect = n c^2 / 4
    with one degree of freedom; SS_error is within cells, 4 (n - 1) degrees of freedom (Fisher
    1925).
    """
    n_rows = table.shape[0]
    means = table.mean(0)
    ss_error = float(np.square(table - means).sum())
    signs = np.array([-1.0, 1.0])
    weights = (signs[:, None] * np.ones(2), np.ones((2, 1)) * signs, np.outer(signs, signs))
    sums = [n_rows * float((weight * means).sum()) ** 2 / 4 for weight in weights]
    return TwoWay(*(_effect(ss, ss_error, 4 * (n_rows - 1)) for ss in sums))


def _one_way(first: np.ndarray, second: np.ndarray) -> FTest:
    both = np.concatenate([first, second])
    ss_within = float(
        np.square(first - first.mean()).sum() + np.square(second - second.mean()).sum()
    )
    ss_between = float(np.square(both - both.mean()).sum()) - ss_within
    return _effect(max(ss_between, 0.0), ss_within, both.size - 2)


def _effect(ss_effect: float, ss_error: float, df_error: int) -> FTest:
    exact = np.inf if ss_effect > 0 else 0.0
    f = ss_effect / (ss_error / df_error) if ss_error > 0 else exact
    total = ss_effect + ss_error
    eta2 = ss_effect / total if total > 0 else 0.0
    return FTest(float(f), float(stats.f.sf(f, 1, df_error)), df_error, eta2)
