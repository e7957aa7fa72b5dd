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
MISSING = "missing feature"
UNDECIDED = "undecided"
SPLIT = "split feature"
BENDING = "bending"
UNRELIABLE = "unreliable latent"
NONE = "none"
VERDICTS = (INTERACTION, MISSING, UNDECIDED, SPLIT, BENDING, UNRELIABLE, NONE)
CLAIMED = (INTERACTION, MISSING, UNDECIDED)
"""Verdicts of pairs whose effect is larger than that of other pairs."""

PerPair = Float[np.ndarray, " pairs"]
HALF = 0.5
"""Dose ratio between that of a product, 1, and that of a missing feature, 0."""


def judged(table: pd.DataFrame, params: PairTest) -> pd.DataFrame:
    """The table of pairs with the columns scale, p, q, dose_q and verdict.

    A pair is tested if both latents are reliable and it is not a split feature. Its statistic, divided
    by the scale of its two latents (`member_scales`), has the p-value `tail_p_values` among all tested
    pairs, and from it a q-value at which it would be claimed (Benjamini & Hochberg 1995). Verdicts, the
    first that applies:

    split feature      the two latents fire on nearly the same tokens: their overlap is above max_overlap
    unreliable latent  one of them often fires where it explains no more than noise would
    interaction        q <= fdr, and the effect grows with the product of the magnitudes: one-sided p of
                       `dose_response`, Benjamini & Hochberg at fdr among the pairs with q <= fdr
    missing feature    q <= fdr, and the slope within the tokens where both fire is less than half that
                       of a product: dose_ratio + c dose_error < 1/2, c the normal quantile of .95
    undecided          q <= fdr, and the dose-response decides neither
    bending            q > fdr, but q <= fdr where the own terms of the two latents are not removed
    none               every other pair

    `q` is missing for pairs that are not tested.
    """
    found = table.copy()
    is_split = table["overlap"] > params.max_overlap
    is_unreliable = table["reliability"] < params.min_reliability
    is_tested = (~is_split & ~is_unreliable).to_numpy()
    scale, p, q = (np.full(len(table), np.nan) for _ in range(3))
    scale[is_tested], p[is_tested], q[is_tested] = _claims(table[is_tested], "statistic", params)
    q_bent = np.full(len(table), np.nan)
    *_, q_bent[is_tested] = _claims(table[is_tested], "statistic_with_own_terms", params)
    claimed = q <= params.fdr
    dose_q = _dose_q(table["dose_p"].to_numpy(), claimed)
    upper = table["dose_ratio"] + stats.norm.ppf(0.95) * table["dose_error"]
    found["scale"], found["p"], found["q"], found["dose_q"] = scale, p, q, dose_q
    found["verdict"] = np.select(
        [
            is_split,
            is_unreliable,
            claimed & (dose_q <= params.fdr),
            claimed & (upper < HALF).to_numpy(),
            claimed,
            q_bent <= params.fdr,
        ],
        [SPLIT, UNRELIABLE, INTERACTION, MISSING, UNDECIDED, BENDING],
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
    p = tail_p_values(values / scale, params.tail.begin, params.tail.end)
    return scale, p, np.asarray(multipletests(p, method="fdr_bh")[1])


def _dose_q(p: PerPair, claimed: Bool[np.ndarray, " pairs"]) -> PerPair:
    """q-values of the dose-response among the claimed pairs; missing for all others."""
    found = np.full(len(p), np.nan)
    asked = claimed & np.isfinite(p)
    if asked.any():
        found[asked] = multipletests(p[asked], method="fdr_bh")[1]
    return found
