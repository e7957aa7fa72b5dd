"""The floor: the one dense product that no TopK SAE can leave out."""

from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.job import Job


class EncoderProduct:
    """Pre-activations z W_enc^T + b_enc into memory that is already there; nothing is trained."""

    def __init__(self, job: Job) -> None:
        """Random weights of the job's size."""
        size, generator = job.size, torch.Generator().manual_seed(job.seed)
        W_enc = torch.randn(size.n_latents, size.d_model, generator=generator)
        dtype = torch.bfloat16 if job.is_bf16 else torch.float32
        self.W_enc = W_enc.to(job.device, dtype)
        self.b_enc = torch.zeros(size.n_latents, device=job.device, dtype=dtype)
        shape = size.batch_tokens, size.n_latents
        self.pre_acts = torch.empty(shape, device=job.device, dtype=dtype)

    @torch.no_grad()
    def train(self, batches: Iterator[Tensor]) -> None:
        """One product for each batch."""
        for z in batches:
            torch.addmm(self.b_enc, z.to(self.W_enc.dtype), self.W_enc.T, out=self.pre_acts)

    def reconstruct(self, z: Tensor) -> Tensor:
        """There is nothing to decode with."""
        raise NotImplementedError("the encoder product alone reconstructs nothing")
