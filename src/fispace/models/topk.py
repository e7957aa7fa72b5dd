"""TopK selection: the encoder product, the k largest pre-activations of each token, and the gradient.

The encoder product is the only dense operation of a training step. It is computed for one slice of tokens
at a time. The selection then reads the slice's pre-activations while they are still in the cache, and the
full tokens x n_latents matrix never exists. Must not: hold parameters.
"""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fispace.devices import CPU
from fispace.models.dense import SLICE_NUMBERS
from fispace.models.sparse import (
    Codes,
    Pattern,
    bag,
    bag_by_latent,
    products,
    sum_by_latent,
)
from fispace.study.config.train import SelectionDtype, TopkDtype

SLICE_TOKENS = 256
"""Number of tokens in a slice on the processor; its pre-activations stay in the cache."""

GROUPS_PER_K = 4
"""Number of groups of latents, as a multiple of k. From 2 to 12 the cost is about the same."""

SPARE_SHARE, LEAST_SPARE = 0.5, 8
"""Extra candidates chosen in bfloat16: this share of k, but at least this number."""

BFLOAT16_PRODUCTS = ("avx512_bf16", "amx_bf16")
"""Processor features with which bfloat16 matrix products are faster than float32 ones."""

BFLOAT16_WEIGHTS, BFLOAT16_LATENTS_PER_K = 2**18, 32
"""With at most this many encoder weights, or fewer than this many latents per k, recomputing the candidates
costs as much as the faster product saves."""


def selection_dtype(
    topk_dtype: TopkDtype, d_model: int, n_latents: int, k: int, device: torch.device = CPU
) -> SelectionDtype:
    """`topk_dtype` itself, or for `auto` the precision that trains faster at this size on this processor.

    The values of the codes are float32 either way. The chosen latents can differ in near ties. On another
    device `auto` is float32: there the product that selects also gives the values.
    """
    if topk_dtype != "auto":
        return topk_dtype
    if device.type != "cpu":
        return "float32"
    capabilities = torch.cpu.get_capabilities()
    has_products = any(capabilities.get(name, False) for name in BFLOAT16_PRODUCTS)
    is_large = d_model * n_latents > BFLOAT16_WEIGHTS
    is_sparse = n_latents >= BFLOAT16_LATENTS_PER_K * k
    return "bfloat16" if has_products and is_large and is_sparse else "float32"


def encode_top_k(
    z: Float[Tensor, "tokens d_model"],
    W_enc: Float[Tensor, "n_latents d_model"],
    b_enc: Float[Tensor, " n_latents"],
    k: int,
    topk_dtype: SelectionDtype = "float32",
    has_sparse_gradients: bool = False,
    scale: Float[Tensor, " n_latents"] | None = None,
    product_dtype: torch.dtype = torch.float32,
) -> Codes:
    """Codes f = TopK_k(ReLU(W_enc z + b_enc)), differentiable in z, W_enc and b_enc.

    The gradient of an inactive latent, and of a selected one whose pre-activation is not
    positive, is exactly zero (Makhzani & Frey 2014; Gao et al. 2024, section 2.3). Latents of a
    token are in ascending order. With `topk_dtype` bfloat16 the product only picks candidates: 1.5 k per
    token, and at least k + 8. Their pre-activations are recomputed in the precision of z, and the k
    largest are kept. With a positive `scale`, the k latents with the largest pre-activation times scale
    are kept; the codes themselves are not scaled.

    On a GPU one product in `product_dtype` both selects the latents and gives their pre-activations, and
    `topk_dtype` is not used.
    """
    with torch.no_grad():
        if z.is_cpu:
            indices, pre_acts = _selected(z, W_enc, b_enc, scale, k, topk_dtype)
        else:
            indices, pre_acts = _selected_on_device(z, W_enc, b_enc, scale, k, product_dtype)
    pattern = Pattern(indices, has_sparse_gradients, product_dtype)
    values = _Activations.apply(z, W_enc, b_enc, pattern, pre_acts)
    return Codes(values, pattern)  # pyright: ignore[reportArgumentType]


def select_top_k(
    pre_acts: Float[Tensor, "tokens n_latents"], k: int,
    workspace: Bool[Tensor, "tokens n_latents"] | None = None,
) -> Int[Tensor, "tokens k"]:  # fmt: skip
    """Indices of the k largest entries of each row, ascending; on the CPU ties go to the lower index.

    On the CPU it takes two rounds of NumPy's vectorised partition. The k-th largest of the maxima of 4 k
    groups of latents is a bound that only slightly more than k entries of a row reach; only these entries
    are partitioned. NaN counts as infinity. A `workspace` avoids allocating a Boolean matrix, whose fresh
    memory pages cost ten times the comparison.
    """
    if not pre_acts.is_cpu:
        return pre_acts.topk(k, dim=1, sorted=False).indices.sort(dim=1).values
    is_native = pre_acts.dtype in (torch.float32, torch.float64)  # NumPy has no bfloat16
    values = (pre_acts if is_native else pre_acts.float()).numpy()
    n_tokens, n_latents = values.shape
    maxima, others = _group_maxima(values, k)
    if np.isnan(maxima).any() or np.isnan(others).any():
        numbers = pre_acts.nan_to_num(nan=math.inf, posinf=math.inf, neginf=-math.inf)
        return select_top_k(numbers, k, workspace)
    place = maxima.shape[1] - k
    bound = np.partition(maxima, place, axis=1)[:, place, None]
    is_reaching = None if workspace is None else workspace.numpy()
    reaching = np.flatnonzero(np.greater_equal(values, bound, out=is_reaching))
    rows = reaching // n_latents
    counts = np.bincount(rows, minlength=n_tokens)
    kept = _largest(values.reshape(-1)[reaching], rows, counts, k)
    chosen = reaching[kept] - rows[kept] * n_latents
    return torch.from_numpy(chosen.reshape(n_tokens, k))


