"""Sparse codes: TopK selection of the encoder's pre-activations, and sparse sums over the selected rows.

Only the encoder product is dense. Everything after it touches k of n_latents latents a token, in the
forward and in the backward pass. Must not: hold parameters.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


class Codes(NamedTuple):
    """Sparse codes of a batch: k latents a token."""

    values: Float[Tensor, "tokens k"]
    """Activations after ReLU, >= 0; zero where fewer than k pre-activations are positive."""
    indices: Int[Tensor, "tokens k"]
    """Latents the values belong to, in no particular order, no latent twice in a token."""


def select_top_k(pre_acts: Float[Tensor, "tokens n_latents"], k: int) -> Int[Tensor, "tokens k"]:
    """Indices of the k largest entries of each row, unordered; ties are broken the same way every time.

    On the CPU by NumPy's vectorised partition, four times as fast as torch.topk at k=32 of 1,536.
    """
    if pre_acts.is_cuda:
        return pre_acts.topk(k, dim=1, sorted=False).indices
    n_latents = pre_acts.shape[1]
    is_native = pre_acts.dtype in (torch.float32, torch.float64)  # NumPy has no bfloat16
    values = (pre_acts.detach() if is_native else pre_acts.detach().float()).numpy()
    order = np.argpartition(values, n_latents - k, axis=1)
    return torch.from_numpy(np.ascontiguousarray(order[:, n_latents - k :]))


def sparse_sum(
    codes: Codes, rows: Float[Tensor, "n_latents width"]
) -> Float[Tensor, "tokens width"]:
    """Sum over a token's active latents of value times row: `f @ rows` without the dense f."""
    return F.embedding_bag(codes.indices, rows, per_sample_weights=codes.values, mode="sum")


def encode_top_k(
    z: Float[Tensor, "tokens d_model"],
    W_enc: Float[Tensor, "n_latents d_model"],
    b_enc: Float[Tensor, " n_latents"],
    k: int,
) -> Codes:
    """Codes f = TopK_k(ReLU(W_enc z + b_enc)), differentiable in z, W_enc and b_enc.

    The gradient of an inactive latent, and of a selected one whose pre-activation is not
    positive, is exactly zero (Makhzani & Frey 2014; Gao et al. 2024, section 2.3).
    """
    values, indices = _EncodeTopK.apply(z, W_enc, b_enc, k)  # pyright: ignore[reportGeneralTypeIssues]
    return Codes(values, indices)


class _EncodeTopK(torch.autograd.Function):
    """Dense product forward, sparse backward."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, W_enc: Tensor, b_enc: Tensor, k: int) -> tuple[Tensor, Tensor]:
        pre_acts = torch.addmm(b_enc, z, W_enc.T)
        indices = select_top_k(pre_acts, k)
        values = pre_acts.gather(1, indices).relu_()
        ctx.save_for_backward(z, W_enc, values, indices)
        ctx.mark_non_differentiable(indices)
        return values, indices

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        z, W_enc, values, indices = ctx.saved_tensors
        live = grad_outputs[0] * (values > 0)
        grad_z = grad_W = grad_b = None
        if ctx.needs_input_grad[0]:
            grad_z = sparse_sum(Codes(live, indices), W_enc)
        if ctx.needs_input_grad[1]:
            grad_W = _scatter_outer(Codes(live, indices), z, W_enc)
        if ctx.needs_input_grad[2]:
            flat = torch.zeros(W_enc.shape[0], dtype=live.dtype, device=live.device)
            grad_b = flat.index_add_(0, indices.reshape(-1), live.reshape(-1))
        return grad_z, grad_W, grad_b, None


def _scatter_outer(codes: Codes, z: Tensor, like: Tensor) -> Tensor:
    """Row i is the sum over tokens of code_i times z: the library's gradient of `sparse_sum`."""
    rows = torch.zeros_like(like).requires_grad_()
    with torch.enable_grad():
        summed = sparse_sum(codes, rows)
    return torch.autograd.grad(summed, rows, z)[0]
