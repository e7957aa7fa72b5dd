"""Does a pair's effect grow with the product of its magnitudes, among the tokens where both fire?

Must not: know what a latent stands for, or correct for many pairs.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# scipy ships no types

from itertools import product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from fispace.stats.block_scores import PRODUCT, BlockSums, Regressor
from fispace.stats.cofiring import Pairs

PerPair = Float[np.ndarray, " pairs"]

OWN = (Regressor(0, 0), Regressor(1, 0), Regressor(0, 1), Regressor(2, 0), Regressor(0, 2))
"""Intercept, both magnitudes and both squares."""
REGRESSORS = (*OWN, PRODUCT)
RIDGE = 1e-9
"""Added to the normal equations' diagonal, relative to itself."""


class DoseResponse(NamedTuple):
    """A pair's slope in the product, along the direction of its whole effect."""

    z: PerPair
    """Student's t of no slope; positive where the effect grows with the product."""
    p: PerPair
    """One-sided."""
    ratio: PerPair
    """Slope within the tokens where both fire over the slope of the whole effect: 1 for a product, 0 for an
    effect that is there whenever both fire."""
    error: PerPair
    """Standard error of the ratio."""
    n_blocks: PerPair
    """Blocks with a token on which both fire."""


def left_by_own_terms(
    sums: BlockSums, pairs: Pairs, powers: Float[np.ndarray, "n_latents 5"], n_tokens: int
) -> PerPair:
    """Share of sum g^2 that a regression of g on both latents' own terms leaves, over all tokens.

    The own terms are an intercept and 1[f > 0], f and f^2 of each latent; `sums` are those of
    `REGRESSORS`, and `powers` those of `magnitude_powers`. A residual without own terms has lost this
    part of a product too: its slope in g, sum g r / sum g^2, is the product's own times this share.
    """
    gram = sums.gram.sum(1)
    g_squares = gram[:, -1, -1]
    own = np.zeros((len(g_squares), 7, 7))
    own[:, 0, 0] = n_tokens
    for start, of in ((1, pairs.first), (4, pairs.second)):
        p = powers[of[sums.pairs]]
        own[:, 0, start : start + 3] = own[:, start : start + 3, 0] = p[:, :3]
        for one, other in product(range(3), repeat=2):
            own[:, start + one, start + other] = p[:, one + other]
    with_g = np.zeros((len(g_squares), 7))
    places = {(0, 0): (0, 0), (1, 0): (0, 1), (0, 1): (0, 2), (2, 0): (0, 3), (0, 2): (0, 4)}
    places |= {
        (1, 1): (0, 5),
        (2, 1): (1, 5),
        (1, 2): (2, 5),
        (3, 1): (3, 5),
        (1, 3): (4, 5),
        (2, 2): (5, 5),
    }
    for one, other in product(range(3), repeat=2):
        cross = gram[:, *places[one, other]]
        own[:, 1 + one, 4 + other] = own[:, 4 + other, 1 + one] = cross
    with_g[:, 0] = gram[:, *places[1, 1]]
    for power in range(3):
        with_g[:, 1 + power] = gram[:, *places[1 + power, 1]]
        with_g[:, 4 + power] = gram[:, *places[1, 1 + power]]
    fitted = np.linalg.solve(_ridged(own), with_g[:, :, None])[:, :, 0]
    return np.clip(1 - (fitted * with_g).sum(1) / g_squares, 0.0, 1.0)


def dose_response(sums: BlockSums, left: PerPair) -> DoseResponse:
    """Cross-fitted slope of the residual in g = f_i f_j beyond 1, f_i, f_j, f_i^2 and f_j^2.

    `sums` are those of `REGRESSORS`. For block b the direction is the whole effect in all other blocks,
    u_b = sum_{c != b} s_c with s_c = sum_t g_t r_t. The own terms of the residual are fitted to all other
    blocks (the jackknife, CR3 of Bell & McCaffrey 2002: a token of great leverage does not fit itself),
    those of the product to all blocks. With g' the product less its fit and e the residual less its own, the
    block's contribution is
    c_b = <u_b, sum_{t in b} g'_t e_t>, and z is Student's t of these contributions over the blocks, which
    no single block can make exceed 1. The ratio divides the slope by that of the whole effect along the same
    directions, sum c_b / sum g'^2 over sum <u_b, s_b> / (share sum g^2), where `left` is the share of
    `left_by_own_terms`, and 1 where the residual has not been freed of own terms.
    """
    whole = sums.scores[:, -1]
    direction = whole.sum(1, keepdims=True) - whole
    slopes, spread = _slopes(sums)
    share = np.einsum("pbd,pbd->pb", direction, slopes)
    g_squares = sums.gram[:, :, -1, -1]
    n_blocks = (g_squares > 0).sum(1)
    total = share.sum(1)
    within = np.square(share).sum(1) - np.square(total) / n_blocks
    error = np.sqrt(np.maximum(within, 0.0) * n_blocks / np.maximum(n_blocks - 1, 1))
    z = np.divide(total, error, out=np.zeros_like(total), where=error > 0)
    reference = np.einsum("pbd,pbd->p", direction, whole) / (g_squares.sum(1) * left)
    unit = np.abs(reference) * spread
    ratio = np.divide(total, unit, out=np.full_like(total, np.nan), where=unit > 0)
    ratio_error = np.divide(error, unit, out=np.full_like(total, np.nan), where=unit > 0)
    p = stats.t.sf(z, np.maximum(n_blocks - 1, 1))
    return DoseResponse(z, p, ratio, ratio_error, n_blocks.astype(np.float64))


def _slopes(
    sums: BlockSums,
) -> tuple[Float[np.ndarray, "pairs blocks width"], PerPair]:
    """Sum of g' e in every block, and the sum of g'^2 over all blocks."""
    gram = sums.gram[:, :, :-1, :-1]
    with_g, with_r = sums.gram[:, :, :-1, -1], sums.scores[:, :-1].transpose(0, 2, 1, 3)
    whole = _ridged(gram.sum(1))
    of_g = np.linalg.solve(whole, with_g.sum(1)[:, :, None])[:, None, :, 0]  # pairs 1 own
    others = _ridged(gram.sum(1, keepdims=True) - gram)
    of_r = np.linalg.solve(others, with_r.sum(1, keepdims=True) - with_r)  # pairs blocks own width
    g_left = with_g - (gram @ of_g[..., None])[..., 0]  # sum_t g'_t x_t of every own term x
    slopes = sums.scores[:, -1] - np.einsum("pzk,pbkd->pbd", of_g, with_r)
    slopes -= np.einsum("pbk,pbkd->pbd", g_left, of_r)
    spread = sums.gram[:, :, -1, -1].sum(1) - np.einsum("pzk,pbk->p", of_g, with_g)
    return slopes, np.maximum(spread, 0.0)


def _ridged(gram: Float[np.ndarray, "*pairs own own"]) -> Float[np.ndarray, "*pairs own own"]:
    diagonal = np.einsum("...kk->...k", gram)
    return gram + np.eye(gram.shape[-1]) * (RIDGE * diagonal + np.finfo(np.float64).tiny)[..., None]
