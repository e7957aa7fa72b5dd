"""History of each latent during a training: firings, norm, and distance from the initial weights.

`geometry history` uses it to ask whether latents of low norm are still being learned. Must not: write
files, or affect the gradient.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fispace.devices import in_any_order


class Snapshot(NamedTuple):
    """State of every latent at one step; the fields are columns of the table that a training writes."""

    step: Int[Tensor, " n_latents"]
    """Steps taken, the same for all latents."""
    n_tokens: Int[Tensor, " n_latents"]
    """Tokens seen so far, the same for all latents."""
    latent: Int[Tensor, " n_latents"]
    firings: Int[Tensor, " n_latents"]
    """Number of tokens so far on which the latent was active."""
    tokens_since_last_firing: Int[Tensor, " n_latents"]
    """Tokens seen since the last batch in which it was active; all tokens if it never was."""
    squared_norm_initial: Float[Tensor, " n_latents"]
    """|w_i|^2 of the decoder row before the first step."""
    squared_norm: Float[Tensor, " n_latents"]
    distance_from_initial: Float[Tensor, " n_latents"]
    """|w_i - w_i at initialisation|."""


class LatentHistory:
    """Counts the firings of each latent while the model trains.

    The cost is one scatter of the batch's codes per step; norms are computed only for a snapshot.
    """

    def __init__(self, decoder: Float[Tensor, "n_latents d_model"]) -> None:
        """Start before the first step, with the decoder as initialised (copied)."""
        self.initial = decoder.detach().clone()
        self.n_steps = self.n_tokens = 0
        self.firings = torch.zeros(len(decoder), dtype=torch.int64, device=decoder.device)
        self.last_fired = torch.zeros_like(self.firings)
        self.snapshots: list[Snapshot] = []

    @torch.no_grad()
    def add(self, values: Float[Tensor, "tokens k"], indices: Int[Tensor, "tokens k"]) -> None:
        """Count the codes of one training step; a latent fires where its value is positive."""
        self.n_steps += 1
        self.n_tokens += len(values)
        fired = (values > 0).reshape(-1).long()
        # nothing is copied from the device, so a step does not wait for it
        with in_any_order():
            counts = torch.zeros_like(self.firings).index_add_(0, indices.reshape(-1), fired)
        self.firings += counts
        self.last_fired.masked_fill_(counts > 0, self.n_tokens)

    @property
    def tokens_since_last_firing(self) -> Int[Tensor, " n_latents"]:
        """Tokens seen since the last batch in which each latent was active."""
        return self.n_tokens - self.last_fired

    def dead(self, dead_tokens: int) -> Int[Tensor, " dead"]:
        """Latents that were not active in the last `dead_tokens` tokens, ascending."""
        return (self.tokens_since_last_firing >= dead_tokens).nonzero()[:, 0]

    @torch.no_grad()
    def snapshot(self, decoder: Float[Tensor, "n_latents d_model"]) -> Snapshot:
        """State of all latents at this step, given the current decoder; on the CPU."""
        now, whole = decoder.detach(), torch.ones_like(self.firings)
        rows = Snapshot(
            step=self.n_steps * whole,
            n_tokens=self.n_tokens * whole,
            latent=torch.arange(len(whole), device=whole.device),
            firings=self.firings.clone(),
            tokens_since_last_firing=self.tokens_since_last_firing,
            squared_norm_initial=self.initial.square().sum(1),
            squared_norm=now.square().sum(1),
            distance_from_initial=(now - self.initial).square().sum(1).sqrt(),
        )
        return Snapshot(*(column.cpu() for column in rows))

    def record(self, decoder: Float[Tensor, "n_latents d_model"]) -> None:
        """Take a snapshot and keep it."""
        self.snapshots.append(self.snapshot(decoder))

    def tensors(self) -> dict[str, Tensor]:
        """Counts and snapshots by name; the initial decoder is left out, since a restart computes it again."""
        counts = torch.tensor([self.n_steps, self.n_tokens])
        found = {"counts": counts, "firings": self.firings, "last_fired": self.last_fired}
        columns = zip(Snapshot._fields, zip(*self.snapshots, strict=True), strict=False)
        return found | {f"snapshots.{name}": torch.stack(column) for name, column in columns}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy counts and snapshots from a history that started from the same decoder."""
        self.n_steps, self.n_tokens = tensors["counts"].tolist()
        self.firings.copy_(tensors["firings"])
        self.last_fired.copy_(tensors["last_fired"])
        columns = [tensors.get(f"snapshots.{name}", ()) for name in Snapshot._fields]
        self.snapshots = [Snapshot(*rows) for rows in zip(*columns, strict=True)]
