"""The paper's formulas in plain PyTorch: every sum over latents is a dense product with f.

This is what the formulas look like to someone who writes them down, and the reference that the
sparse arms must equal. Must not: share code with the package.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.job import Job, Size

DROPOUT = 0.15
STD_FACTORS, STD_LINEAR, STD_MLP = 0.05, 0.01, 0.01


class DenseSae(nn.Module):
    """x_hat = f W_dec with f = TopK(ReLU(W_enc z + b_enc)), f as a tokens x n_latents matrix."""

    def __init__(self, size: Size) -> None:
        """Decoder uniform in +-1/sqrt(n_latents), the encoder a copy of it."""
        super().__init__()
        self.k = size.k
        bound = size.n_latents**-0.5
        self.W_dec = nn.Parameter(torch.empty(size.n_latents, size.d_model).uniform_(-bound, bound))
        self.W_enc = nn.Parameter(self.W_dec.detach().clone())
        self.b_enc = nn.Parameter(torch.zeros(size.n_latents))

    def encode(self, z: Tensor) -> Tensor:
        """Latents f, zero but for the k largest pre-activations of a token."""
        pre_acts = F.linear(z, self.W_enc, self.b_enc)
        values, indices = pre_acts.topk(self.k, dim=1)
        return torch.zeros_like(pre_acts).scatter(1, indices, values.relu())

    def forward(self, z: Tensor) -> Tensor:
        """Reconstruction of standardised activations."""
        return self.encode(z) @ self.W_dec


class DenseJoint(DenseSae):
    """x_hat = f W_dec + f W_lin + b + MLP(p), p = 1/2 [(f V)^2 - f^2 V^2], squares elementwise."""

    def __init__(self, size: Size, dropout: float = DROPOUT) -> None:
        """Weights outside the SAE are normal with the author's standard deviations, biases zero."""
        super().__init__(size)
        d_model, n_latents, d_embed = size.d_model, size.n_latents, size.d_embed
        self.dropout = nn.Dropout(dropout)
        self.W_lin = nn.Parameter(torch.randn(n_latents, d_model) * STD_LINEAR)
        self.V = nn.Parameter(torch.randn(n_latents, d_embed) * STD_FACTORS)
        self.W_hidden = nn.Parameter(torch.randn(d_embed, d_embed) * STD_MLP)
        self.W_out = nn.Parameter(torch.randn(d_model, d_embed) * STD_MLP)
        self.bias = nn.Parameter(torch.zeros(d_model))
        self.b_hidden = nn.Parameter(torch.zeros(d_embed))

    def forward(self, z: Tensor) -> Tensor:
        """Reconstruction by all parts."""
        f = self.encode(z)
        pooled = 0.5 * ((f @ self.V).square() - f.square() @ self.V.square())
        hidden = F.linear(self.dropout(pooled), self.W_hidden, self.b_hidden)
        interaction = F.linear(hidden.relu(), self.W_out)
        return f @ self.W_dec + f @ self.W_lin + self.bias + interaction


class DenseTraining:
    """A dense model under the same optimiser as the sparse arms, so only the sums differ."""

    def __init__(self, model: nn.Module, job: Job) -> None:
        """The model moves to the job's device."""
        self.model, self.job = model.to(job.device), job
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr=job.lr, fused=True)

    def train(self, batches: Iterator[Tensor]) -> None:
        """One step of Adam on the mean squared error for each batch."""
        for z in batches:
            with torch.autocast(self.job.device, torch.bfloat16, enabled=self.job.is_bf16):
                loss = (self.model(z) - z).square().mean()
            self.optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimiser.step()
            loss.item()

    @torch.no_grad()
    def reconstruct(self, z: Tensor) -> Tensor:
        """Reconstruction without dropout."""
        return self.model.eval()(z)


def sae(job: Job) -> DenseTraining:
    """The dense SAE of a job."""
    torch.manual_seed(job.seed)
    return DenseTraining(DenseSae(job.size), job)


def joint(job: Job) -> DenseTraining:
    """The dense joint model of a job."""
    torch.manual_seed(job.seed)
    return DenseTraining(DenseJoint(job.size), job)
