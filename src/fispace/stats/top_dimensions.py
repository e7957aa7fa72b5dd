"""Overlap of the largest coordinates of pairs of rows: cosine on union and intersection, Jaccard index.

Must not: choose pairs, or know the paper's number of coordinates.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from fispace.stats.directions import Directions

BLOCK_ELEMENTS = 1 << 21
"""Number of gathered entries held in memory at once."""


class TopOverlap(NamedTuple):
    """Means over pairs of rows, each in [0, 1]."""

    union_cosine: float
    """Mean |cosine| on the union of both rows' top coordinates."""
    intersection_cosine: float
    """Mean |cosine| on the intersection, over the pairs whose intersection is not empty."""
    jaccard: float
    """Mean of size of the intersection / size of the union."""


def top_coordinates(rows: Directions, n_top: int) -> Bool[np.ndarray, "rows width"]:
    """Which coordinates are among a row's `n_top` largest in absolute value."""
    order = np.argpartition(np.abs(rows), rows.shape[1] - n_top, axis=1)
    is_top = np.zeros(rows.shape, dtype=bool)
    np.put_along_axis(is_top, order[:, rows.shape[1] - n_top :], values=True, axis=1)
    return is_top


def top_overlap(rows: Directions, pairs: Int[np.ndarray, "pairs 2"], n_top: int) -> TopOverlap:
    """Overlap of the pairs' `n_top` largest coordinates, and the cosine of the rows on them.

    |cosine| on a set S is |sum_S a_d b_d| / (|a_S| |b_S|). For unrelated rows it is about
    sqrt(2 / (pi |S|)), so restricting it to few shared coordinates raises it without any relation.
    Source: author's p16b.
    """
    is_top = top_coordinates(rows, n_top)
    wide = rows.astype(np.float64)
    block = max(1, BLOCK_ELEMENTS // rows.shape[1])
    sums, n_shared = np.zeros(3), 0
    for start in range(0, len(pairs), block):
        i, j = pairs[start : start + block].T
        both, either = is_top[i] & is_top[j], is_top[i] | is_top[j]
        shared = both.sum(1)
        n_shared += int((shared > 0).sum())
        sums[0] += _abs_cosines(wide[i], wide[j], either).sum()
        sums[1] += _abs_cosines(wide[i], wide[j], both).sum()
        sums[2] += (shared / either.sum(1)).sum()
    n_pairs = len(pairs)
    inside = sums[1] / n_shared if n_shared else float("nan")
    return TopOverlap(float(sums[0] / n_pairs), float(inside), float(sums[2] / n_pairs))


def _abs_cosines(
    a: Float[np.ndarray, "pairs width"],
    b: Float[np.ndarray, "pairs width"],
    chosen: Bool[np.ndarray, "pairs width"],
) -> Float[np.ndarray, " pairs"]:
    """|cosine| of each pair on its chosen coordinates; 0 if there are none."""
    a_chosen, b_chosen = a * chosen, b * chosen
    dots = np.abs(np.einsum("ij,ij->i", a_chosen, b_chosen))
    scale = np.sqrt(
        np.einsum("ij,ij->i", a_chosen, a_chosen) * np.einsum("ij,ij->i", b_chosen, b_chosen)
    )
    return np.divide(dots, scale, out=np.zeros_like(dots), where=scale > 0)