def largest_codes(codes: Codes, k: int, scale: Float[Tensor, " n_latents"] | None = None) -> Codes:
    """The k largest codes of each token, ranked by value times `scale`: TopK_k of codes with a larger k."""
    compared = codes.values.detach()
    chosen = select_top_k(compared if scale is None else compared * scale[codes.indices], k)
    return Codes(codes.values.gather(1, chosen), codes.indices.gather(1, chosen))


def _group_maxima(
    values: Float[np.ndarray, "tokens n_latents"], k: int
) -> tuple[Float[np.ndarray, "tokens groups"], Float[np.ndarray, "tokens others"]]:
    """Maximum of each group of latents (at least k groups), and the latents that belong to no group.

    Group j holds the latents j, j + n_groups, ...; latents beyond the last full round belong to none. At
    least k entries of a row, and not many more, reach the k-th largest maximum.
    """
    n_groups = GROUPS_PER_K * k
    n_rounds = values.shape[1] // n_groups
    if n_rounds <= 1:
        return values, values[:, :0]
    grouped, others = np.split(values, [n_rounds * n_groups], axis=1)
    rounds = torch.from_numpy(grouped).unflatten(1, (n_rounds, n_groups))
    return rounds.amax(1).numpy(), others


def _largest(
    values: Float[np.ndarray, " some"], rows: Int[np.ndarray, " some"],
    counts: Int[np.ndarray, " tokens"], k: int,
) -> Bool[np.ndarray, " some"]:  # fmt: skip
    """Which values of a ragged array, stored row after row, are among the k largest of their row."""
    width = counts.max(initial=k)
    starts = counts.cumsum() - counts
    places = rows * width + np.arange(len(rows)) - starts[rows]
    table = np.full(len(counts) * width, -np.inf, dtype=values.dtype)
    table[places] = values
    table = table.reshape(-1, width)
    bound = np.partition(table, width - k, axis=1)[:, width - k, None]
    kept = table >= bound
    if kept.sum() > len(counts) * k:
        above = table > bound
        equal = kept & ~above
        kept = above | (equal & (equal.cumsum(1) <= k - above.sum(1, keepdims=True)))
    return kept.reshape(-1)[places]


def _selected(
    z: Tensor, W_enc: Tensor, b_enc: Tensor, scale: Tensor | None, k: int,
    topk_dtype: SelectionDtype,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """The chosen latents, and their pre-activations if the choice recomputed them."""
    compared = (W_enc, b_enc) if scale is None else (W_enc * scale[:, None], b_enc * scale)
    if topk_dtype == "float32":
        return _candidates(z, *compared, k, z.dtype), None
    n_candidates = min(W_enc.shape[0], k + max(LEAST_SPARE, math.ceil(SPARE_SHARE * k)))
    candidates = _candidates(z, *compared, n_candidates, torch.bfloat16)
    exact = products(Pattern(candidates), z, W_enc).add_(b_enc[candidates])
    chosen = select_top_k(exact if scale is None else exact * scale[candidates], k)
    return candidates.gather(1, chosen), exact.gather(1, chosen)


def _candidates(
    z: Tensor, W_enc: Tensor, b_enc: Tensor, k: int, dtype: torch.dtype
) -> Int[Tensor, "tokens k"]:
    """Latents of the k largest pre-activations in the given precision."""
    weights, bias = W_enc.to(dtype).T, b_enc.to(dtype)
    shape = (min(SLICE_TOKENS, len(z)), W_enc.shape[0])
    products_of_slice = torch.empty(shape, dtype=dtype)
    is_reaching = torch.empty(shape, dtype=torch.bool)
    found = torch.empty(len(z), k, dtype=torch.long)
    for part, slot in zip(z.split(SLICE_TOKENS), found.split(SLICE_TOKENS), strict=True):
        pre_acts = torch.addmm(bias, part.to(dtype), weights, out=products_of_slice[: len(part)])
        slot.copy_(select_top_k(pre_acts, k, is_reaching[: len(part)]))
    return found


def _selected_on_device(
    z: Tensor, W_enc: Tensor, b_enc: Tensor, scale: Tensor | None, k: int, dtype: torch.dtype
) -> tuple[Int[Tensor, "tokens k"], Float[Tensor, "tokens k"]]:
    """The chosen latents and their pre-activations, both from one product of each slice of tokens."""
    weights, bias = W_enc.to(dtype).T, b_enc.to(dtype)
    chosen: list[Tensor] = []
    pre_acts: list[Tensor] = []
    for part in z.split(max(1, SLICE_NUMBERS // len(W_enc))):
        found = torch.addmm(bias, part.to(dtype), weights)
        chosen.append(select_top_k(found if scale is None else found * scale.to(dtype), k))
        pre_acts.append(found.gather(1, chosen[-1]))
    return torch.cat(chosen), torch.cat(pre_acts).to(z.dtype)


class _Activations(torch.autograd.Function):
    """ReLU of the selected pre-activations (computed here if not given), with gradients of their rows only."""

    @staticmethod
    def forward(
        ctx: Any, z: Tensor, W_enc: Tensor, b_enc: Tensor, pattern: Pattern, pre_acts: Tensor | None
    ) -> Tensor:
        if pre_acts is None:
            pre_acts = products(pattern, z, W_enc).add_(b_enc[pattern.indices])
        values = pre_acts.relu()
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
            grad_b = sum_by_latent(pattern, live, W_enc.shape[0])
        return grad_z, grad_W, grad_b, None, None
