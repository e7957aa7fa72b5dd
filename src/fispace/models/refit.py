"""Magnitudes of a token's active latents by non-negative least squares on the decoder's rows.

An encoder finds which latents are active in one product, and their magnitudes only roughly (the
amortisation gap, O'Neill et al. 2025). The refit keeps which latents are active and takes the best
magnitudes for them. Must not: train, or choose latents on its own unless it is asked to pursue.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fispace.errors import NonFiniteError, RefitError
from fispace.models.sparse import Codes, sparse_sum

Matrix = Float[Tensor, "tokens k"]
Gram = Float[Tensor, "tokens k k"]

SLICE_NUMBERS = 2**22
"""Numbers of the active rows of one slice of tokens: 32 MiB in double precision."""
RIDGE = 1e-12
"""Added to a Gram matrix's diagonal, relative to its largest entry: equal rows share their magnitude."""
TOLERANCE = 1e-8
"""Largest violation of a condition of the optimum, relative to the token's largest |W (z - b)|."""
ROUNDS_PER_LATENT = 10
"""Rounds of exchanges after which the refit counts as not converged, per active latent."""
FULL_EXCHANGES = 3
"""Rounds in which all violating latents may be exchanged without their number falling."""


@torch.no_grad()
def refitted(
    z: Float[Tensor, "tokens d_model"], codes: Codes, W_dec: Float[Tensor, "n_latents d_model"]
) -> Codes:
    """Codes with the magnitudes argmin over f >= 0 of |z - f W_dec|^2, for the latents that are active.

    `z` are standardised activations less everything that is not `f W_dec`, as a bias. A latent is
    active where its code is positive; all others stay zero. So the squared error of a token never
    exceeds that of its given codes. The minimum is exact, by block principal pivoting (Kim & Park
    2011, algorithm 1; Judice & Pires 1994): every round solves the normal equations of the latents
    taken as positive, and exchanges those that violate f >= 0 or W (z - f W) <= 0. Work is a token's
    k^2 d_model for its Gram matrix and k^3 for a round; memory is bounded by `SLICE_NUMBERS`.

    Raises:
        NonFiniteError: if an activation, a code or a row is not finite.
        RefitError: if a token does not meet the conditions of the optimum at the end.
    """
    _require_finite(z, codes, W_dec)
    n_tokens, k = codes.values.shape
    step = max(1, SLICE_NUMBERS // max(k * z.shape[1], k * k, 1))
    found = torch.empty_like(codes.values)
    for begin in range(0, n_tokens, step):
        rows = slice(begin, begin + step)
        problem = _problem(z[rows], codes[rows], W_dec)
        found[rows] = _solved(problem, begin).to(found.dtype)
    return codes.with_values(found)


@torch.no_grad()
def pursued(
    z: Float[Tensor, "tokens d_model"], codes: Codes, W_dec: Float[Tensor, "n_latents d_model"]
) -> Codes:
    """Codes with one more latent a token: the one whose row points most along z - f W_dec.

    The row's projection is the new code, zero where no row points along it (matching pursuit, Mallat
    & Zhang 1993). It costs one product of the size of the encoder's. Pursuit follows the noise of
    superposition too (Chanin & Garriga-Alonso 2026), so nothing does it unasked.
    """
    residual = z - sparse_sum(codes, W_dec)
    norms = W_dec.norm(dim=1).clamp(min=torch.finfo(W_dec.dtype).tiny)
    step = max(1, SLICE_NUMBERS // max(len(W_dec), 1))
    best, latents = [], []
    for begin in range(0, len(z), step):
        along = residual[begin : begin + step] @ W_dec.T / norms
        along.scatter_(1, codes.indices[begin : begin + step], -torch.inf)
        value, latent = along.max(1)
        best.append(value.clamp(min=0) / norms[latent])
        latents.append(latent)
    values = torch.cat([codes.values, torch.cat(best)[:, None]], 1)
    return Codes(values, torch.cat([codes.indices, torch.cat(latents)[:, None]], 1))


@torch.no_grad()
def lost_without(
    codes: Codes, W_dec: Float[Tensor, "n_latents d_model"]
) -> Float[Tensor, "tokens k"]:
    """Growth of a token's squared error when one latent is taken out and the others are fitted again.

    f_i^2 / (G^-1)_ii with G the Gram matrix of the positive latents' rows, for refitted codes; zero where a
    code is. It lets a latent grow negative in the place of the one taken out, so it is a lower bound.
    """
    n_tokens, k = codes.values.shape
    step = max(1, SLICE_NUMBERS // max(k * W_dec.shape[1], k * k, 1))
    found = torch.zeros_like(codes.values)
    for begin in range(0, n_tokens, step):
        own = codes[begin : begin + step]
        kept = (own.values > 0).double()
        gram = _gram(W_dec[own.indices].double())
        masked = gram * kept[:, :, None] * kept[:, None, :] + torch.diag_embed(1 - kept)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(masked))
        lost = own.values.double().square() / inverse.diagonal(dim1=1, dim2=2)
        found[begin : begin + step] = lost.to(found.dtype)
    return found


class _Problem(NamedTuple):
    """minimise 1/2 f G f - c f over f >= 0, in double precision, for every token."""

    gram: Gram
    product: Matrix
    is_active: Bool[Tensor, "tokens k"]

    def of(self, tokens: Int[Tensor, " _"]) -> "_Problem":
        """The problems of some tokens."""
        return _Problem(self.gram[tokens], self.product[tokens], self.is_active[tokens])

    def minimum(self, is_positive: Bool[Tensor, "tokens k"]) -> tuple[Matrix, Matrix]:
        """Magnitudes that solve the equations of the positive latents, and the gradient G f - c."""
        kept = is_positive.double()
        masked = self.gram * kept[:, :, None] * kept[:, None, :] + torch.diag_embed(1 - kept)
        factor = torch.linalg.cholesky(masked)
        right = (self.product * kept)[:, :, None]
        values = torch.cholesky_solve(right, factor)[:, :, 0] * kept
        return values, (self.gram @ values[:, :, None])[:, :, 0] - self.product

    @property
    def tolerance(self) -> Float[Tensor, "tokens 1"]:
        """Size of a gradient that counts as zero."""
        return TOLERANCE * self.product.abs().amax(1, keepdim=True)


def _problem(z: Tensor, codes: Codes, W_dec: Tensor) -> _Problem:
    rows = W_dec[codes.indices].double()
    product = (rows @ z.double()[:, :, None])[:, :, 0]
    return _Problem(_gram(rows), product, codes.values > 0)


def _gram(rows: Float[Tensor, "tokens k d_model"]) -> Gram:
    """Inner products of a token's rows; the diagonal is raised by `RIDGE`."""
    gram = rows @ rows.transpose(1, 2)
    largest = gram.diagonal(dim1=1, dim2=2).amax(1).clamp(min=torch.finfo(torch.float64).tiny)
    gram.diagonal(dim1=1, dim2=2).add_(RIDGE * largest[:, None])
    return gram


def _solved(problem: _Problem, first_token: int) -> Matrix:
    """The minimum of every token; the exchanges end, because a single one at a time always does."""
    n_tokens, k = problem.product.shape
    found = torch.zeros_like(problem.product)
    left = torch.arange(n_tokens if k else 0, device=found.device)
    is_positive = problem.is_active.clone()
    fewest = torch.full((n_tokens,), k + 1, device=found.device)
    chances = torch.full_like(fewest, FULL_EXCHANGES)
    for _ in range(ROUNDS_PER_LATENT * k):
        own = problem.of(left)
        values, gradient = own.minimum(is_positive[left])
        positive = is_positive[left]
        violates = torch.where(positive, values < 0, own.is_active & (gradient < -own.tolerance))
        found[left] = values.clamp(min=0)
        n_violations = violates.sum(1)
        falls = n_violations < fewest[left]
        fewest[left] = torch.where(falls, n_violations, fewest[left])
        chances[left] = torch.where(falls, FULL_EXCHANGES, chances[left] - 1)
        exchanged = torch.where((chances[left] >= 0)[:, None], violates, _last(violates))
        is_positive[left] = positive ^ exchanged
        left = left[n_violations > 0]
        if not len(left):
            break
    _require_optimum(problem, found, first_token)
    return found


def _last(violates: Bool[Tensor, "tokens k"]) -> Bool[Tensor, "tokens k"]:
    """The last violating latent of each token alone."""
    places = torch.arange(violates.shape[1], device=violates.device)
    return violates & (places == torch.where(violates, places, -1).amax(1, keepdim=True))


def _require_optimum(problem: _Problem, found: Matrix, first_token: int) -> None:
    """Refuse magnitudes that do not meet f >= 0, G f - c >= 0 and f (G f - c) = 0."""
    gradient = (problem.gram @ found[:, :, None])[:, :, 0] - problem.product
    slack = torch.where(found > 0, gradient.abs(), -gradient)
    worst = torch.where(problem.is_active, slack, 0.0) - 10 * problem.tolerance
    bad = (worst > 0).any(1).nonzero()[:, 0]
    if len(bad):
        raise RefitError(
            f"The refit of {len(bad)} tokens did not converge (the first is token "
            f"{first_token + int(bad[0])} of its batch): their active decoder rows depend on each other "
            "almost exactly. Measure with the encoder's own codes (refit: false), or train with fewer "
            "latents."
        )


def _require_finite(z: Tensor, codes: Codes, W_dec: Tensor) -> None:
    for name, tensor in (("activation", z), ("code", codes.values), ("decoder row", W_dec)):
        if not torch.isfinite(tensor).all():
            raise NonFiniteError(
                f"The refit was given an {name} that is not finite. The checkpoint or the activation "
                "store is damaged; run the rule that makes it again."
            )
