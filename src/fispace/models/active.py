"""The entries of sparse codes in double precision, and what is left of a pooling without one of them.

Must not: know a model.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Active(NamedTuple):
    """The entries of sparse codes: which latent is on at which token, and how strongly."""

    tokens: Int[Tensor, " entries"]
    latents: Int[Tensor, " entries"]
    values: Float[Tensor, " entries"]


class LeaveOneOut(NamedTuple):
    """A pooling of all entries of a token, and by how much it falls without one of them."""

    pooled: Float[Tensor, "tokens d_embed"]
    lost: Callable[[Tensor, Tensor], Tensor]
    """Of tokens and the products f_i v_i of one active latent at each: p - p without it."""


def active_entries(values: Float[Tensor, "tokens k"], indices: Int[Tensor, "tokens k"]) -> Active:
    """The codes' entries that are not zero, in double precision."""
    tokens, places = torch.nonzero(values > 0, as_tuple=True)
    return Active(tokens, indices[tokens, places], values[tokens, places].double())


def summed_rows(
    active: Active, rows: Float[Tensor, "n_latents width"], n_tokens: int
) -> Float[Tensor, "tokens width"]:
    """Sum over a token's entries of f_i times the latent's row."""
    places = torch.stack([active.tokens, active.latents])
    return sparse_product(places, active.values, rows, (n_tokens, len(rows)))


def sparse_product(
    places: Int[Tensor, "2 entries"],
    values: Float[Tensor, " entries"],
    rows: Float[Tensor, "rows width"],
    shape: tuple[int, int],
) -> Float[Tensor, "out width"]:
    """The sparse matrix of that shape times the rows."""
    matrix = torch.sparse_coo_tensor(places, values, shape, check_invariants=False)
    return torch.sparse.mm(matrix, rows)
