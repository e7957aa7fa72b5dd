"""Latents that share one feature: their decoder rows point the same way.

A feature that is split over two latents looks like an interaction: a product with one of them stands for
only a part of the product with the feature, and the rest is left in the residual. Must not: test anything.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# scipy ships no types

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components

from fispace.stats.cofiring import SparseCodes

Rows = Float[np.ndarray, "n_latents d_model"]

SLICE_ROWS = 1024
"""Rows whose cosines with all others are held at once."""


def split_groups(
    codes: SparseCodes, rows: Rows, max_cosine: float
) -> Int[np.ndarray, " n_latents"]:
    """The latent that stands for each latent's group: the one of the group that fires most often.

    Two latents that fire are in one group if the cosine of their rows is above `max_cosine`, or if a
    chain of such latents joins them. A latent without such neighbours stands for itself.
    """
    fires = np.diff(codes.tocsc().indptr)
    firing = np.flatnonzero(fires)
    norms = np.linalg.norm(rows[firing], axis=1, keepdims=True)
    unit = np.divide(rows[firing], norms, out=np.zeros_like(rows[firing]), where=norms > 0)
    near = [
        np.argwhere(unit[begin : begin + SLICE_ROWS] @ unit.T > max_cosine) + np.array([[begin, 0]])
        for begin in range(0, len(firing), SLICE_ROWS)
    ]
    first, second = np.concatenate([np.zeros((0, 2), dtype=np.int64), *near]).T
    joins = coo_matrix((np.ones(len(first)), (first, second)), shape=(len(firing),) * 2)
    _, label = connected_components(joins, directed=False)
    groups = np.arange(len(rows))
    order = np.lexsort((firing, -fires[firing]))  # the most frequent first, ties by number
    _, leaders = np.unique(label[order], return_index=True)
    groups[firing] = firing[order[leaders]][label]
    return groups


def joined_codes(
    codes: SparseCodes, rows: Rows, groups: Int[np.ndarray, " n_latents"]
) -> SparseCodes:
    """Codes in which each group has one column, that of the latent that stands for it.

    Its code is sum_l f_l |w_l| / |w_leader| over the latents of the group: the length of what they add
    to the reconstruction if their rows point the same way, in units of the leader's row.
    """
    norms = np.linalg.norm(rows, axis=1)
    of_leader = norms[groups]
    weights = np.divide(norms, of_leader, out=np.ones_like(norms), where=of_leader > 0)
    weights[groups == np.arange(len(groups))] = 1.0
    values = (codes.data * weights[codes.indices]).astype(codes.data.dtype)
    joined = csr_matrix((values, groups[codes.indices], codes.indptr.copy()), shape=codes.shape)
    joined.sum_duplicates()
    return joined
