"""Functional contributions: the growth of the error when one latent is removed from one part.

Closed forms give all latents at once, exactly. A pooling without one needs a forward pass per latent.
Must not: read files, or choose latents.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fispace.devices import CPU
from fispace.models.interaction import Interaction, LeaveOneOut
from fispace.models.sparse import Active, Codes, active_entries, sparse_product

PAIR_ELEMENTS = 1 << 22
"""Entries of (token, latent) pairs by width held in memory at once."""


class DecoderTerms:
    """Sums over tokens that give the error after removing any single row of a decoder.

    Without row w_i the reconstruction loses f_i w_i. The squared error sum |r|^2 then grows by
    2 w_i . sum f_i r + |w_i|^2 sum f_i^2, where r = x - x_hat is the residual of the full model.
    """

    def __init__(self, n_latents: int, d_model: int, device: torch.device = CPU) -> None:
        """Start with no token; those that are added are on the device."""
        self.f_squared = torch.zeros(n_latents, dtype=torch.float64, device=device)
        self.f_residual = self.f_squared.new_zeros(n_latents, d_model)

    def add(self, active: Active, residual: Float[Tensor, "tokens d_model"]) -> None:
        """Add a batch of tokens."""
        n_latents = len(self.f_squared)
        self.f_squared.index_add_(0, active.latents, active.values.square())
        places = torch.stack([active.latents, active.tokens])
        shape = (n_latents, len(residual))
        self.f_residual += sparse_product(places, active.values, residual.double(), shape)

    def growth(self, rows: Float[Tensor, "n_latents d_model"]) -> Float[Tensor, " n_latents"]:
        """Growth of the squared error when one latent's row is removed, for every latent."""
        wide = rows.double()
        cross = torch.einsum("ij,ij->i", wide, self.f_residual)
        return 2 * cross + wide.square().sum(1) * self.f_squared


def interaction_growth(
    head: Interaction, codes: Codes, residual: Float[Tensor, "tokens d_model"],
    is_measured: Bool[Tensor, " n_latents"],
) -> Float[Tensor, " n_latents"]:  # fmt: skip
    """Growth of the squared error when one latent is removed from the interaction part alone.

    It uses the closed form for all entries of the codes if the pooling has one, otherwise a forward pass of
    the part for every latent. Latents that are not measured have 0.
    """
    active = active_entries(codes.values, codes.indices)
    without = head.leave_one_out(active, len(residual))
    if without is None:
        return _growth_by_forward_passes(head, codes, residual, is_measured)
    return _growth_in_closed_form(head, active, without, residual, is_measured)


def _growth_in_closed_form(
    head: Interaction, active: Active, without: LeaveOneOut,
    residual: Float[Tensor, "tokens d_model"], is_measured: Bool[Tensor, " n_latents"],
) -> Float[Tensor, " n_latents"]:  # fmt: skip
    """Growth computed exactly from what the pooling loses without each entry.

    With u the change of the hidden units' output, the output changes by W_out u and the error by
    2 u . W_out^T r + u^T (W_out^T W_out) u. The cost involves d_model only once per token.
    """
    factors, W_hidden, b_hidden, W_out = (
        weight.double() for weight in (head.V, head.W_hidden, head.b_hidden, head.W_out)
    )
    hidden = without.pooled @ W_hidden.T + b_hidden
    pulled = residual.double() @ W_out
    gram = W_out.T @ W_out
    growth = factors.new_zeros(len(factors))
    chosen = is_measured[active.latents].nonzero().squeeze(1)
    for entries in chosen.split(max(1, PAIR_ELEMENTS // factors.shape[1])):
        tokens, latents = active.tokens[entries], active.latents[entries]
        own = active.values[entries, None] * factors[latents]
        change = without.lost(tokens, own) @ W_hidden.T
        lost = head.activate(hidden[tokens]) - head.activate(hidden[tokens] - change)
        grown = 2 * (lost * pulled[tokens]).sum(1) + ((lost @ gram) * lost).sum(1)
        growth.index_add_(0, latents, grown)
    return growth


def _growth_by_forward_passes(
    head: Interaction, codes: Codes, residual: Float[Tensor, "tokens d_model"],
    is_measured: Bool[Tensor, " n_latents"],
) -> Float[Tensor, " n_latents"]:  # fmt: skip
    """Growth for any pooling, from the part's output on all tokens with the latent's codes set to zero."""
    growth = torch.zeros_like(head.V[:, 0], dtype=torch.float64)
    whole, wide = head(codes).double(), residual.double()
    active = codes.indices[codes.values > 0].unique()
    for latent in active[is_measured[active]]:
        left = codes.with_values(codes.values * (codes.indices != latent))
        lost = whole - head(left).double()
        growth[latent] = (2 * wide * lost + lost.square()).sum()
    return growth
