"""Is a vector of sums other than zero? The blocks' scores against themselves with flipped signs.

Must not: know what the scores are of.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# scipy ships no types

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

PerPair = Float[np.ndarray, " pairs"]
Gram = Float[np.ndarray, "pairs blocks blocks"]

LEAST_SKEW = 1e-2
"""Below it the reference is the normal distribution."""


class VectorTest(NamedTuple):
    """Whether the blocks of a pair agree on a direction."""

    statistic: PerPair
    """Sum over block pairs b != c of <s_b, s_c>, in its standard deviation under sign flips."""
    p: PerPair
    squared_norm: PerPair
    """The same sum itself: an unbiased estimate of |E sum_b s_b|^2, up to its diagonal."""


def vector_test(scores: Float[np.ndarray, "pairs blocks width"]) -> VectorTest:
    """Test of E s_b = 0 for independent blocks, by U = sum_{b != c} <s_b, s_c>.

    U is the inner product of the effect in one block with that in another, over all ways to take the
    two: estimate and test never share a document. Terms <s_b, s_b> are left out, so unequal variances
    and single tokens of great leverage do not raise U. Source: Chen & Qin 2010.

    The null distribution is that of sum_{b != c} e_b e_c <s_b, s_c> over independent random signs
    e_b = +-1 (wild cluster bootstrap), exact if a block's score is as likely as its negative. Its first
    three moments are 0, 2 tr A^2 and 8 tr A^3 with A the Gram matrix less its diagonal; p is the upper
    tail of the shifted gamma distribution with these moments (Pearson's type III), so that it can be
    smaller than one over any number of flips, but never smaller than 2^(1 - n), n = (tr G)^2 / sum G_bb^2
    being the number of blocks that carry weight.
    """
    gram = scores @ scores.transpose(0, 2, 1)
    own = np.einsum("pbb->pb", gram).copy()
    np.einsum("pbb->pb", gram)[:] = 0
    total = gram.sum((1, 2))
    squares = gram @ gram
    variance = 2 * np.einsum("pbb->p", squares)
    third = 8 * np.einsum("pbc,pbc->p", squares, gram)
    deviation = np.sqrt(variance)
    has_any = deviation > 0
    statistic = np.divide(total, deviation, out=np.zeros_like(total), where=has_any)
    skew = np.divide(third, deviation**3, out=np.zeros_like(total), where=has_any)
    weight = np.square(own).sum(1)
    n = np.divide(np.square(own.sum(1)), weight, out=np.ones_like(total), where=weight > 0)
    p = np.where(has_any, np.maximum(shifted_gamma_tail(statistic, skew), 2.0 ** (1 - n)), 1.0)
    return VectorTest(statistic, np.minimum(p, 1.0), total)


def shifted_gamma_tail(statistic: PerPair, skew: PerPair) -> PerPair:
    """P(X > statistic) for X of mean 0, variance 1 and this skewness; normal where it is not positive."""
    shape = 4 / np.square(np.maximum(skew, LEAST_SKEW))
    tail = stats.gamma.sf(shape + np.sqrt(shape) * statistic, shape)
    return np.where(skew > LEAST_SKEW, tail, stats.norm.sf(statistic))
