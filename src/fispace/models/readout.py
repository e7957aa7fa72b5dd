"""Least-squares linear readout of sparse codes, from sums collected batch by batch.

Must not: encode, or hold more than one n_latents x n_latents matrix.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import csr_array
from torch import Tensor

from fispace.devices import CPU
from fispace.models.sparse import Codes, sparse_sum

RELATIVE_CUT = 1e-10
"""Singular values of the Gram matrix below this share of the largest count as zero."""


class SparseReadout(NamedTuple):
    """z_hat = f W + b on sparse codes."""

    W: Float[Tensor, "n_latents d_model"]
    b: Float[Tensor, " d_model"]

    def __call__(self, codes: Codes) -> Float[Tensor, "tokens d_model"]:
        """Reconstruction, in the units of the activations it was fitted on."""
        return sparse_sum(codes, self.W) + self.b


class ReadoutSums:
    """Sums from which the best linear decoder of given codes, with a bias, is solved.

    The decoder minimises sum |z - f W - b|^2 over all added tokens. Among all minima it has the smallest
    norm, so a latent that never fires has weight zero. It is the linear ceiling for W3. The cost is k^2
    products per token.
    """

    def __init__(self, n_latents: int, d_model: int) -> None:
        """Start with no tokens; the last row and column belong to the bias."""
        self._gram = np.zeros((n_latents + 1, n_latents + 1))
        self._cross = np.zeros((n_latents + 1, d_model))

    def add(self, codes: Codes, z: Float[Tensor, "tokens d_model"]) -> None:
        """Add a batch of codes and of the activations that they should reconstruct."""
        values, indices = codes.values.double().cpu().numpy(), codes.indices.cpu().numpy()
        n_tokens, k = values.shape
        n_latents = len(self._gram) - 1
        starts = np.arange(n_tokens + 1) * (k + 1)
        columns = np.column_stack([indices, np.full(n_tokens, n_latents)]).ravel()
        entries = np.column_stack([values, np.ones(n_tokens)]).ravel()
        f = csr_array((entries, columns, starts), shape=(n_tokens, n_latents + 1))
        self._gram += (f.T @ f).toarray()
        self._cross += f.T @ z.double().cpu().numpy()

    def solve(self, device: torch.device = CPU) -> SparseReadout:
        """The readout, in float32 on the device."""
        found = np.linalg.lstsq(self._gram, self._cross, rcond=RELATIVE_CUT)[0]
        weights = torch.from_numpy(found).float().to(device)
        return SparseReadout(weights[:-1].contiguous(), weights[-1])


def fit_readout(codes: Codes, z: Float[Tensor, "tokens d_model"], n_latents: int) -> SparseReadout:
    """The readout of tokens that are all in memory."""
    sums = ReadoutSums(n_latents, z.shape[1])
    sums.add(codes, z)
    return sums.solve()
