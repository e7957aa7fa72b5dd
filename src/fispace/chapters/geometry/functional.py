"""Functional contributions: by how much the error grows when one latent is taken out of one part.

Closed forms, exact for every latent at once; no forward pass per latent. Must not: know a model
class; it is given codes, residuals and weights.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

PAIR_ELEMENTS = 1 << 22
"""Entries of (token, latent) pairs by width held in memory at once."""


class Active(NamedTuple):
    """The entries of sparse codes: which latent is on at which token, and how strongly."""

    tokens: Int[Tensor, " entries"]
    latents: Int[Tensor, " entries"]
    values: Float[Tensor, " entries"]


class InteractionWeights(NamedTuple):
    """Weights of the interaction part: pooling, hidden layer, output layer."""

    factors: Float[Tensor, "n_latents d_embed"]
    W_hidden: Float[Tensor, "d_embed d_embed"]
    b_hidden: Float[Tensor, " d_embed"]
    W_out: Float[Tensor, "d_model d_embed"]


def active_entries(values: Float[Tensor, "tokens k"], indices: Int[Tensor, "tokens k"]) -> Active:
    """The codes' entries that are not zero, in double precision."""
    tokens, places = torch.nonzero(values > 0, as_tuple=True)
    return Active(tokens, indices[tokens, places], values[tokens, places].double())


class DecoderTerms:
    """Sums over tokens that give the error without any one row of any decoder.

    Without row w_i the reconstruction loses f_i w_i, so the squared error sum |r|^2 grows by
    2 w_i . sum f_i r + |w_i|^2 sum f_i^2, r being the residual x - x_hat of the full model.
    """

    def __init__(self, n_latents: int, d_model: int) -> None:
        """Start with no token."""
        self.f_squared = torch.zeros(n_latents, dtype=torch.float64)
        self.f_residual = torch.zeros(n_latents, d_model, dtype=torch.float64)

    def add(self, active: Active, residual: Float[Tensor, "tokens d_model"]) -> None:
        """Count a batch of tokens."""
        n_latents = len(self.f_squared)
        self.f_squared.index_add_(0, active.latents, active.values.square())
        places = torch.stack([active.latents, active.tokens])
        shape = (n_latents, len(residual))
        self.f_residual += _sparse_product(places, active.values, residual.double(), shape)

    def growth(self, rows: Float[Tensor, "n_latents d_model"]) -> Float[Tensor, " n_latents"]:
        """Growth of the squared error when one latent's row is taken out, for every latent."""
        wide = rows.double()
        cross = torch.einsum("ij,ij->i", wide, self.f_residual)
        return 2 * cross + wide.square().sum(1) * self.f_squared


def interaction_growth(
    active: Active,
    residual: Float[Tensor, "tokens d_model"],
    weights: InteractionWeights,
    is_measured: Bool[Tensor, " n_latents"],
) -> Float[Tensor, " n_latents"]:
    """Growth of the squared error when one latent is taken out of the interaction part alone.

    Without latent i the pooled sum p = 1/2 [S^2 - Q] becomes p - a (S - a), with S = sum_j f_j v_j
    and a = f_i v_i: exact. With u the change of the rectified hidden units, the output changes by
    W_out u and the error by 2 u . W_out^T r + u^T (W_out^T W_out) u, so d_model enters once a token.
    Latents that are not measured keep 0.
    """
    weights = InteractionWeights(*(weight.double() for weight in weights))
    summed, hidden = _pooled(active, weights, len(residual))
    pulled = residual.double() @ weights.W_out
    gram = weights.W_out.T @ weights.W_out
    growth = torch.zeros(len(weights.factors), dtype=torch.float64)
    chosen = is_measured[active.latents].nonzero().squeeze(1)
    for entries in chosen.split(max(1, PAIR_ELEMENTS // weights.factors.shape[1])):
        tokens, latents = active.tokens[entries], active.latents[entries]
        own = active.values[entries, None] * weights.factors[latents]
        change = (own * (summed[tokens] - own)) @ weights.W_hidden.T
        lost = hidden[tokens].relu() - (hidden[tokens] - change).relu()
        grown = 2 * (lost * pulled[tokens]).sum(1) + ((lost @ gram) * lost).sum(1)
        growth.index_add_(0, latents, grown)
    return growth


def _pooled(
    active: Active, weights: InteractionWeights, n_tokens: int
) -> tuple[Float[Tensor, "tokens d_embed"], Float[Tensor, "tokens d_embed"]]:
    """The sum S of each token, and its hidden units before the ReLU."""
    shape = (n_tokens, len(weights.factors))
    places = torch.stack([active.tokens, active.latents])
    summed = _sparse_product(places, active.values, weights.factors, shape)
    squares = _sparse_product(places, active.values.square(), weights.factors.square(), shape)
    pooled = 0.5 * (summed.square() - squares)
    return summed, pooled @ weights.W_hidden.T + weights.b_hidden


def _sparse_product(
    places: Int[Tensor, "2 entries"],
    values: Float[Tensor, " entries"],
    rows: Float[Tensor, "rows width"],
    shape: tuple[int, int],
) -> Float[Tensor, "out width"]:
    """The sparse matrix of that shape times the rows."""
    matrix = torch.sparse_coo_tensor(places, values, shape, check_invariants=False)
    return torch.sparse.mm(matrix, rows)
