"""The TopK sparse autoencoder: the only SAE class of the package.

Must not: standardise its input, hold a decoder bias (that is the part `bias`), or train itself.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fispace.models.sparse import Codes, sparse_sum
from fispace.models.topk import encode_top_k, largest_codes
from fispace.study.config.train import SelectBy, SelectionDtype


class TopKSae(nn.Module):
    """TopK SAE: f = TopK_k(ReLU(W_enc z + b_enc)), x_sae = f W_dec (paper, Stage 1; no decoder bias)."""

    def __init__(
        self, d_model: int, n_latents: int, k: int, generator: torch.Generator,
        topk_dtype: SelectionDtype = "float32", select_by: SelectBy = "pre_activation",
    ) -> None:  # fmt: skip
        """Decoder entries uniform in +-1/sqrt(n_latents); the encoder starts as a copy of the decoder.

        Source: author's code. There, encoder and decoder are tied by accident until a dtype cast unties
        them (W20); here they are separate from the start.
        """
        super().__init__()
        self.k = k
        self.topk_dtype: SelectionDtype = topk_dtype
        self.select_by: SelectBy = select_by
        self.has_sparse_gradients = False
        self.product_dtype = torch.float32
        bound = n_latents**-0.5
        W_dec = torch.empty(n_latents, d_model).uniform_(-bound, bound, generator=generator)
        self.W_dec = nn.Parameter(W_dec)
        self.W_enc = nn.Parameter(W_dec.clone())
        self.b_enc = nn.Parameter(torch.zeros(n_latents))

    @property
    def scale(self) -> Float[Tensor, " n_latents"] | None:
        """Factor on each latent's pre-activation when the k largest are chosen; None means 1.

        With `select_by` contribution it is the norm of the latent's decoder row. The choice then does not
        depend on how a latent's scale is divided between encoder and decoder. Source: SAELens's TopK SAE.
        """
        return self.W_dec.detach().norm(dim=1) if self.select_by == "contribution" else None

    def encode(self, z: Float[Tensor, "tokens d_model"]) -> Codes:
        """Sparse codes of standardised activations."""
        return encode_top_k(
            z,
            self.W_enc,
            self.b_enc,
            self.k,
            self.topk_dtype,
            self.has_sparse_gradients,
            self.scale,
            self.product_dtype,
        )

    def cut(self, codes: Codes, k: int) -> Codes:
        """The codes reduced to the k largest latents of each token."""
        return largest_codes(codes, k, self.scale)

    def decode(self, codes: Codes) -> Float[Tensor, "tokens d_model"]:
        """Reconstruction f W_dec, in standardised units."""
        return sparse_sum(codes, self.W_dec)


def set_product_dtype(model: nn.Module, dtype: torch.dtype) -> None:
    """Let the SAEs in the model multiply in this precision where sums are dense products, on a GPU."""
    for module in model.modules():
        if isinstance(module, TopKSae):
            module.product_dtype = dtype
