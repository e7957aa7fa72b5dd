"""Sparse codes, and sums of value times row over the k active latents of a token.

Forward and backward passes touch at most k rows per token and use library kernels only. A sum over the
latents of a token is one `embedding_bag` on the codes; a sum over the tokens of a latent is one
`embedding_bag` on the transposed codes. On a GPU they are dense products where those are faster (`dense`).
Must not: hold parameters, or select latents.
"""

import warnings
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix
from torch import Tensor

from fispace.models import dense

CACHED_NUMBERS = 2**21
"""A larger matrix (8 MiB) does not stay in a core's cache when tokens access its rows at random."""

# The operations used here are tested against dense products.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")


class ByLatent(NamedTuple):
    """The active (token, latent) pairs, sorted by latent and, within a latent, by token."""

    latents: Int[Tensor, " active"]
    """Latents active in at least one token, ascending; all of them when gradients are dense."""
    starts: Int[Tensor, " active"]
    """Index of each of these latents' first pair."""
    all_starts: Int[Tensor, " _"]
    """Index of the first pair of every latent, active or not, followed by the number of pairs."""
    tokens: Int[Tensor, " pairs"]
    order: Int[Tensor, " pairs"]
    """Position of each pair in the flattened codes."""


class Pattern:
    """Which latents are active in which token. Codes that differ only in their values share one pattern."""

    def __init__(
        self,
        indices: Int[Tensor, "tokens k"],
        has_sparse_gradients: bool = False,
        product_dtype: torch.dtype = torch.float32,
    ) -> None:
        """With `has_sparse_gradients`, gradients hold only the rows of latents that some token uses.

        `product_dtype` is the precision of dense products, if there are any.
        """
        self.indices = indices
        self.has_sparse_gradients = has_sparse_gradients
        self.product_dtype = product_dtype
        self._by_latent: dict[int, ByLatent] = {}

    def is_dense(self, like: Tensor, n_latents: int) -> bool:
        """Whether sums over n_latents rows on the device of `like` are dense products."""
        k = self.indices.shape[1]
        is_faster = dense.is_faster(like, n_latents, k, self.product_dtype)
        return is_faster and not self.has_sparse_gradients

    def by_latent(self, n_latents: int) -> ByLatent:
        """The pairs sorted by latent. They are sorted once and cached."""
        if n_latents not in self._by_latent:
            self._by_latent[n_latents] = self._sorted(n_latents)
        return self._by_latent[n_latents]

    @cached_property
    def token_starts(self) -> Int[Tensor, " _"]:
        """Index of each token's first pair in the flattened codes, followed by the number of pairs."""
        n_tokens, k = self.indices.shape
        return torch.arange(0, n_tokens * k + 1, max(k, 1), device=self.indices.device)[
            : n_tokens + 1
        ]

    def _sorted(self, n_latents: int) -> ByLatent:
        sort = _sorted_by_scipy if self.indices.is_cpu else _sorted_on_device
        starts, tokens, order = sort(self, n_latents)
        latents = torch.arange(n_latents, device=starts.device)
        if self.has_sparse_gradients:
            latents = latents[starts.diff() > 0]
        return ByLatent(latents, starts[latents], starts, tokens, order)


def _sorted_by_scipy(pattern: Pattern, n_latents: int) -> tuple[Tensor, Tensor, Tensor]:
    """Counting sort of the pairs, done by transposing a sparse matrix of their positions."""
    n_tokens, k = pattern.indices.shape
    places = np.arange(n_tokens * k)
    rows = (places, pattern.indices.reshape(-1).numpy(), pattern.token_starts.numpy())
    transposed = csr_matrix(rows, shape=(n_tokens, n_latents)).tocsc()
    found = (transposed.indptr, transposed.indices, transposed.data)
    starts, tokens, order = (torch.from_numpy(array).long() for array in found)
    return starts, tokens, order


def _sorted_on_device(pattern: Pattern, n_latents: int) -> tuple[Tensor, Tensor, Tensor]:
    flat = pattern.indices.reshape(-1)
    order = flat.argsort(stable=True)
    counts = torch.bincount(flat, minlength=n_latents)
    starts = F.pad(counts.cumsum(0), (1, 0))
    return starts, order // pattern.indices.shape[1], order


