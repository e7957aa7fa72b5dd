"""The TopK sparse autoencoder: the only SAE class of the house.

Must not: standardise its input, hold a decoder bias (that is the part `bias`), or train itself.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fispace.config.train import SelectionDtype
from fispace.models.sparse import Codes, sparse_sum
from fispace.models.topk import encode_top_k


class TopKSae(nn.Module):
    """TopK SAE: f = TopK_k(ReLU(W_enc z + b_enc)), x_sae = f W_dec (paper, Stage 1; no decoder bias)."""

    def __init__(
        self, d_model: int, n_latents: int, k: int, generator: torch.Generator,
        select_in: SelectionDtype = "float32",
    ) -> None:  # fmt: skip
        """Decoder entries uniform in +-1/sqrt(n_latents); the encoder starts as a copy of it.

        Source: author's code, which ties the two by accident until a dtype cast unties them (W20);
        here the copy is a copy.
        """
        super().__init__()
        self.k = k
        self.select_in: SelectionDtype = select_in
        self.has_sparse_gradients = False
        bound = n_latents**-0.5
        W_dec = torch.empty(n_latents, d_model).uniform_(-bound, bound, generator=generator)
        self.W_dec = nn.Parameter(W_dec)
        self.W_enc = nn.Parameter(W_dec.clone())
        self.b_enc = nn.Parameter(torch.zeros(n_latents))

    def encode(self, z: Float[Tensor, "tokens d_model"]) -> Codes:
        """Sparse codes of standardised activations."""
        return encode_top_k(
            z, self.W_enc, self.b_enc, self.k, self.select_in, self.has_sparse_gradients
        )

    def decode(self, codes: Codes) -> Float[Tensor, "tokens d_model"]:
        """Reconstruction f W_dec, in standardised units."""
        return sparse_sum(codes, self.W_dec)
