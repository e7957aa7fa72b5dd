"""Sums over sparse codes as dense matrix products, which a GPU does faster than gathering rows.

A product with the tokens x n_latents matrix of the codes does n_latents / k times the needed arithmetic, but
it runs on the matrix units and reads each row once. So it wins where n_latents / k is small: at the
paper's 50,000 latents and k 1,024 a gather would read 26 GB a batch. The matrix is made for one slice of
tokens at a time. Must not: be used on the processor but in tests, or hold parameters.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from fispace.devices import in_any_order

LATENTS_PER_K = {torch.float32: 64, torch.bfloat16: 512}
"""Largest number of latents per active one at which the products are dense, by their precision.

Estimated from times on an H200 at 49 and 384 latents per active one: both ways would cost the same near 62
in float32, and between 500 and 700 in bfloat16."""

ALIGNED = 8
"""Columns of a matrix in bfloat16: a multiple of 16 bytes."""

SLICE_NUMBERS = 2**28
"""Entries of the matrix that exist at once (1 GiB in float32)."""


def is_faster(like: Tensor, n_latents: int, k: int, dtype: torch.dtype) -> bool:
    """Whether sums over codes with k of n_latents active are dense products; never on the processor."""
    return not like.is_cpu and n_latents <= LATENTS_PER_K.get(dtype, 0) * k


def product(a: Float[Tensor, "n m"], b: Float[Tensor, "m l"]) -> Float[Tensor, "n l"]:
    """A b, added up in float32 whatever the precision of a and b; the result is float32 or wider."""
    if a.dtype != torch.bfloat16:
        return a @ b
    if a.is_cuda:
        return torch.mm(a, b, out_dtype=torch.float32)
    return a.float() @ b.float()


def merged(
    rows: Sequence[Float[Tensor, "n_latents width"]], dtype: torch.dtype
) -> Float[Tensor, "n_latents width"]:
    """Sum of the matrices, rounded once to the precision of the products."""
    total = rows[0]
    for matrix in rows[1:]:
        total = total + matrix
    return total.to(dtype)


def bag(
    indices: Int[Tensor, "tokens k"], values: Float[Tensor, "tokens k"],
    rows: Float[Tensor, "n_latents width"],
) -> Float[Tensor, "tokens width"]:  # fmt: skip
    """Sum over the latents of each token of value times row: f @ rows, in the precision of the rows."""
    width, rows = rows.shape[1], _aligned(rows)

    def of_slice(latents: Tensor, own: Tensor) -> Tensor:
        return product(_matrix(latents, own, len(rows), rows.dtype), rows)[:, :width]

    return torch.cat(_by_slices(of_slice, len(rows), indices, values))


def bag_by_latent(
    indices: Int[Tensor, "tokens k"], values: Float[Tensor, "tokens k"],
    of_tokens: Float[Tensor, "tokens width"], n_latents: int, dtype: torch.dtype,
) -> Float[Tensor, "n_latents width"]:  # fmt: skip
    """Sum over the tokens of each latent: the transpose of f @ of_tokens, in precision `dtype`."""

    def of_slice(latents: Tensor, own: Tensor, vectors: Tensor) -> Tensor:
        return product(_matrix(latents, own, n_latents, dtype).T, _aligned(vectors.to(dtype)))

    first, *others = _by_slices(of_slice, n_latents, indices, values, of_tokens)
    for other in others:
        first += other
    return first[:, : of_tokens.shape[1]].contiguous()


def sum_by_latent(
    indices: Int[Tensor, "tokens k"], values: Float[Tensor, "tokens k"], n_latents: int,
    dtype: torch.dtype,
) -> Float[Tensor, " n_latents"]:  # fmt: skip
    """Sum of the values over the tokens of each latent, added up in the values' precision."""

    def of_slice(latents: Tensor, own: Tensor) -> Tensor:
        return _matrix(latents, own, n_latents, dtype).sum(0, dtype=values.dtype)

    return torch.stack(_by_slices(of_slice, n_latents, indices, values)).sum(0)


def products(
    indices: Int[Tensor, "tokens k"], of_tokens: Float[Tensor, "tokens width"],
    rows: Float[Tensor, "n_latents width"],
) -> Float[Tensor, "tokens k"]:  # fmt: skip
    """Inner product of each token's vector with each of its latents' rows, in the precision of the rows."""
    rows = _aligned(rows)

    def of_slice(latents: Tensor, vectors: Tensor) -> Tensor:
        return product(_aligned(vectors.to(rows.dtype)), rows.T).gather(1, latents)

    return torch.cat(_by_slices(of_slice, len(rows), indices, of_tokens))


def _matrix(indices: Tensor, values: Tensor, n_latents: int, dtype: torch.dtype) -> Tensor:
    """The codes as a matrix tokens x n_latents; no latent may occur twice in a token."""
    empty = torch.zeros(len(values), n_latents, dtype=dtype, device=values.device)
    with in_any_order():  # all places differ
        return empty.scatter_(1, indices, values.to(dtype))


def _aligned(rows: Float[Tensor, "n width"]) -> Float[Tensor, "n padded"]:
    """The rows with zeros up to a multiple of `ALIGNED` columns; matrix units are slow on any other width."""
    missing = -rows.shape[1] % ALIGNED
    return F.pad(rows, (0, missing)) if missing and rows.dtype == torch.bfloat16 else rows


def _by_slices(of_slice: Callable[..., Tensor], n_latents: int, *by_token: Tensor) -> list[Tensor]:
    """Results for as many tokens at a time as the limit allows."""
    size = max(1, SLICE_NUMBERS // n_latents)
    parts = zip(*(tensor.split(size) for tensor in by_token), strict=True)
    return [of_slice(*part) for part in parts]