class Codes:
    """Sparse codes of a batch: k latents per token."""

    def __init__(
        self, values: Float[Tensor, "tokens k"], indices: Int[Tensor, "tokens k"] | Pattern
    ) -> None:
        """Activations and their latents; an activation is zero where fewer than k are positive.

        No latent may occur twice in a token.
        """
        self.values = values
        self.pattern = indices if isinstance(indices, Pattern) else Pattern(indices)

    @property
    def indices(self) -> Int[Tensor, "tokens k"]:
        """Latent of each value."""
        return self.pattern.indices

    def cpu(self) -> "Codes":
        """The codes on the processor."""
        return Codes(self.values.cpu(), self.indices.cpu())

    def with_values(self, values: Float[Tensor, "tokens k"]) -> "Codes":
        """Codes with other values for the same latents."""
        return Codes(values, self.pattern)

    def __getitem__(self, rows: Any) -> "Codes":
        """Codes of some of the tokens."""
        return Codes(self.values[rows], self.indices[rows])


def sparse_sum(
    codes: Codes, *rows: Float[Tensor, "n_latents width"]
) -> Float[Tensor, "tokens width"]:
    """Sum over a token's active latents of value times row: `f @ rows` without the dense f.

    Given several row matrices it returns the sum f A + f B = f (A + B) and computes one gradient for all.
    """
    return _SparseSum.apply(codes.values, codes.pattern, *rows)  # pyright: ignore[reportReturnType]


def pair_sum(
    codes: Codes, V: Float[Tensor, "n_latents d_embed"]
) -> Float[Tensor, "tokens d_embed"]:
    """Factor pooling: the sum over pairs i < j of f_i f_j (v_i * v_j), in O(k d_embed) per token.

    1/2 [(sum_i f_i v_i)^2 - sum_i (f_i v_i)^2], squares elementwise. Units: activation squared.
    Source: He & Chua 2017, eq. 4 (printed in the paper without the outer brackets).
    """
    return _PairSum.apply(codes.values, codes.pattern, V)  # pyright: ignore[reportReturnType]


def bag(pattern: Pattern, values: Tensor, rows: Tensor) -> Tensor:
    """Sum over the latents of each token: tokens x width. Not differentiable; see `sparse_sum`."""
    if pattern.is_dense(rows, len(rows)):
        return dense.bag(pattern.indices, values, rows.to(pattern.product_dtype))
    return F.embedding_bag(pattern.indices, rows, per_sample_weights=values, mode="sum")


def bag_by_latent(pattern: Pattern, values: Tensor, of_tokens: Tensor, n_latents: int) -> Tensor:
    """Sum over the tokens of each latent: n_latents x width, the transpose of `bag`.

    If the pattern has sparse gradients, it is a sparse tensor that holds the active latents' rows.
    """
    if pattern.is_dense(of_tokens, n_latents):
        dtype = pattern.product_dtype
        return dense.bag_by_latent(pattern.indices, values, of_tokens, n_latents, dtype)
    pairs = pattern.by_latent(n_latents)
    weights = values.reshape(-1)[pairs.order]
    summed = F.embedding_bag(
        pairs.tokens, of_tokens, pairs.starts, per_sample_weights=weights, mode="sum"
    )
    if not pattern.has_sparse_gradients:
        return summed
    size = (n_latents, of_tokens.shape[1])
    return torch.sparse_coo_tensor(
        pairs.latents[None], summed, size, check_invariants=False, is_coalesced=True
    )


def sum_by_latent(pattern: Pattern, values: Tensor, n_latents: int) -> Tensor:
    """Sum of the values over the tokens of each latent: n_latents."""
    if pattern.is_dense(values, n_latents):
        return dense.sum_by_latent(pattern.indices, values, n_latents, pattern.product_dtype)
    flat = values.new_zeros(n_latents)
    return flat.index_add_(0, pattern.indices.reshape(-1), values.reshape(-1))


def products(pattern: Pattern, of_tokens: Tensor, rows: Tensor) -> Tensor:
    """Inner product of each token's vector with each of its latents' rows: tokens x k.

    If the rows do not fit the cache they are visited latent by latent, each once; the results are identical.
    """
    if pattern.is_dense(rows, len(rows)):
        return dense.products(pattern.indices, of_tokens, rows.to(pattern.product_dtype))
    is_large = rows.numel() > CACHED_NUMBERS and rows.shape[0] > of_tokens.shape[0]
    if not is_large or not rows.is_cpu:
        found = _products(pattern.token_starts, pattern.indices.reshape(-1), of_tokens, rows)
        return found.view(pattern.indices.shape)
    pairs = pattern.by_latent(rows.shape[0])
    sorted_by_latent = _products(pairs.all_starts, pairs.tokens, rows, of_tokens)
    found = torch.empty_like(sorted_by_latent).index_copy_(0, pairs.order, sorted_by_latent)
    return found.view(pattern.indices.shape)


def _products(starts: Tensor, others: Tensor, ones: Tensor, of_others: Tensor) -> Tensor:
    """Inner products of row i of `ones` with the rows of `of_others` listed in compressed row i."""
    blank = ones.new_zeros(others.numel())
    shape = (ones.shape[0], of_others.shape[0])
    places = torch.sparse_csr_tensor(starts, others, blank, shape, check_invariants=False)
    return torch.sparse.sampled_addmm(places, ones, of_others.T, beta=0.0).values()


