"""p-values from the pairs themselves: most pairs do not interact, and show how large a statistic is then.

The theoretical null of a test holds for a perfect dictionary. A learned one leaves small systematic errors
where two latents meet, so that every statistic is spread more widely. An empirical null measures that spread
(Efron 2004). Must not: know what a pair is a pair of, or decide anything.
"""

import numpy as np
from jaxtyping import Float, Int

PerPair = Float[np.ndarray, " pairs"]

PRIOR_PAIRS = 10
"""Pairs with the quantile of all pairs that are added to each member's own pairs."""
BODY_P = 0.5
"""p-value of a pair below the tail; such pairs are never claimed."""


def member_scales(
    statistic: PerPair, first: Int[np.ndarray, " pairs"], second: Int[np.ndarray, " pairs"],
    quantile: float,
) -> PerPair:  # fmt: skip
    """How widely the statistics of a pair's members are spread, over the spread of all pairs; at least 1.

    The scale of a member is the `quantile` of the statistics of its pairs, shrunk towards that of all
    pairs: (n q_own + `PRIOR_PAIRS` q_all) / ((n + `PRIOR_PAIRS`) q_all). A pair has the larger scale of
    its two members. A latent with a faulty decoder row leaves an error with every partner; divided by its
    scale, these pairs stand out no more than others do.
    """
    of_all = float(np.quantile(statistic, quantile)) if len(statistic) else 0.0
    if of_all <= 0:
        return np.ones(len(statistic))
    members = np.concatenate([first, second])
    values = np.tile(statistic, 2)
    order = np.argsort(members, kind="stable")
    found, starts = np.unique(members[order], return_index=True)
    ends = np.append(starts[1:], len(members))
    scales = np.ones(int(found.max()) + 1)
    for member, begin, end in zip(found, starts, ends, strict=True):
        own = values[order[begin:end]]
        whole = len(own) * float(np.quantile(own, quantile)) + PRIOR_PAIRS * of_all
        scales[member] = whole / ((len(own) + PRIOR_PAIRS) * of_all)
    return np.maximum(1.0, np.maximum(scales[first], scales[second]))


def tail_p_values(statistic: PerPair, begin: float, end: float, shape: float) -> PerPair:
    """p-value of each statistic under a null whose upper tail is a generalised Pareto distribution.

    With a and b the quantiles `begin` and `end` of the statistics and x the shape, the tail beyond a is

    P(T > t) = (1 - begin) (1 + x (t - a) / s)^(-1 / x),   for x = 0   (1 - begin) exp(-(t - a) / s)

    with the scale s at which P(T > b) = 1 - end. Statistics up to a get `BODY_P`. Larger ones than b do not
    enter, so a share of 1 - `end` of the pairs may interact without any effect on the null; if more do, the
    scale and with it all p-values become too large, never too small.

    Source: peaks over a threshold (Pickands 1975), the scale fitted by quantiles. The shape is given: the
    pairs between two quantiles say little about it, and those above may be interactions.
    """
    if not len(statistic):
        return np.zeros(0)
    low, high = np.quantile(statistic, [begin, end])
    fall = (1 - begin) / (1 - end)
    excess = np.maximum(statistic - low, 0.0)
    if high <= low:  # at least a share end - begin of the pairs have the same statistic
        return np.where(excess > 0, 1 - end, BODY_P)
    if shape > 0:
        scale = shape * (high - low) / (fall**shape - 1)
        beyond = (1 + shape * excess / scale) ** (-1 / shape)
    else:
        beyond = np.exp(-excess * np.log(fall) / (high - low))
    return np.where(excess > 0, (1 - begin) * beyond, BODY_P)
