"""This package's arms, driven through its public pieces: model, optimiser, and the loss of `fit`."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from benchmarks.job import Job
from fispace.config.train import InitConfig, Part
from fispace.models.integrated import IntegratedModel, ModelShape

DROPOUT = 0.15
GRAD_CLIP = 1.0
INIT = InitConfig(factors=0.05, linear=0.01, mlp=0.01)


def model_of(job: Job, parts: Sequence[Part]) -> IntegratedModel:
    """An integrated model of the job's size and seed, on its device."""
    size = job.size
    shape = ModelShape(size.d_model, size.n_latents, size.k, size.d_embed, DROPOUT)
    return IntegratedModel(shape, parts, INIT, root_seed=0, seed=job.seed).to(job.device)


def optimiser_of(model: nn.Module, kind: str, lr: float) -> torch.optim.Optimizer:
    """The package's optimiser of a kind."""
    if kind != "adam":
        raise ValueError(f"optimiser {kind!r} is not one of: adam")
    return torch.optim.Adam(model.parameters(), lr=lr, betas=(0.9, 0.999), eps=1e-8, fused=True)


class Arm:
    """One arm of the study and its training step, as in the train chapter."""

    def __init__(self, job: Job, parts: Sequence[Part]) -> None:
        """Initial weights of the job's seed."""
        self.job, self.parts = job, parts
        self.model = model_of(job, parts)
        self.optimiser = optimiser_of(self.model, "adam", job.lr)

    def train(self, batches: Iterator[Tensor]) -> None:
        """One step for each batch; the learning rate decays linearly to zero."""
        self.model.train()
        for step, z in enumerate(batches):
            for group in self.optimiser.param_groups:
                group["lr"] = self.job.lr * (1 - step / self.job.n_steps)
            with torch.autocast(self.job.device, torch.bfloat16, enabled=self.job.is_bf16):
                loss = (self.model(z, self.parts) - z).square().mean()
            self.optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), GRAD_CLIP)
            self.optimiser.step()
            loss.item()  # as `fit` does, to stop at the first loss that is not finite

    @torch.no_grad()
    def reconstruct(self, z: Tensor) -> Tensor:
        """Reconstruction by all of the arm's parts."""
        return self.model.eval()(z, self.parts)
