"""SAELens: TopKTrainingSAE under SAETrainer.fit, fed with our batches.

Left as it comes: the decoder bias is subtracted from the encoder's input, latents are scaled by the
norm of their decoder row, gradients are clipped at norm 1. Switched off: the auxiliary loss (no
latent is ever counted as dead), logging, checkpoints.
"""

from collections.abc import Iterator

import torch
from sae_lens import SAETrainer, TopKTrainingSAE, TopKTrainingSAEConfig
from sae_lens.config import SAETrainerConfig
from torch import Tensor

from benchmarks.job import Job

NEVER = 10**9


class SaeLensTopK:
    """A TopK SAE of SAELens with its own trainer."""

    def __init__(self, job: Job, is_sparse: bool, in_float32: bool = False) -> None:
        """Initial weights by the tool's own rule; `in_float32`: without autocast, as the tool comes."""
        torch.manual_seed(job.seed)
        size = job.size
        self.sae = TopKTrainingSAE(
            TopKTrainingSAEConfig(
                d_in=size.d_model, d_sae=size.n_latents, k=size.k, device=job.device,
                use_sparse_activations=is_sparse, aux_loss_coefficient=0.0,
                rescale_acts_by_decoder_norm=not is_sparse,
            )
        )  # fmt: skip
        self.config = SAETrainerConfig(
            total_training_samples=job.n_steps * size.batch_tokens,
            train_batch_size_samples=size.batch_tokens,
            lr=job.lr, lr_end=job.lr, lr_scheduler_name="constant", lr_decay_steps=job.n_steps,
            device=job.device, autocast=job.is_bf16 and not in_float32, dead_feature_window=NEVER,
        )  # fmt: skip

    def train(self, batches: Iterator[Tensor]) -> None:
        """The tool's own loop, which takes its batches from an iterator."""
        SAETrainer(cfg=self.config, sae=self.sae, data_provider=batches).fit()

    @torch.no_grad()
    def reconstruct(self, z: Tensor) -> Tensor:
        """Decoded latents, in standardised units."""
        return self.sae.eval()(z)
