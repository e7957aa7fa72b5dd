"""Fidelity of a reconstruction: FVU, MSE, L0, and KL and CE of a spliced language model.

Must not: read files, or average per-batch ratios; every metric is a ratio of sums.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor


def squared_error(
    x: Float[Tensor, "tokens d_model"], x_hat: Float[Tensor, "tokens d_model"]
) -> Float[Tensor, " tokens"]:
    """Squared Euclidean distance of each reconstruction, |x - x_hat|^2, in float64."""
    return (x.double() - x_hat.double()).square().sum(1)


def fvu(
    x: Float[Tensor, "tokens d_model"], x_hat: Float[Tensor, "tokens d_model"]
) -> Float[Tensor, ""]:
    """Fraction of variance unexplained, >= 0: sum |x - x_hat|^2 / sum |x - mean(x)|^2.

    The mean is that of the given rows, so give the whole split at once or use `FvuSums`.
    """
    return squared_error(x, x_hat).sum() / squared_error(x, x.double().mean(0).expand_as(x)).sum()


class FvuSums:
    """FVU of a split that comes in batches: exact sums, one ratio at the end."""

    def __init__(self, d_model: int) -> None:
        """Start with no token."""
        self.n_tokens = 0
        self.error = torch.zeros((), dtype=torch.float64)
        self.mean = torch.zeros(d_model, dtype=torch.float64)
        self.squares = torch.zeros((), dtype=torch.float64)

    def add(
        self, x: Float[Tensor, "tokens d_model"], x_hat: Float[Tensor, "tokens d_model"]
    ) -> None:
        """Add a batch; the variance is merged by Chan, Golub & LeVeque (1979)."""
        self.error += squared_error(x, x_hat).sum()
        rows = x.double()
        total = self.n_tokens + len(rows)
        batch_mean = rows.mean(0)
        shift = batch_mean - self.mean
        between = shift.square().sum() * self.n_tokens * len(rows) / total
        self.squares += (rows - batch_mean).square().sum() + between
        self.mean += shift * len(rows) / total
        self.n_tokens = total

    @property
    def fvu(self) -> float:
        """Sum of squared errors over sum of squared deviations from the split's own mean."""
        return float(self.error / self.squares)


def l0(values: Float[Tensor, "tokens k"]) -> Float[Tensor, " tokens"]:
    """Number of active latents of each token, in [0, k]: the values above zero."""
    return (values > 0).sum(1).double()


def log_probabilities(
    logits: Float[Tensor, "*tokens vocabulary"],
) -> Float[Tensor, "*tokens vocabulary"]:
    """Log-softmax in float64, nats: what KL and CE are computed from."""
    return F.log_softmax(logits.double(), dim=-1)


def next_token_ce(
    log_p: Float[Tensor, "batch pos vocabulary"], token_ids: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch pos"]:
    """Cross-entropy of the next token in nats at every position; zero at the last, which has none."""
    ce = -log_p[:, :-1].gather(2, token_ids[:, 1:, None])[..., 0]
    return F.pad(ce, (0, 1))


def kl_per_token(
    log_p: Float[Tensor, "*tokens vocabulary"], log_q: Float[Tensor, "*tokens vocabulary"]
) -> Float[Tensor, "*tokens"]:
    """KL(p || q) = sum p (log p - log q) in nats, >= 0; p original, q spliced; no epsilon is added.

    The author's code adds 1e-8 inside the logarithm (p18c), which bounds the KL.
    """
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def epsilon_random(
    x: Float[Tensor, "*tokens d_model"],
    x_hat: Float[Tensor, "*tokens d_model"],
    generator: torch.Generator,
) -> Float[Tensor, "*tokens d_model"]:
    """Random vectors at the reconstruction's own distance: x + |x_hat - x| u, u uniform on the sphere.

    Per token, in the units of x (Gurnee 2024; here in raw LM coordinates).
    """
    direction = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    direction /= direction.norm(dim=-1, keepdim=True)
    return x + (x_hat - x).norm(dim=-1, keepdim=True) * direction


def dead_fraction(fired: Bool[Tensor, " n_latents"]) -> float:
    """Share of latents that no token of the evaluated split activates, in [0, 1]."""
    return float((~fired).double().mean())
