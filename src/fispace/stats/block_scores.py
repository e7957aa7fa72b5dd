"""Scores of pairs of latents, summed in blocks of documents.

A document is in one block only, so blocks are independent where documents are; what is correlated inside
a document stays inside one sum. Must not: test anything.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# scipy ships no types

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix

from fispace.stats.cofiring import Pairs, SparseCodes

SLICE_NUMBERS = 2**25
"""Numbers of the sums held at once, at most: 256 MiB."""
SLICE_TOKENS = 2**17
"""Tokens of one latent that are looked at at once."""


class Regressor(NamedTuple):
    """A product of powers of the two magnitudes, f_i^first f_j^second."""

    first: int
    second: int


PRODUCT = Regressor(1, 1)


class BlockSums(NamedTuple):
    """Sums over the tokens of a block on which both latents fire."""

    pairs: Int[np.ndarray, " pairs"]
    """Positions of the pairs in the list that was given."""
    scores: Float[np.ndarray, "pairs regressors blocks width"]
    """sum_t x_t r_t of every regressor x and the residual r."""
    gram: Float[np.ndarray, "pairs blocks regressors regressors"]
    """sum_t x_t x'_t of every two regressors."""


def document_blocks(
    documents: Int[np.ndarray, " tokens"], n_blocks: int
) -> Int[np.ndarray, " tokens"]:
    """Block of every token: the documents in turn, in the order of their numbers."""
    _, order = np.unique(documents, return_inverse=True)
    return (order % n_blocks).astype(np.int64)


def block_sums(
    codes: SparseCodes, residual: Float[np.ndarray, "tokens width"],
    blocks: Int[np.ndarray, " tokens"], n_blocks: int, pairs: Pairs,
    regressors: Sequence[Regressor],
) -> Iterator[BlockSums]:  # fmt: skip
    """Sums of the regressors for all pairs, latent by latent of those that come first in a pair.

    Magnitudes are divided by their latent's mean over the tokens on which it fires, so that no power of
    them overflows or vanishes. Work is proportional to the co-firings; memory is bounded by the slices.
    """
    by_latent = codes.T.tocsr()
    scaled = csr_matrix(
        (codes.data / mean_magnitudes(codes)[codes.indices], codes.indices, codes.indptr),
        shape=codes.shape,
    )
    tokens = _Tokens(scaled, residual, blocks, n_blocks)
    per_pair = n_blocks * len(regressors) * (residual.shape[1] + len(regressors))
    most = max(1, SLICE_NUMBERS // per_pair)
    firsts, starts = np.unique(pairs.first, return_index=True)
    ends = np.append(starts[1:], len(pairs.first))
    for latent, begin, end in zip(firsts, starts, ends, strict=True):
        fired = by_latent.indices[by_latent.indptr[latent] : by_latent.indptr[latent + 1]]
        for low in range(begin, end, most):
            own = np.arange(low, min(low + most, end))
            scores, gram = _of_latent(tokens, int(latent), fired, pairs.second[own], regressors)
            yield BlockSums(own, scores, gram)


def magnitude_powers(codes: SparseCodes) -> Float[np.ndarray, "n_latents 5"]:
    """Sums over tokens of each latent's scaled magnitude to the powers 0 to 4; power 0 counts firings."""
    scaled, n = codes.data / mean_magnitudes(codes)[codes.indices], codes.shape[1]
    return np.stack([np.bincount(codes.indices, scaled**p, n) for p in range(5)], axis=1)


class _Tokens(NamedTuple):
    codes: SparseCodes
    residual: np.ndarray
    blocks: np.ndarray
    n_blocks: int


def beside_own_rows(
    sums: BlockSums, pairs: Pairs, rows: Float[np.ndarray, "n_latents width"]
) -> BlockSums:
    """The scores without their components along the decoder rows of the pair's two latents.

    A refitted residual is orthogonal to the rows of all latents that fire. So what the row of j would
    explain of latent i's error is missing wherever j fires as well: a product along the two rows that
    the refit makes itself, and that would only rescale the two latents.
    """
    first, second = (rows[of[sums.pairs]].astype(np.float64) for of in (pairs.first, pairs.second))
    first = _unit(first)
    second = _unit(second - np.einsum("pd,pd->p", first, second)[:, None] * first)
    scores = sums.scores
    for row in (first, second):
        along = np.einsum("pxbd,pd->pxb", scores, row)
        scores = scores - along[..., None] * row[:, None, None]
    return sums._replace(scores=scores)


def _unit(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)


def mean_magnitudes(codes: SparseCodes) -> Float[np.ndarray, " n_latents"]:
    """Mean code of each latent over the tokens on which it fires; 1 where there are none."""
    n_latents = codes.shape[1]
    count = np.bincount(codes.indices, minlength=n_latents)
    total = np.bincount(codes.indices, weights=codes.data, minlength=n_latents)
    return np.where(count > 0, total / np.maximum(count, 1), 1.0)


def _of_latent(
    tokens: _Tokens, latent: int, fired: np.ndarray, partners: np.ndarray,
    regressors: Sequence[Regressor],
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Scores and Gram matrices of one latent with its partners."""
    place = np.full(tokens.codes.shape[1], -1)
    place[partners] = np.arange(len(partners))
    n, n_blocks, width = len(regressors), tokens.n_blocks, tokens.residual.shape[1]
    n_cells = len(partners) * n_blocks
    scores, gram = np.zeros((n, n_cells, width)), np.zeros((n_cells, n, n))
    for begin in range(0, len(fired), SLICE_TOKENS):
        some = fired[begin : begin + SLICE_TOKENS]
        codes = tokens.codes[some]
        row = np.repeat(np.arange(len(some)), np.diff(codes.indptr))
        is_first, is_kept = codes.indices == latent, place[codes.indices] >= 0
        f_first = np.zeros(len(some))
        f_first[row[is_first]] = codes.data[is_first]
        row, partner = row[is_kept], place[codes.indices[is_kept]]
        cell = partner * n_blocks + tokens.blocks[some[row]]
        values = _values(f_first[row], codes.data[is_kept], regressors)
        residual = tokens.residual[some].astype(np.float64)
        for number, x in enumerate(values):
            scores[number] += csr_matrix((x, (cell, row)), shape=(n_cells, len(some))) @ residual
            for other in range(number + 1):
                gram[:, number, other] += np.bincount(cell, x * values[other], n_cells)
    upper = np.triu_indices(n, 1)
    gram[:, upper[0], upper[1]] = gram[:, upper[1], upper[0]]
    by_pair = scores.reshape(n, len(partners), n_blocks, width).transpose(1, 0, 2, 3)
    return by_pair, gram.reshape(len(partners), n_blocks, n, n)


def _values(first: Any, second: Any, regressors: Sequence[Regressor]) -> list[np.ndarray]:
    return [first**powers.first * second**powers.second for powers in regressors]
