"""Fidelity of a reconstruction: FVU, MSE, L0, and KL and CE of a spliced language model.

Every metric is a ratio of sums over the split. Must not: read files, or average per-batch ratios.
"""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fispace.devices import CPU


def squared_error(
    x: Float[Tensor, "tokens d_model"], x_hat: Float[Tensor, "tokens d_model"]
) -> Float[Tensor, " tokens"]:
    """Squared Euclidean distance of each reconstruction, |x - x_hat|^2, in float64."""
    return (x.double() - x_hat.double()).square().sum(1)


class FvuSums:
    """Fraction of variance unexplained, >= 0: sum |x - x_hat|^2 / sum |x - mean(x)|^2.

    Both sums, and the mean, are over all tokens added; 1 is the error of that mean. The tokens may come in
    batches: the sums are exact, and the ratio is taken once.
    """

    def __init__(self, d_model: int, device: torch.device = CPU) -> None:
        """Start with no tokens; those that are added are on the device."""
        self.n_tokens = 0
        self.mean = torch.zeros(d_model, dtype=torch.float64, device=device)
        self.error = self.mean.new_zeros(())
        self.squares = self.mean.new_zeros(())

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
        """The ratio over all tokens added so far."""
        return float(self.error / self.squares)


def l0(values: Float[Tensor, "tokens k"]) -> Float[Tensor, " tokens"]:
    """Number of active latents (values above zero) of each token, in [0, k]."""
    return (values > 0).sum(1).double()


def log_probabilities(
    logits: Float[Tensor, "*tokens vocabulary"],
) -> Float[Tensor, "*tokens vocabulary"]:
    """Log-softmax in float64, in nats. KL and CE are computed from it."""
    return F.log_softmax(logits.double(), dim=-1)


def next_token_ce(
    log_p: Float[Tensor, "batch pos vocabulary"], token_ids: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch pos"]:
    """Cross-entropy of the next token in nats at every position; zero at the last position."""
    ce = -log_p[:, :-1].gather(2, token_ids[:, 1:, None])[..., 0]
    return F.pad(ce, (0, 1))


def kl_per_token(
    log_p: Float[Tensor, "*tokens vocabulary"], log_q: Float[Tensor, "*tokens vocabulary"]
) -> Float[Tensor, "*tokens"]:
    """KL(p || q) = sum p (log p - log q) in nats, >= 0; p original, q spliced; no epsilon is added.

    The author's code adds 1e-8 inside the logarithm (p18c), which bounds the KL.
    """
    return (log_p.exp() * (log_p - log_q)).sum(-1)


class Prediction(NamedTuple):
    """The undisturbed LM's next-token distribution, computed once and reused for every reconstruction."""

    p: Float[Tensor, "batch pos vocabulary"]
    negative_entropy: Float[Tensor, "batch pos"]
    """sum p log p, nats."""


def prediction_of(log_p: Float[Tensor, "batch pos vocabulary"]) -> Prediction:
    """The prediction with the given log-probabilities."""
    p = log_p.exp()
    return Prediction(p, torch.linalg.vecdot(p, log_p))


def kl_and_ce(
    original: Prediction,
    logits: Float[Tensor, "batch pos vocabulary"],
    token_ids: Int[Tensor, "batch pos"],
) -> tuple[Float[Tensor, "batch pos"], Float[Tensor, "batch pos"]]:
    """`kl_per_token` and `next_token_ce` of a spliced model, in float64.

    KL = sum p log p - sum p log q, where the first sum comes from `original`. The windows are processed
    one by one because one window's distributions fit the processor's cache; this takes a sixth of the
    time that the two functions need for the whole batch.
    """
    kl = torch.empty_like(token_ids, dtype=torch.float64)
    ce = torch.zeros_like(kl)
    for window, z in enumerate(logits):
        log_q = log_probabilities(z)
        cross = torch.linalg.vecdot(original.p[window], log_q)
        kl[window] = original.negative_entropy[window] - cross
        ce[window, :-1] = -log_q[:-1].gather(1, token_ids[window, 1:, None])[:, 0]
    return kl, ce


def dead_fraction(fired: Bool[Tensor, " n_latents"]) -> float:
    """Share of latents that fire on no token of the evaluated split, in [0, 1]."""
    return float((~fired).double().mean())


class FiringCounts:
    """On how many tokens, and in how many windows of tokens, each latent fires.

    A window is a run of `window_tokens` tokens in stored order; an incomplete last window does not count.
    Whether a latent is dead in a window depends on the window's length only, not on the split's (Gao et
    al. 2024 count the tokens since a latent last fired; the author counts the whole run, p1c:366).
    """

    def __init__(self, n_latents: int, n_tokens: int, window_tokens: int) -> None:
        """Start before the first of the split's `n_tokens` tokens."""
        self.n_fired = np.zeros(n_latents, dtype=np.int64)
        self.window_tokens, self.n_seen = window_tokens, 0
        self._fired = np.zeros((n_tokens // window_tokens, n_latents), dtype=np.bool_)

    def add(self, values: Float[Tensor, "tokens k"], indices: Int[Tensor, "tokens k"]) -> None:
        """Count the active latents (values above zero) of the next tokens."""
        token, place = torch.nonzero(values > 0, as_tuple=True)
        latents = indices[token, place].cpu().numpy()
        np.add.at(self.n_fired, latents, 1)
        window = (self.n_seen + token.cpu().numpy()) // self.window_tokens
        whole = window < len(self._fired)
        self._fired[window[whole], latents[whole]] = True
        self.n_seen += len(values)

    @property
    def n_windows(self) -> int:
        """Number of complete windows."""
        return len(self._fired)

    @property
    def n_windows_fired(self) -> Int[np.ndarray, " n_latents"]:
        """Number of windows in which each latent fires."""
        return self._fired.sum(0)
