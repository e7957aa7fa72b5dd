"""What a pair is: an interaction, or something else that looks like one.

Must not: measure anything, or read a file.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# statsmodels ships no types

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy import stats
from statsmodels.stats.multitest import multipletests

from fispace.stats.empirical_null import member_scales, tail_p_values
from fispace.study.config.interactions import PairTest

INTERACTION = "interaction"
CONJUNCTION = "conjunction latent"
MISSING = "missing feature"
UNDECIDED = "undecided"
GRADED = "graded effect"
SPLIT = "split feature"
BENDING = "bending"
UNRELIABLE = "unreliable latent"
NONE = "none"
FOUND = (INTERACTION, CONJUNCTION)
"""Verdicts of pairs that combine: the product is in the residual, or a latent has learned it."""
LISTED_FIRST = (*FOUND, MISSING, UNDECIDED, GRADED, BENDING, NONE)
"""Verdicts of tested pairs, in the order in which they are listed."""
VERDICTS = (*LISTED_FIRST, SPLIT, UNRELIABLE)

PerPair = Float[np.ndarray, " pairs"]
HALF = 0.5
"""Dose ratio between that of a product, 1, and that of a missing feature, 0."""


def judged(table: pd.DataFrame, params: PairTest) -> pd.DataFrame:
    """The table of pairs with the columns scale, p, q, p_either, stands_out, dose_q and verdict.

    A pair is tested if both latents are reliable, it is not a split feature, and it has a statistic.

    Is the effect larger than that of other pairs? The statistic, divided by the scale of the pair's
    latents (`member_scales`), has the p-value `p` among all tested pairs (`tail_p_values`). A pair stands
    out if its q-value over all tested pairs is at most fdr. Where most pairs have an effect, as in
    language models, few stand out.

    Does it grow with the product of the magnitudes? The p-value of `dose_response` is corrected
    separately over the pairs that stand out and over all others (Benjamini & Hochberg 1995; Efron 2008 on
    separate families). It needs no null of the effect's size.

    Verdicts, the first that applies:

    split feature      the two latents fire on nearly the same tokens: their overlap is above max_overlap
    unreliable latent  one of them often fires where it explains no more than noise would
    conjunction latent a latent is the conjunction of the two: conjunction_q <= fdr
    interaction        the pair stands out, and its effect grows with the product: dose_q <= fdr
    missing feature    the pair stands out, and the slope within the tokens where both fire is less than
                       half that of a product: dose_ratio + c dose_error < 1/2, c the normal .95 quantile
    undecided          the pair stands out, and the dose-response decides neither
    graded effect      the effect grows with the product, but the pair does not stand out
    bending            the pair does not stand out, but would if the own terms of the two latents were not
                       removed
    none               every other pair

    `p`, `q` and `dose_q` are missing for pairs that are not tested. `p_either`: twice the smaller of `p` and
    `conjunction_p` (Bonferroni), at most 1; the product is in the residual, or in a latent that learned it.
    """
    found = table.copy()
    is_split = table["overlap"] > params.max_overlap
    is_unreliable = table["reliability"] < params.min_reliability
    is_tested = (~is_split & ~is_unreliable & table["statistic"].notna()).to_numpy()
    scale, p, q = (np.full(len(table), np.nan) for _ in range(3))
    scale[is_tested], p[is_tested], q[is_tested] = _claims(table[is_tested], "statistic", params)
    q_bent = np.full(len(table), np.nan)
    *_, q_bent[is_tested] = _claims(table[is_tested], "statistic_with_own_terms", params)
    stands_out = q <= params.fdr
    dose_q = _dose_q(table["dose_p"].to_numpy(), is_tested, stands_out)
    upper = (table["dose_ratio"] + stats.norm.ppf(0.95) * table["dose_error"]).to_numpy()
    found["scale"], found["p"], found["q"], found["dose_q"] = scale, p, q, dose_q
    found["p_either"] = np.minimum(1.0, 2 * np.fmin(p, table["conjunction_p"].to_numpy()))
    found["stands_out"] = stands_out
    found["verdict"] = np.select(
        [
            is_split,
            is_unreliable,
            table["conjunction_q"] <= params.fdr,
            stands_out & (dose_q <= params.fdr),
            stands_out & (upper < HALF),
            stands_out,
            dose_q <= params.fdr,
            q_bent <= params.fdr,
        ],
        [SPLIT, UNRELIABLE, CONJUNCTION, INTERACTION, MISSING, UNDECIDED, GRADED, BENDING],
        NONE,
    )
    return found


def _claims(
    tested: pd.DataFrame, statistic: str, params: PairTest
) -> tuple[PerPair, PerPair, PerPair]:
    """Scale, p-value and q-value of every tested pair."""
    values = tested[statistic].to_numpy()
    if not len(values):
        return np.zeros(0), np.zeros(0), np.zeros(0)
    members = tested["first"].to_numpy(), tested["second"].to_numpy()
    scale = member_scales(values, *members, params.tail.begin)
    p = tail_p_values(values / scale, params.tail.begin, params.tail.end, params.tail.shape)
    return scale, p, np.asarray(multipletests(p, method="fdr_bh")[1])


def _dose_q(
    p: PerPair, is_tested: Bool[np.ndarray, " pairs"], stands_out: Bool[np.ndarray, " pairs"]
) -> PerPair:
    """q-values of the dose-response, in two families; missing for pairs that are not tested."""
    found = np.full(len(p), np.nan)
    for family in (is_tested & stands_out, is_tested & ~stands_out):
        if family.any():
            found[family] = multipletests(p[family], method="fdr_bh")[1]
    return found
