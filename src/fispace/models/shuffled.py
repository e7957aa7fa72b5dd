"""Factor pooling of cross-token pairs: one latent from a token, the other from its partner.

It reads k rows per token, like pooling within tokens. Must not: hold parameters, or draw partners.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fispace.models.sparse import Codes, Pattern, bag, bag_by_latent, less_own, products


def shuffled_pair_sum(
    codes: Codes, partner: Int[Tensor, " tokens"], V: Float[Tensor, "n_latents d_embed"]
) -> Float[Tensor, "tokens d_embed"]:
    """Sum over pairs i < j of 1/2 (f_i g_j + f_j g_i) (v_i * v_j), g = f[partner]; O(k d_embed) per token.

    1/2 [(sum_i f_i v_i) * (sum_j g_j v_j) - sum_i f_i g_i v_i^2], products elementwise. It equals `pair_sum`
    if every token is its own partner. `partner` is a permutation. Units: activation squared.
    """
    return _ShuffledPairSum.apply(codes.values, codes.pattern, V, partner)  # pyright: ignore[reportReturnType]


def values_at(
    values: Float[Tensor, "tokens k"],
    indices: Int[Tensor, "tokens k"],
    wanted: Int[Tensor, "tokens k"],
) -> Float[Tensor, "tokens k"]:
    """Activation of the wanted latents in each token's codes; zero where the codes do not contain them."""
    ascending = indices.sort(dim=1)
    place = torch.searchsorted(ascending.values, wanted).clamp_(max=indices.shape[1] - 1)
    is_listed = ascending.values.gather(1, place) == wanted
    return values.gather(1, ascending.indices.gather(1, place)) * is_listed


class _ShuffledPairSum(torch.autograd.Function):
    """Codes of a token t enter twice: at t, and at the token u whose partner is t.

    With s = sum_i f_i v_i, G the gradient of p, and pi(t) the partner of t:
    h_t = 1/2 (G_t * s_pi(t) + G_u * s_u),
    d / d v_i   = sum_t f_ti h_t - v_i * sum_t f_ti f_pi(t),i G_t,
    d / d f_ti  = <h_t, v_i> - 1/2 (f_pi(t),i <G_t, v_i^2> + f_ui <G_u, v_i^2>).
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, pattern: Pattern, V: Tensor, partner: Tensor) -> Tensor:
        of_sum = bag(pattern, values, V)
        theirs = values_at(values[partner], pattern.indices[partner], pattern.indices)
        of_squares = bag(pattern, values * theirs, V.square())
        ctx.pattern = pattern
        ctx.save_for_backward(values, V, partner, of_sum, theirs)
        return (of_sum * of_sum[partner]).sub_(of_squares).mul_(0.5)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        values, V, partner, of_sum, theirs = ctx.saved_tensors
        pattern, grad = ctx.pattern, grad_outputs[0].contiguous()
        before = partner.argsort()
        through_sum = (grad * of_sum[partner] + (grad * of_sum)[before]) / 2
        grad_values = grad_V = None
        if ctx.needs_input_grad[0]:
            heirs = values_at(values[before], pattern.indices[before], pattern.indices)
            squares = V.square()
            of_squares = theirs * products(pattern, grad, squares)
            of_squares += heirs * products(pattern, grad[before], squares)
            grad_values = products(pattern, through_sum, V) - of_squares / 2
        if ctx.needs_input_grad[2]:
            grad_V = bag_by_latent(pattern, values, through_sum, V.shape[0])
            own = bag_by_latent(pattern, values * theirs, grad, V.shape[0])
            grad_V = less_own(grad_V, own, V)
        return grad_values, None, grad_V, None
