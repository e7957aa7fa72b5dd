"""Exact weights of pairs of primary latents in a secondary latent, from the factor vectors.

Must not: read files, or choose a latent.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportOperatorIssue=false, reportIndexIssue=false
# scipy ships no types

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import sparse
from torch import Tensor

from fispace.models.integrated import IntegratedModel
from fispace.models.secondary import SecondarySae
from fispace.models.sparse import Codes


class Pairs(NamedTuple):
    """Pairs i < j of primary latents that are active together."""

    first: Int[np.ndarray, " pairs"]
    second: Int[np.ndarray, " pairs"]
    mean_product: Float[np.ndarray, " pairs"]
    """Mean of f_i f_j over all tokens, in squared activation."""


@torch.no_grad()
def pair_readout(
    model: IntegratedModel, secondary: SecondarySae, latent: int
) -> tuple[Float[Tensor, " d_embed"], float]:
    """Readout g and constant of a latent's pre-activation, which is a sum over pairs.

    From W_enc ((h - mean) / std) + b with h = W_hidden p + b_hidden and p the factor pooling:
    pre = sum_{i<j} f_i f_j (v_i * v_j) . g + constant, g = W_hidden^T (W_enc[latent] / std). The
    weight of a pair is exactly (v_i * v_j) . g, because the products are the only non-linear step between
    the codes and the pre-activation.
    """
    reading = secondary.sae.W_enc[latent] / secondary.std
    constant = reading @ (model.interaction.b_hidden - secondary.mean)
    return model.interaction.W_hidden.T @ reading, float(constant + secondary.sae.b_enc[latent])


@torch.no_grad()
def pair_weights(
    model: IntegratedModel, readout: Float[Tensor, " d_embed"], pairs: Pairs, batch: int = 200_000
) -> Float[np.ndarray, " pairs"]:
    """Weight (v_i * v_j) . g of each pair, in units of the pre-activation per squared activation.

    NaN if the pooling is not a weighted sum of products; its `no_pair_weights` says why.
    """
    if model.interaction.no_pair_weights is not None:
        return np.full(len(pairs.first), np.nan)
    V, found = model.interaction.V, [np.zeros(0)]
    for begin in range(0, len(pairs.first), batch):
        rows = (
            torch.from_numpy(np.ascontiguousarray(side[begin : begin + batch]))
            for side in (pairs.first, pairs.second)
        )
        first, second = rows
        found.append(((V[first] * V[second]) @ readout).double().cpu().numpy())
    return np.concatenate(found)


def active_pairs(codes: Codes, n_latents: int) -> Pairs:
    """Pairs that are active together on at least one token; at most k (k - 1) / 2 per token."""
    n_tokens, k = codes.values.shape
    where = (np.repeat(np.arange(n_tokens), k), codes.indices.cpu().numpy().ravel())
    values = codes.values.double().cpu().numpy().ravel()
    matrix = sparse.csr_matrix((values, where), shape=(n_tokens, n_latents))
    matrix.eliminate_zeros()
    products = sparse.triu(matrix.T @ matrix, k=1).tocoo()
    order = np.lexsort((products.col, products.row))
    return Pairs(
        products.row[order].astype(np.int64), products.col[order].astype(np.int64),
        np.asarray(products.data)[order] / n_tokens,
    )  # fmt: skip
