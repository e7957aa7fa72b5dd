"""Made codes and residuals in which the truth about every pair is known."""

from typing import NamedTuple

import numpy as np

from fispace.stats.block_scores import document_blocks
from fispace.stats.cofiring import sparse_codes

N_BLOCKS = 32
PER_DOCUMENT = 10


class Made(NamedTuple):
    codes: object
    residual: np.ndarray
    blocks: np.ndarray
    dense: np.ndarray


def made(
    n_tokens=20000, n_latents=12, width=8, firing=0.3, seed=0, effect=None, noise="plain"
):  # fmt: skip
    """Independent latents, uniform magnitudes; `effect(dense)` is added to the noise of the residual."""
    stream = np.random.default_rng(seed)
    shape = (n_tokens, n_latents)
    dense = (stream.random(shape) < firing) * stream.uniform(0.5, 1.5, shape)
    documents = np.arange(n_tokens) // PER_DOCUMENT
    residual = stream.standard_normal((n_tokens, width))
    if noise == "heteroscedastic":
        residual *= (0.3 + dense.sum(1))[:, None] * np.linspace(0.2, 2, width)
    if noise == "documents":
        residual += 2 * stream.standard_normal((documents.max() + 1, width))[documents]
    if effect is not None:
        residual = residual + effect(dense)
    latents = np.tile(np.arange(n_latents), (n_tokens, 1))
    codes = sparse_codes(dense, latents, n_latents)
    return Made(codes, residual, document_blocks(documents, N_BLOCKS), dense)


def flipped_statistics(scores: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """The statistic of `vector_test` with the scores multiplied by each row of signs, [pairs flips]."""
    gram = scores @ scores.transpose(0, 2, 1)
    np.einsum("pbb->pb", gram)[:] = 0
    deviation = np.sqrt(2 * np.square(gram).sum((1, 2)))[:, None]
    return np.einsum("pfb,fb->pf", signs[None] @ gram, signs) / deviation
