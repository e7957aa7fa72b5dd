"""The secondary SAE on the interaction part's first MLP layer, and the vectors on which it is trained.

Must not: read files, or train itself.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fispace.errors import ArtifactMismatchError
from fispace.models.integrated import IntegratedModel
from fispace.models.sae import TopKSae
from fispace.models.sparse import Codes
from fispace.study.config.parts import Part


class SecondarySae(nn.Module):
    """A TopK SAE on vectors of width d_embed, with the standardiser of its input (paper, Stage 3)."""

    mean: Tensor
    std: Tensor

    def __init__(
        self, sae: TopKSae, mean: Float[Tensor, " d_embed"], std: Float[Tensor, " d_embed"]
    ) -> None:
        """An SAE, with mean and standard deviation of the hidden vectors on which it is trained."""
        super().__init__()
        self.sae = sae
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def encode(self, hidden: Float[Tensor, "tokens d_embed"]) -> Codes:
        """Sparse codes of hidden vectors in their own units."""
        return self.sae.encode((hidden - self.mean) / self.std)

    def decode(self, codes: Codes) -> Float[Tensor, "tokens d_embed"]:
        """Reconstructed hidden vectors, in their own units."""
        return self.sae.decode(codes) * self.std + self.mean


def require_interaction(model: IntegratedModel) -> None:
    """Check that the model has an interaction.

    Raises:
        ArtifactMismatchError: if the model was trained without the part `interaction`.
    """
    if "interaction" not in model.parts:
        raise ArtifactMismatchError(
            f"The factorial chapter reads the interaction part, but this model has only the parts "
            f"{', '.join(model.parts)}. Set factorial.arm to an arm that trains an interaction."
        )


@torch.no_grad()
def hidden_vectors(
    model: IntegratedModel, z: Float[Tensor, "tokens d_model"]
) -> Float[Tensor, "tokens d_embed"]:
    """First MLP layer before its ReLU, computed with TopK and the true factor pooling, without dropout.

    Training, discovery and clamping all use this forward pass.
    """
    # DEVIATION(true-pooling): the author's analyses pool linearly, `x @ V`, and skip the TopK.
    return model.interaction.hidden(model.sae.encode(z))


@torch.no_grad()
def residual_vectors(
    model: IntegratedModel, z: Float[Tensor, "tokens d_model"]
) -> Float[Tensor, "tokens d_model"]:
    """Error of the reconstruction without the interaction: the training vectors of the control SAE.

    The interaction is trained to explain this error. A sparse code of the error itself contains no pairs,
    so whatever it shows as well is not a property of the interaction.
    """
    linear: list[Part] = [part for part in model.parts if part != "interaction"]
    return z - model.reconstruct(model.sae.encode(z), linear)
