"""The NFM parts of the package alone: forward, backward and optimiser on codes drawn in advance.

With the codes given, nothing is left that must grow with n_latents: what a step costs here is what
the linear and the interaction part add to an SAE.
"""

from collections.abc import Iterator
from itertools import cycle

import torch
from torch import Tensor

from benchmarks.contestants.fispace_arms import BETAS, EPS, model_of
from benchmarks.job import Job, Size
from fispace.models.optimiser import build_optimiser
from fispace.models.sparse import Codes, Pattern, bag, bag_by_latent
from fispace.study.config.parts import Part
from fispace.study.config.train import OptimiserKind

PARTS: tuple[Part, ...] = ("linear", "bias", "interaction")
N_DRAWS = 4


class NfmParts:
    """Linear part, bias and interaction, trained towards the batch from random codes."""

    def __init__(
        self, job: Job, optimiser: OptimiserKind, is_skewed: bool, n_used: int | None = None
    ) -> None:
        """Codes of a few batches are drawn here, outside what is timed."""
        self.model = model_of(job, ("sae", *PARTS), "float32", "pre_activation")
        self.optimiser = build_optimiser(self.model, optimiser, job.lr, BETAS, EPS)
        self.is_sparse = optimiser == "row_sparse_adam"
        generator = torch.Generator().manual_seed(job.seed)
        self.draws = [draw_codes(job.size, is_skewed, generator, n_used) for _ in range(N_DRAWS)]

    def train(self, batches: Iterator[Tensor]) -> None:
        """One step for each batch; the codes get a gradient as they do in joint training."""
        for drawn, z in zip(cycle(self.draws), batches, strict=False):
            codes = Codes(
                drawn.values.clone().requires_grad_(), Pattern(drawn.indices, self.is_sparse)
            )
            loss = (self.model.reconstruct(codes, PARTS) - z).square().mean()
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()

    def reconstruct(self, z: Tensor) -> Tensor:
        """The codes do not come from activations."""
        raise NotImplementedError("the NFM parts alone reconstruct nothing")


class RowSums:
    """The floor of the above: the rows of one matrix summed by token, and the batch summed by latent.

    What one forward and one gradient of the linear part alone must read and write, whoever does it.
    """

    def __init__(self, job: Job, is_skewed: bool) -> None:
        """The same codes; the pairs are sorted by latent here, outside what is timed."""
        generator = torch.Generator().manual_seed(job.seed)
        self.draws = [draw_codes(job.size, is_skewed, generator) for _ in range(N_DRAWS)]
        self.rows = torch.randn(job.size.n_latents, job.size.d_model, generator=generator)
        self.patterns = [Pattern(drawn.indices, True) for drawn in self.draws]
        for pattern in self.patterns:
            pattern.by_latent(job.size.n_latents)

    def train(self, batches: Iterator[Tensor]) -> None:
        """Two sums for each batch."""
        for (drawn, pattern), z in zip(
            cycle(zip(self.draws, self.patterns, strict=True)), batches, strict=False
        ):
            bag(pattern, drawn.values, self.rows)
            bag_by_latent(pattern, drawn.values, z, len(self.rows))

    def reconstruct(self, z: Tensor) -> Tensor:
        """There is no model."""
        raise NotImplementedError("sums of rows reconstruct nothing")


def draw_codes(
    size: Size, is_skewed: bool, generator: torch.Generator, n_used: int | None = None
) -> Codes:
    """One latent from each of k strata of equal size, so none twice in a token; values in [0, 1).

    Within a stratum all latents are equally frequent, or fall as 1 / rank (Zipf's law). With `n_used`,
    only so many latents, evenly spread, are ever active.
    """
    n_drawn = n_used or size.n_latents
    n_ranks = n_drawn // size.k
    weights = 1 / torch.arange(1, n_ranks + 1) if is_skewed else torch.ones(n_ranks)
    shape = size.batch_tokens, size.k
    uniform = torch.rand(shape, generator=generator)
    ranks = torch.searchsorted(weights.cumsum(0) / weights.sum(), uniform).clamp_(max=n_ranks - 1)
    latents = (ranks * size.k + torch.arange(size.k)) * (size.n_latents // n_drawn)
    return Codes(torch.rand(shape, generator=generator), latents)
