"""Activations drawn on the device: sparse features with frequencies by Zipf's law, and noise.

For machines that hold no extracted activations. Must not: train.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.job import Size

ACTIVE_SHARE = 0.75
"""Mean number of active features, as a share of k."""
NOISE = 0.05
LOW, HIGH = 0.5, 1.5
HELD_OUT = 10**6
"""Number of the first batch that no contestant is trained on."""


@dataclass(frozen=True)
class World:
    """z = (a D + noise) / scale: active features a are uniform, the rows of D unit vectors."""

    directions: Tensor
    firing: Tensor
    """Probability of each feature on a token."""
    scale: float

    def batch(self, size: Size, number: int) -> Tensor:
        """The batch of a number, the same whoever asks."""
        device = self.directions.device
        generator = torch.Generator(device).manual_seed(number)
        shape = size.batch_tokens, len(self.firing)
        is_active = torch.rand(shape, generator=generator, device=device) < self.firing
        amplitude = torch.rand(shape, generator=generator, device=device) * (HIGH - LOW) + LOW
        z = (amplitude * is_active) @ self.directions
        noise = torch.randn(z.shape, generator=generator, device=device)
        return (z + NOISE * noise) / self.scale

    def batches(self, size: Size, first: int, n: int) -> Iterator[Tensor]:
        """`n` batches from the number `first` on."""
        return (self.batch(size, first + i) for i in range(n))


def world_of(size: Size, device: str) -> World:
    """A world with half as many features as the SAE has latents."""
    n_features = size.n_latents // 2
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(n_features, size.d_model, generator=generator)
    directions /= directions.norm(dim=1, keepdim=True)
    weights = 1 / torch.arange(1, n_features + 1)
    firing = (weights * ACTIVE_SHARE * size.k / weights.sum()).clamp(max=0.5)
    plain = World(directions.to(device), firing.to(device), 1.0)
    return World(plain.directions, plain.firing, float(plain.batch(size, HELD_OUT - 1).std()))
