"""sparsify (on PyPI: eai-sparsify): SparseCoder under the tool's own Trainer.fit.

The Trainer takes activations from a language model it runs itself, so it is given a stand-in whose
forward pass hands over the next batch. Left as it comes: unit-norm decoder rows, decoder bias
started at the first batch's mean and subtracted from the input, no clipping. Set: Adam (the
default is signum), linear decay without warm-up. AuxK is off by default.
"""

import os
import tempfile
from collections.abc import Iterator
from itertools import repeat

import torch
from torch import Tensor, nn

from benchmarks.job import Job

if not torch.cuda.is_available():
    os.environ["SPARSIFY_DISABLE_TRITON"] = "1"  # its decoder kernel needs a GPU

from sparsify import SparseCoderConfig, TrainConfig, Trainer

HOOK_POINT = "activations"


class BatchSource(nn.Module):
    """A language model to the Trainer: one hook point, whose output is the next batch."""

    def __init__(self, job: Job) -> None:
        """Zeros until `batches` is set: the Trainer runs the model once to learn its width."""
        super().__init__()
        self.activations = nn.Identity()
        self.device = torch.device(job.device)
        self.batches: Iterator[Tensor] = repeat(torch.zeros(1, job.size.d_model))
        self.dummy_inputs = {"input_ids": torch.zeros(1, 1, dtype=torch.long)}

    @property
    def base_model(self) -> nn.Module:
        """The module that hook points are looked up in."""
        return self

    def forward(self, input_ids: Tensor) -> Tensor:  # noqa: ARG002
        """The next batch as one sequence of tokens."""
        return self.activations(next(self.batches)[None])


class PlaceholderTokens(torch.utils.data.Dataset):
    """One text of `batch_tokens` token ids for each step; only their number matters."""

    def __init__(self, job: Job) -> None:
        """Token ids are zero."""
        self.n_steps = job.n_steps
        self.text = {"input_ids": torch.zeros(job.size.batch_tokens, dtype=torch.long)}

    def __len__(self) -> int:
        """Number of texts, which is the number of steps."""
        return self.n_steps

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        if index >= self.n_steps:
            raise IndexError(index)
        return self.text


class SparsifyCoder:
    """A SparseCoder with its own trainer."""

    def __init__(self, job: Job) -> None:
        """Initial weights by the tool's own rule."""
        self.folder = tempfile.TemporaryDirectory()  # the Trainer saves its result somewhere
        self.source = BatchSource(job)
        config = TrainConfig(
            sae=SparseCoderConfig(num_latents=job.size.n_latents, k=job.size.k),
            batch_size=1, optimizer="adam", lr=job.lr, lr_warmup_steps=0,
            hookpoints=[HOOK_POINT], init_seeds=[job.seed], save_every=job.n_steps + 1,
            save_dir=self.folder.name, log_to_wandb=False,
        )  # fmt: skip
        self.trainer = Trainer(config, PlaceholderTokens(job), self.source)

    def train(self, batches: Iterator[Tensor]) -> None:
        """The tool's own loop; each forward pass of the stand-in takes one batch."""
        self.source.batches = batches
        self.trainer.fit()

    @torch.no_grad()
    def reconstruct(self, z: Tensor) -> Tensor:
        """Decoded latents, in standardised units."""
        return self.trainer.saes[HOOK_POINT](z).sae_out
