"""Random errors with the size of a reconstruction's own error.

Every kind keeps |e_t|, the norm of each token's own error, in the units of x (raw LM coordinates).
They differ in what else they keep, from the least to the most:

    epsilon_random     nothing: directions uniform on the sphere (Gurnee 2024)
    cosine_noise       the angle between error and activation
    covariance_noise   mean and covariance of the errors over the split
    shuffled_error     the errors themselves, given to other tokens

Must not: read files, or know a language model. A matched error is added to x.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Errors = Float[Tensor, "tokens d_model"]


def rescaled(directions: Errors, error: Errors) -> Errors:
    """Directions rescaled to the errors' norms: |e_t| g_t / |g_t|; a zero direction stays zero."""
    return F.normalize(directions, dim=1) * error.norm(dim=1, keepdim=True)


def isotropic_error(error: Errors, generator: torch.Generator) -> Errors:
    """`epsilon_random`: |e_t| u_t, with u_t uniform on the unit sphere.

    Source: Gurnee 2024, x + |x_hat - x| u.
    """
    return rescaled(_gaussian(error, generator), error)


def cosine_matched_error(x: Errors, error: Errors, generator: torch.Generator) -> Errors:
    """`cosine_noise`: |n_t| = |e_t| and cos(n_t, x_t) = cos(e_t, x_t), otherwise random.

    With xu = x / |x|, a = e . xu and b = e - a xu:  n = a xu + |b| w, where w is uniform on the
    unit sphere orthogonal to x. So |x + n| = |x_hat| and cos(x + n, x) = cos(x_hat, x) as well.
    """
    unit = F.normalize(x, dim=1)
    along = (error * unit).sum(1, keepdim=True) * unit
    free = _gaussian(error, generator)
    free = free - (free * unit).sum(1, keepdim=True) * unit
    return along + rescaled(free, error - along)


class ErrorMoments(NamedTuple):
    """Mean and covariance of a split's errors, in float64."""

    mean: Float[Tensor, " d_model"]
    root: Float[Tensor, "d_model d_model"]
    """Symmetric root R of the covariance: R R = cov."""


def error_moments(errors: Errors) -> ErrorMoments:
    """Mean of the rows and the root of cov = sum (e - mean)(e - mean)^T / n."""
    rows = errors.double()
    mean = rows.mean(0)
    centred = rows - mean
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(rows))
    return ErrorMoments(mean, (vectors * values.clamp(min=0).sqrt()) @ vectors.T)


def gaussian_directions(
    n_tokens: int, moments: ErrorMoments, generator: torch.Generator
) -> Float[Tensor, "n_tokens d_model"]:
    """Rows of N(mean, cov): mean + R g, g standard normal, in float64."""
    shape = (n_tokens, len(moments.mean))
    normal = torch.randn(shape, generator=generator, dtype=torch.float64)
    return moments.mean + normal.to(moments.root) @ moments.root


def covariance_matched_error(
    error: Errors, moments: ErrorMoments, generator: torch.Generator
) -> Errors:
    """`covariance_noise`: |e_t| g_t / |g_t|, with g_t ~ N(mean(e), cov(e)).

    The moments are those of the split's errors under the same condition; only the direction of g_t is
    used, so the covariance of the result is the errors' own up to the spread of their norms.
    """
    return rescaled(gaussian_directions(len(error), moments, generator).to(error.dtype), error)


def shuffled_error(error: Errors, others: Errors) -> Errors:
    """`shuffled_error`: |e_t| e_s / |e_s|, where s = pi(t) is another token of the split.

    `others` holds e_pi(t). pi is a permutation of the split, so every direction occurs once.
    """
    return rescaled(others, error)


def _gaussian(like: Errors, generator: torch.Generator) -> Errors:
    return torch.randn(like.shape, generator=generator, dtype=like.dtype).to(like)
