"""What each latent does alone: its own terms, linear and bent, fitted for all latents together.

Must not: hold a product of two latents.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# scipy ships no types

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix

from fispace.stats.cofiring import SparseCodes

Rows = Float[np.ndarray, "tokens width"]

N_TERMS = 3
"""Terms of a latent: whether it fires, its magnitude, and the magnitude's square."""
SLICE_COLUMNS = 64
"""Columns fitted at once."""
LEAST = 1e-9
"""Share of a term that must be left by the terms before it; less counts as none."""


class Fit(NamedTuple):
    """What the terms leave, and how close the fit came to its optimum."""

    residual: Rows
    steps: int
    """Largest number of conjugate-gradient steps of a slice of columns."""
    gradient: float
    """Largest norm of a gradient over the norm at the start."""


def without_own_terms(codes: SparseCodes, values: Rows, max_steps: int, tolerance: float) -> Fit:
    """Residual of the least-squares fit  values ~ b + sum_i (a_i 1[f_i > 0] + b_i f_i + c_i f_i^2).

    The squares stand for any bending of a latent's effect, and all latents are fitted together, so
    neither the bending of one nor another latent that fires beside it is taken for a product. By
    conjugate gradients on the normal equations; a latent's own terms are made orthonormal before, which
    solves the blocks on the diagonal exactly. It ends when every column's gradient has fallen to
    `tolerance` of the first, or after `max_steps`.
    """
    terms = _OwnTerms(codes)
    left = values - values.mean(0)
    steps, gradient = 0, 0.0
    for begin in range(0, values.shape[1], SLICE_COLUMNS):
        columns = slice(begin, begin + SLICE_COLUMNS)
        n, size = _fit(terms, left[:, columns], max_steps, tolerance)
        steps, gradient = max(steps, n), max(gradient, size)
    return Fit(left, steps, gradient)


def _fit(terms: "_OwnTerms", left: Rows, max_steps: int, tolerance: float) -> tuple[int, float]:
    """Subtract the fit of the terms from `left`, in place: conjugate gradients for least squares (CGLS)."""
    slope = terms.transposed(left)
    first = power = np.square(slope).sum(0)
    direction = slope.copy()
    floor = np.finfo(np.float64).tiny
    step = 0
    while step < max_steps and (power > tolerance**2 * first).any():
        image = terms.times(direction)
        size = power / np.maximum(np.square(image, dtype=np.float64).sum(0), floor)
        left -= size.astype(left.dtype) * image
        slope = terms.transposed(left)
        last, power = power, np.square(slope).sum(0)
        direction = slope + (power / np.maximum(last, floor)) * direction
        step += 1
    return step, float(np.sqrt((power / np.maximum(first, floor)).max(initial=0.0)))


class _OwnTerms:
    """The design of the own terms and the intercept, columns orthonormal within a latent."""

    def __init__(self, codes: SparseCodes) -> None:
        self.n_latents = codes.shape[1]
        weights = _orthonormal(codes)
        self.matrices = [
            csr_matrix((own, codes.indices, codes.indptr), shape=codes.shape) for own in weights
        ]
        self.transposes = [matrix.T for matrix in self.matrices]
        self.intercept = codes.shape[0] ** -0.5

    def times(self, coefficients: Float[np.ndarray, "terms width"]) -> Rows:
        """Design times coefficients: the terms one after the other, then the intercept."""
        own = coefficients[:-1].astype(np.float32).reshape(N_TERMS, self.n_latents, -1)
        total = sum(matrix @ rows for matrix, rows in zip(self.matrices, own, strict=True))
        return total + (self.intercept * coefficients[-1]).astype(np.float32)

    def transposed(self, rows: Rows) -> Float[np.ndarray, "terms width"]:
        """Inner products of the design's columns with the rows."""
        own = [matrix @ rows for matrix in self.transposes]
        total = self.intercept * rows.sum(0, dtype=np.float64)
        return np.concatenate([*own, total[None]]).astype(np.float64)


def _orthonormal(codes: SparseCodes) -> list[Float[np.ndarray, " active"]]:
    """The three terms at every active code, by Gram and Schmidt over the tokens of each latent."""
    latent, n = codes.indices, codes.shape[1]

    def total(values: Any) -> Any:
        return np.bincount(latent, weights=values, minlength=n)

    count = np.bincount(latent, minlength=n)
    mean = total(codes.data.astype(np.float64)) / np.maximum(count, 1)
    relative = codes.data / np.maximum(mean, np.finfo(np.float64).tiny)[latent]
    found: list[np.ndarray] = []
    for power in range(N_TERMS):
        column = relative**power
        before = total(np.square(column))
        for _ in range(2):  # twice is enough (Giraud et al. 2005)
            for earlier in found:
                column = column - total(column * earlier)[latent] * earlier
        left = total(np.square(column))
        norm = np.sqrt(np.where(left > LEAST * before, left, np.inf))
        found.append(column / norm[latent])
    return [column.astype(np.float32) for column in found]
