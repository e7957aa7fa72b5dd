"""The NFM parts of the package alone: forward, backward and optimiser on codes drawn in advance.

With the codes given, nothing is left that must grow with n_latents: what a step costs here is what
the linear and the interaction part add to an SAE.
"""

from collections.abc import Iterator
from itertools import cycle

import torch
from torch import Tensor

from benchmarks.contestants.fispace_arms import model_of, optimiser_of
from benchmarks.job import Job, Size
from fispace.config.train import Part
from fispace.models.topk import Codes

PARTS: tuple[Part, ...] = ("linear", "bias", "interaction")
N_DRAWS = 2
CHUNK_TOKENS = 128  # bounds the tokens x n_latents matrix of a draw


class NfmParts:
    """Linear part, bias and interaction, trained towards the batch from random codes."""

    def __init__(self, job: Job, optimiser: str, is_skewed: bool) -> None:
        """Codes of a few batches are drawn here, outside what is timed."""
        self.model = model_of(job, ("sae", *PARTS))
        self.optimiser = optimiser_of(self.model, optimiser, job.lr)
        generator = torch.Generator().manual_seed(job.seed)
        frequencies = latent_frequencies(job.size.n_latents, is_skewed)
        self.draws = [draw_codes(job.size, frequencies, generator) for _ in range(N_DRAWS)]

    def train(self, batches: Iterator[Tensor]) -> None:
        """One step for each batch; the codes get a gradient as they do in joint training."""
        for codes, z in zip(cycle(self.draws), batches, strict=False):
            values = codes.values.clone().requires_grad_()
            loss = (self.model.reconstruct(Codes(values, codes.indices), PARTS) - z).square().mean()
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()

    def reconstruct(self, z: Tensor) -> Tensor:
        """The codes do not come from activations."""
        raise NotImplementedError("the NFM parts alone reconstruct nothing")


def latent_frequencies(n_latents: int, is_skewed: bool) -> Tensor:
    """Relative firing frequencies: equal, or falling as 1 / rank."""
    if is_skewed:
        return 1 / torch.arange(1, n_latents + 1)
    return torch.ones(n_latents)


def draw_codes(size: Size, frequencies: Tensor, generator: torch.Generator) -> Codes:
    """Latents of each token, k of them by frequency, none twice; values uniform in [0, 1)."""
    chunks = [CHUNK_TOKENS] * (size.batch_tokens // CHUNK_TOKENS)
    rows = [
        torch.multinomial(frequencies.expand(n, -1), size.k, generator=generator) for n in chunks
    ]
    values = torch.rand(size.batch_tokens, size.k, generator=generator)
    return Codes(values, torch.cat(rows))
