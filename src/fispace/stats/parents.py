"""Which two latents may a latent be the conjunction of? Those that its row resembles, or that fire beside it.

Must not: test anything, or hold a matrix of all pairs.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# scipy ships no types

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_matrix

from fispace.stats.cofiring import SparseCodes

Rows = Float[np.ndarray, "n_latents width"]

NONE = -1
"""Place of a candidate that does not exist."""
SLICE_NUMBERS = 2**23
"""Cosines and co-firings held at once, at most: 128 MiB."""
TINY = 1e-30
"""Stands for zero where something is divided by it."""


class Latents(NamedTuple):
    """Codes and residual of the tokens, in units in which every decoder row has length 1."""

    codes: SparseCodes
    rows: Rows
    residual: Float[np.ndarray, "tokens width"]
    blocks: Int[np.ndarray, " tokens"]
    """Block of every token; blocks are independent."""
    noise: float
    """Variance of the residual in one direction that no latent has."""


class Search(NamedTuple):
    """What is looked for."""

    may_be_parent: Bool[np.ndarray, " n_latents"]
    groups: Int[np.ndarray, " n_latents"]
    """Latents of one group stand for one feature; no two of a triple may be in one."""
    n_candidates: int
    """Latents that may be parents of a latent, those that it resembles or fires with most."""
    presence: float
    """A parent is present where its coordinate exceeds this share of its mean code."""
    min_lift: float
    """P(m | i, j) must exceed so many times P(m | i) and P(m | j)."""
    min_ratio: float
    """Smallest slope of the new direction in the product, over that of a proportional fit."""
    min_tokens: int
    """Tokens of m on which both parents must be present."""
    continue_at: float
    """p-value of a latent's best pair up to which a further pair is looked for on its other tokens."""


def unit_rows(codes: SparseCodes, rows: Rows) -> tuple[SparseCodes, Rows]:
    """Codes and rows with every row's length moved into the codes; a row of length 0 stays."""
    norms = np.linalg.norm(rows.astype(np.float64), axis=1)
    safe = np.where(norms > 0, norms, 1.0)
    data = codes.data * norms[codes.indices]
    return csr_matrix((data, codes.indices, codes.indptr), shape=codes.shape), rows / safe[:, None]


def parent_candidates(
    latents: Latents, search: Search
) -> Int[np.ndarray, "n_latents n_candidates"]:
    """For every latent m the possible parents i with the largest <w_m, w_i> + sum f_m f_i / sum f_m^2.

    This is the mean coordinate that i has, per unit of m, when m is taken out: an absorbed parent shows in
    the row of m, one that still fires in the co-firings. Only values above 0 count; `NONE` fills up. Counts
    come from sparse products in slices of latents.
    """
    codes, rows = latents.codes, latents.rows
    n = len(rows)
    parents = np.flatnonzero(search.may_be_parent)
    found = np.full((n, search.n_candidates), NONE)
    by_latent = codes.T.tocsr()
    squares = np.asarray(codes.multiply(codes).sum(0)).ravel()
    of_parents = codes[:, parents]
    step = max(1, SLICE_NUMBERS // max(len(parents), 1))
    for begin in range(0, n if len(parents) else 0, step):
        own = np.arange(begin, min(begin + step, n))
        together = (by_latent[own] @ of_parents).toarray()
        likeness = rows[own] @ rows[parents].T + together / np.maximum(squares[own], TINY)[:, None]
        likeness[search.groups[own][:, None] == search.groups[parents]] = 0.0
        best = np.argsort(-likeness, axis=1, kind="stable")[:, : search.n_candidates]
        values = np.take_along_axis(likeness, best, 1)
        found[own[:, None], np.arange(best.shape[1])] = np.where(values > 0, parents[best], NONE)
    return found
