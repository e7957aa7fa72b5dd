"""TopK selection: the encoder product, the k largest pre-activations of each token, and the gradient.

The product is the only dense thing in a training step. It is taken a slice of tokens at a time, so
that a slice's pre-activations are selected from while they are in the cache, and tokens x n_latents
numbers never exist together. Must not: hold parameters.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fispace.config.train import SelectionDtype
from fispace.models.sparse import Codes, Pattern, bag, bag_by_latent, products

SLICE_TOKENS = {"cpu": 256, "cuda": 4096}
"""Tokens of one slice."""

SPARE_SHARE = 0.5
"""Candidates beyond k, as a share of it, when they are chosen in bfloat16."""


def encode_top_k(
    z: Float[Tensor, "tokens d_model"],
    W_enc: Float[Tensor, "n_latents d_model"],
    b_enc: Float[Tensor, " n_latents"],
    k: int,
    select_in: SelectionDtype = "float32",
    has_sparse_gradients: bool = False,
) -> Codes:
    """Codes f = TopK_k(ReLU(W_enc z + b_enc)), differentiable in z, W_enc and b_enc.

    The gradient of an inactive latent, and of a selected one whose pre-activation is not
    positive, is exactly zero (Makhzani & Frey 2014; Gao et al. 2024, section 2.3). Latents of a
    token are in ascending order. With `select_in` bfloat16 the product only picks candidates,
    1.5 k a token; their pre-activations are taken again in the precision of z, and the k largest
    of those are kept.
    """
    with torch.no_grad():
        indices = _selected(z, W_enc, b_enc, k, select_in)
    pattern = Pattern(indices, has_sparse_gradients)
    values = _Activations.apply(z, W_enc, b_enc, pattern)
    return Codes(values, pattern)  # pyright: ignore[reportArgumentType]


def select_top_k(pre_acts: Float[Tensor, "tokens n_latents"], k: int) -> Int[Tensor, "tokens k"]:
    """Indices of the k largest entries of each row, ascending; equal inputs give equal choices.

    On the CPU in two rounds of NumPy's vectorised partition: the k groups of latents with the
    largest maxima hold the k largest latents, and only their members are partitioned.
    """
    if pre_acts.is_cuda:
        return pre_acts.topk(k, dim=1, sorted=False).indices.sort(dim=1).values
    n_groups = _n_groups(pre_acts.shape[1], k)
    if n_groups <= k:
        chosen = _largest(pre_acts, k)
    else:
        candidates = _members_of_largest_groups(pre_acts, k, n_groups)
        chosen = candidates.gather(1, _largest(pre_acts.gather(1, candidates), k))
    return torch.from_numpy(np.sort(chosen.numpy(), axis=1))


def largest_codes(codes: Codes, k: int) -> Codes:
    """The k largest codes of each token: TopK_k where the codes are those of a larger k."""
    chosen = select_top_k(codes.values, k)
    return Codes(codes.values.gather(1, chosen), codes.indices.gather(1, chosen))


def _n_groups(n_latents: int, k: int) -> int:
    """Number of groups that makes both rounds about equally dear: n / g maxima, k g members.

    A maximum, partitioned with all others of its token, costs about three times a member. Groups
    of equal size are preferred where n_latents has a divisor near the best one.
    """
    best = max(1, round((3 * n_latents / k) ** 0.5))
    near = range(max(1, best // 2), 2 * best)
    even = [size for size in near if n_latents % size == 0]
    return n_latents // min(even or [best], key=lambda size: abs(size - best))


def _members_of_largest_groups(pre_acts: Tensor, k: int, n_groups: int) -> Tensor:
    """Group j holds the latents j, j + n_groups, ...; latents beyond the last full round always join."""
    n_tokens, n_latents = pre_acts.shape
    n_rounds = n_latents // n_groups
    rounds = pre_acts[:, : n_rounds * n_groups].view(n_tokens, n_rounds, n_groups)
    groups = _largest(rounds.amax(1), k)
    members = groups[:, None, :] + n_groups * torch.arange(n_rounds)[:, None]
    if n_rounds * n_groups == n_latents:
        return members.view(n_tokens, -1)
    rest = torch.arange(n_rounds * n_groups, n_latents).expand(n_tokens, -1)
    return torch.cat([members.view(n_tokens, -1), rest], dim=1)


def _largest(values: Tensor, k: int) -> Tensor:
    """Indices of the k largest of each row, in an order that only the values determine."""
    n_columns = values.shape[1]
    is_native = values.dtype in (torch.float32, torch.float64)  # NumPy has no bfloat16
    array = (values if is_native else values.float()).numpy()
    order = np.argpartition(array, n_columns - k, axis=1)
    return torch.from_numpy(np.ascontiguousarray(order[:, n_columns - k :]))


def _selected(z: Tensor, W_enc: Tensor, b_enc: Tensor, k: int, select_in: SelectionDtype) -> Tensor:
    dtype = z.dtype if select_in == "float32" else torch.bfloat16
    weights, bias = W_enc.to(dtype).T, b_enc.to(dtype)
    n_latents = W_enc.shape[0]
    n_candidates = k if dtype == z.dtype else min(n_latents, k + round(SPARE_SHARE * k))
    n_tokens = SLICE_TOKENS[z.device.type]
    workspace = torch.empty(min(n_tokens, len(z)), n_latents, dtype=dtype, device=z.device)
    found = torch.empty(len(z), k, dtype=torch.long, device=z.device)
    for part, slot in zip(z.split(n_tokens), found.split(n_tokens), strict=True):
        pre_acts = torch.addmm(bias, part.to(dtype), weights, out=workspace[: len(part)])
        candidates = select_top_k(pre_acts, n_candidates)
        slot.copy_(_refined(part, W_enc, b_enc, candidates, k))
    return found


def _refined(z: Tensor, W_enc: Tensor, b_enc: Tensor, candidates: Tensor, k: int) -> Tensor:
    """The k largest of the candidates by their exact pre-activations."""
    if candidates.shape[1] == k:
        return candidates
    exact = products(Pattern(candidates), z, W_enc) + b_enc[candidates]
    return candidates.gather(1, select_top_k(exact, k))


class _Activations(torch.autograd.Function):
    """ReLU of the selected pre-activations, and gradients of their rows alone."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, W_enc: Tensor, b_enc: Tensor, pattern: Pattern) -> Tensor:
        values = products(pattern, z, W_enc).add_(b_enc[pattern.indices]).relu_()
        ctx.pattern = pattern
        ctx.save_for_backward(z, W_enc, values)
        return values

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        z, W_enc, values = ctx.saved_tensors
        pattern, live = ctx.pattern, grad_outputs[0] * (values > 0)
        grad_z = grad_W = grad_b = None
        if ctx.needs_input_grad[0]:
            grad_z = bag(pattern, live, W_enc)
        if ctx.needs_input_grad[1]:
            grad_W = bag_by_latent(pattern, live, z, W_enc.shape[0])
        if ctx.needs_input_grad[2]:
            flat = torch.zeros(W_enc.shape[0], dtype=live.dtype, device=live.device)
            grad_b = flat.index_add_(0, pattern.indices.reshape(-1), live.reshape(-1))
        return grad_z, grad_W, grad_b, None
