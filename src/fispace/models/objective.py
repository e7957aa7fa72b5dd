"""What a training minimises: the squared error of a reconstruction, and AuxK for dead latents.

Must not: step, or know where batches come from.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from fispace.models.integrated import IntegratedModel
from fispace.models.latent_history import LatentHistory
from fispace.models.sae import TopKSae
from fispace.models.sparse import Codes, sparse_sum
from fispace.models.topk import encode_top_k
from fispace.study.config.train import AuxKConfig


class BatchLosses(NamedTuple):
    """Losses of one batch: the reported error, and the total that is minimised."""

    error: Float[Tensor, ""]
    """Mean over tokens and dimensions of (z_hat - z)^2."""
    total: Float[Tensor, ""]


Objective = Callable[[Tensor], BatchLosses]


def squared_error_objective(reconstruct: Callable[[Tensor], Tensor]) -> Objective:
    """Objective that is the mean squared error of the reconstruction alone."""

    def losses(z: Tensor) -> BatchLosses:
        error = F.mse_loss(reconstruct(z), z)
        return BatchLosses(error, error)

    return losses


class FixedCodes:
    """Objective for training on fixed codes: the true codes, or the codes of a frozen SAE.

    It is the mean squared error of the reconstruction by all of the model's parts. Batches must come from
    `batches`, because the objective decodes the codes of the latest batch.
    """

    def __init__(
        self, model: IntegratedModel, codes: Codes, z: Float[Tensor, "tokens d_model"]
    ) -> None:
        """Codes of all tokens, and the activations to reconstruct from them."""
        self._model, self._codes, self._z = model, codes, z
        self._current = codes[:0]

    def batches(self, order: Iterable[Int[Tensor, " _"]]) -> Iterator[Float[Tensor, "_ d_model"]]:
        """The activations of the given rows, batch by batch."""
        for rows in order:
            self._current = self._codes[rows]
            yield self._z[rows]

    def __call__(self, z: Float[Tensor, "batch d_model"]) -> BatchLosses:
        """Losses of the latest batch from `batches`."""
        error = F.mse_loss(self._model.reconstruct(self._current, self._model.parts), z)
        return BatchLosses(error, error)


class ArmObjective:
    """Mean squared error of an arm's full reconstruction, plus AuxK if it is configured.

    The `history` counts the codes of every batch; if there is a second SAE, its codes.
    """

    def __init__(self, model: IntegratedModel, is_frozen: bool, aux_k: AuxKConfig | None) -> None:
        """A frozen SAE is encoded without gradients, and AuxK is not applied to it."""
        self._model = model
        self._is_frozen = is_frozen
        has_own_sae = not is_frozen or model.newest_sae is not model.sae
        self._aux_k = aux_k if has_own_sae else None
        self.history = LatentHistory(model.newest_sae.W_dec)

    def __call__(self, z: Float[Tensor, "_ d_model"]) -> BatchLosses:
        """Losses of a batch of standardised activations."""
        with torch.set_grad_enabled(not self._is_frozen):
            codes = self._model.sae.encode(self._model.encoded(z))
        residual_codes = self._model.residual_codes(z, self._model.parts)
        z_hat = self._model.reconstruct(codes, self._model.parts, residual_codes)
        error = F.mse_loss(z_hat, z)
        newest = codes if residual_codes is None else residual_codes
        self.history.add(newest.values.detach(), newest.indices)
        if self._aux_k is None:
            return BatchLosses(error, error)
        residual = (z - z_hat).detach()
        dead = self.history.dead(self._aux_k.dead_tokens)
        read = self._model.encoded(z) if residual_codes is None else z
        revival = aux_k_loss(self._model.newest_sae, read, residual, dead, self._aux_k.k)
        return BatchLosses(error, error + self._aux_k.coefficient * revival)


def aux_k_loss(
    sae: TopKSae,
    z: Float[Tensor, "tokens d_model"],
    residual: Float[Tensor, "tokens d_model"],
    dead: Int[Tensor, " dead"],
    k: int,
) -> Float[Tensor, ""]:
    """Mean squared error of the residual's reconstruction from the k largest dead latents of a token.

    AuxK of Gao et al. 2024, appendix A.2: e_hat = TopK_k(ReLU(W_enc z + b_enc)) W_dec over dead latents only,
    and the loss is mean((e_hat - e)^2) with e held constant. It is zero if no latent is dead. If fewer than k
    are dead, all of them are used.
    """
    if not len(dead):
        return z.new_zeros(())
    is_sparse = sae.has_sparse_gradients
    W_enc, W_dec = (F.embedding(dead, rows, sparse=is_sparse) for rows in (sae.W_enc, sae.W_dec))
    scale = sae.scale
    codes = encode_top_k(
        z, W_enc, sae.b_enc[dead], min(k, len(dead)),
        scale=None if scale is None else scale[dead], product_dtype=sae.product_dtype,
    )  # fmt: skip
    return F.mse_loss(sparse_sum(codes, W_dec), residual)
