"""This package's arms, under the training loop of the train chapter."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from benchmarks.job import Job
from fispace.devices import prepare
from fispace.models.fit import Schedule, fit
from fispace.models.integrated import IntegratedModel
from fispace.models.objective import ArmObjective
from fispace.models.sae import set_product_dtype
from fispace.models.topk import selection_dtype
from fispace.study.config.parts import Part
from fispace.study.config.train import (
    InitConfig,
    ModelConfig,
    OptimiserConfig,
    OptimiserKind,
    SelectBy,
    TopkDtype,
)

DROPOUT = 0.15
BETAS, EPS = (0.9, 0.999), 1e-8
INIT = InitConfig(factors=0.05, linear=0.01, mlp=0.01)


def model_of(
    job: Job,
    parts: Sequence[Part],
    topk_dtype: TopkDtype,
    select_by: SelectBy,
    in_float32: bool = False,
) -> IntegratedModel:
    """An integrated model of the job's size and seed, on its device."""
    size = job.size
    decided = selection_dtype(topk_dtype, size.d_model, size.n_latents, size.k)
    config = ModelConfig(
        n_latents=size.n_latents, k=size.k, d_embed=size.d_embed, dropout=DROPOUT, init=INIT,
        topk_dtype=decided, select_by=select_by,
    )  # fmt: skip
    model = IntegratedModel(size.d_model, config, parts, "pairs", root_seed=0, seed=job.seed)
    is_bf16 = job.is_bf16 and not in_float32
    set_product_dtype(model, torch.bfloat16 if is_bf16 else torch.float32)
    return model.to(job.device)


class Arm:
    """One arm of the study."""

    def __init__(
        self, job: Job, parts: Sequence[Part], optimiser: OptimiserKind = "adam",
        topk_dtype: TopkDtype = "auto", select_by: SelectBy = "pre_activation",
        subtract_bias: bool = False, in_float32: bool = False,
    ) -> None:  # fmt: skip
        """Initial weights of the job's seed; the same deterministic kernels as in the study."""
        prepare(torch.get_num_threads(), job.device)
        self.model = model_of(job, parts, topk_dtype, select_by, in_float32)
        self.model.subtracts_bias = subtract_bias
        config = OptimiserConfig(
            lr_end_fraction=0.0, lr_decay_fraction=1.0,
            optimiser=optimiser, adam_betas=BETAS, adam_eps=EPS,
            grad_clip=1.0,  # of the error summed over dimensions, as others clip it
        )  # fmt: skip
        at_end = job.n_steps
        self.schedule = Schedule(config, job.lr, job.n_steps, log_every=at_end, val_every=at_end)

    def train(self, batches: Iterator[Tensor]) -> None:
        """The package's own loop, without AuxK; nothing is validated on the way."""
        objective = ArmObjective(self.model, is_frozen=False, aux_k=None)
        fit(self.model, objective, batches, self.schedule, validate=lambda: 0.0)

    @torch.no_grad()
    def reconstruct(self, z: Tensor) -> Tensor:
        """Reconstruction by all of the arm's parts."""
        return self.model.eval()(z, self.model.parts)
