"""Pairs of latents that fire on the same token, counted without a matrix of all pairs.

Must not: know what a latent stands for, or hold more counts than one slice of latents has.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# scipy ships no types

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix

SparseCodes = Any
"""Codes as a scipy CSR matrix, tokens x latents, that stores the positive ones and nothing else."""
SLICE_PAIRS = 2**23
"""Pairs whose counts are held at once, at most: 96 MiB."""


class Pairs(NamedTuple):
    """Pairs of latents, first < second, in ascending order."""

    first: Int[np.ndarray, " pairs"]
    second: Int[np.ndarray, " pairs"]
    cofirings: Int[np.ndarray, " pairs"]
    """Tokens on which both fire."""

    def __getitem__(self, chosen: Any) -> "Pairs":  # pyright: ignore[reportIncompatibleMethodOverride]
        """Some of the pairs."""
        return Pairs(*(column[chosen] for column in tuple(self)))


def sparse_codes(
    values: Float[np.ndarray, "tokens k"], latents: Int[np.ndarray, "tokens k"], n_latents: int
) -> SparseCodes:
    """The positive codes of every token as a CSR matrix, latents ascending within a token."""
    is_active = values > 0
    starts = np.concatenate([[0], is_active.sum(1).cumsum()])
    columns = latents[is_active].astype(np.int32)
    matrix = csr_matrix((values[is_active], columns, starts), shape=(len(values), n_latents))
    matrix.sort_indices()
    return matrix


def cofiring_pairs(codes: SparseCodes, min_cofirings: int) -> Pairs:
    """All pairs of latents that fire together on at least `min_cofirings` tokens.

    Counts come from sparse products of a slice of latents with all of them. Work is the number of
    active pairs summed over tokens; memory is bounded by `SLICE_PAIRS`, however often a latent fires.
    """
    found = list(_counted(codes, min_cofirings))
    empty = np.zeros(0, dtype=np.int64)
    if not found:
        return Pairs(empty, empty, empty)
    return Pairs(*(np.concatenate(columns) for columns in zip(*found, strict=True)))


def _counted(codes: SparseCodes, min_cofirings: int) -> Iterator[Pairs]:
    n_latents = codes.shape[1]
    ones = np.ones(codes.nnz, dtype=np.int32)
    fires = csr_matrix((ones, codes.indices, codes.indptr), shape=codes.shape)
    by_latent = fires.T.tocsr()
    n_tokens = np.diff(by_latent.indptr)
    often = np.flatnonzero(n_tokens >= min_cofirings)  # no other latent can be in a pair
    step = max(1, SLICE_PAIRS // max(n_latents, 1))
    for begin in range(0, len(often), step):
        rows = often[begin : begin + step]
        counts = (by_latent[rows] @ fires).tocoo()
        first, second = rows[counts.row], counts.col.astype(np.int64)
        kept = (second > first) & (counts.data >= min_cofirings)
        order = np.lexsort((second[kept], first[kept]))
        columns = (first[kept], second[kept], counts.data[kept].astype(np.int64))
        yield Pairs(*(column[order] for column in columns))
