"""Training on fixed codes: the true ones, or those of a frozen SAE.

Must not: encode, step, or know where the codes come from.
"""

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from fispace.models.integrated import IntegratedModel
from fispace.models.objective import Losses
from fispace.models.sparse import Codes


class FixedCodes:
    """Objective of `models.fit` on fixed codes: mean squared error of the model's own parts.

    Batches must come from `batches`: the objective decodes the codes of the latest batch.
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

    def __call__(self, z: Float[Tensor, "batch d_model"]) -> Losses:
        """Losses of the latest batch from `batches`."""
        error = F.mse_loss(self._model.reconstruct(self._current, self._model.parts), z)
        return Losses(error, error)


def dense(codes: Codes, n_latents: int) -> Float[Tensor, "tokens n_latents"]:
    """The codes as a matrix with a column for each latent."""
    empty = torch.zeros(len(codes.values), n_latents, dtype=codes.values.dtype)
    return empty.scatter(1, codes.indices, codes.values)


def sparse(matrix: Float[Tensor, "tokens n_latents"], k: int) -> Codes:
    """The k largest entries of each row as codes, latents ascending; entries must not be negative."""
    indices = matrix.topk(k, dim=1).indices.sort(dim=1).values
    return Codes(matrix.gather(1, indices), indices)