class _SparseSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, pattern: Pattern, *rows: Tensor) -> Tensor:
        if pattern.is_dense(values, len(rows[0])):  # one product with their sum
            rows = (dense.merged(rows, pattern.product_dtype),)
        ctx.pattern = pattern
        ctx.save_for_backward(values, *rows)
        total = bag(pattern, values, rows[0])
        for matrix in rows[1:]:
            total += bag(pattern, values, matrix)
        return total

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        values, *rows = ctx.saved_tensors
        grad = grad_outputs[0].contiguous()
        grad_values = grad_rows = None
        if ctx.needs_input_grad[0]:
            grad_values = sum(products(ctx.pattern, grad, matrix) for matrix in rows)
        if any(ctx.needs_input_grad[2:]):
            grad_rows = bag_by_latent(ctx.pattern, values, grad, rows[0].shape[0])
        of_rows = (grad_rows if needed else None for needed in ctx.needs_input_grad[2:])
        return grad_values, None, *of_rows  # pyright: ignore[reportReturnType]


class _PairSum(torch.autograd.Function):
    """d p / d f_i = s v_i - f_i v_i^2 and d p / d v_i = f_i s - f_i^2 v_i, with s = sum_j f_j v_j."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, pattern: Pattern, V: Tensor) -> Tensor:
        of_sum = bag(pattern, values, V)
        of_squares = bag(pattern, values.square(), V.square())
        ctx.pattern = pattern
        ctx.save_for_backward(values, V, of_sum)
        return of_sum.square().sub_(of_squares).mul_(0.5)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        values, V, of_sum = ctx.saved_tensors
        pattern, grad = ctx.pattern, grad_outputs[0].contiguous()
        through_sum = grad * of_sum
        grad_values = grad_V = None
        if ctx.needs_input_grad[0]:
            of_squares = products(pattern, grad, V.square())
            grad_values = products(pattern, through_sum, V) - values * of_squares
        if ctx.needs_input_grad[2]:
            grad_V = bag_by_latent(pattern, values, through_sum, V.shape[0])
            own = bag_by_latent(pattern, values.square(), grad, V.shape[0])
            grad_V = less_own(grad_V, own, V)
        return grad_values, None, grad_V


def less_own(grad: Tensor, own: Tensor, V: Tensor) -> Tensor:
    """Gradient minus V * own, row by row; both gradients are dense, or both sparse with the same rows."""
    if not grad.is_sparse:
        return grad.sub_(own.mul_(V))
    latents = grad.indices()[0]
    grad.values().sub_(own.values().mul_(V[latents]))
    return grad


class Active(NamedTuple):
    """The positive entries of sparse codes: token, latent and activation of each."""

    tokens: Int[Tensor, " entries"]
    latents: Int[Tensor, " entries"]
    values: Float[Tensor, " entries"]


def active_entries(values: Float[Tensor, "tokens k"], indices: Int[Tensor, "tokens k"]) -> Active:
    """The positive entries of the codes, in double precision."""
    tokens, places = torch.nonzero(values > 0, as_tuple=True)
    return Active(tokens, indices[tokens, places], values[tokens, places].double())


def summed_rows(
    active: Active, rows: Float[Tensor, "n_latents width"], n_tokens: int
) -> Float[Tensor, "tokens width"]:
    """Sum of f_i times the latent's row over the entries of each token."""
    places = torch.stack([active.tokens, active.latents])
    return sparse_product(places, active.values, rows, (n_tokens, len(rows)))


def sparse_product(
    places: Int[Tensor, "2 entries"],
    values: Float[Tensor, " entries"],
    rows: Float[Tensor, "rows width"],
    shape: tuple[int, int],
) -> Float[Tensor, "out width"]:
    """Product of the sparse matrix with these entries and this shape, and the dense `rows`."""
    matrix = torch.sparse_coo_tensor(places, values, shape, check_invariants=False)
    return torch.sparse.mm(matrix, rows)


def to_dense(codes: Codes, n_latents: int) -> Float[Tensor, "tokens n_latents"]:
    """The codes as a matrix with a column for each latent."""
    empty = codes.values.new_zeros(len(codes.values), n_latents)
    return empty.scatter(1, codes.indices, codes.values)


def from_dense(matrix: Float[Tensor, "tokens n_latents"], k: int) -> Codes:
    """Codes of the k largest entries of each row, latents ascending; no entry may be negative."""
    indices = matrix.topk(k, dim=1).indices.sort(dim=1).values
    return Codes(matrix.gather(1, indices), indices)
