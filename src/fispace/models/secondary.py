"""The secondary SAE on the interaction part's first MLP layer, and clamping of its latents.

Must not: read files, or train itself.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fispace.config.train import Part
from fispace.errors import ArtifactMismatchError
from fispace.models.integrated import IntegratedModel
from fispace.models.sae import TopKSae
from fispace.models.sparse import Codes


@dataclass(frozen=True)
class Clamp:
    """Multiply one secondary latent's activation; `multiplier` 1 leaves it as it is."""

    latent: int
    multiplier: float


class SecondarySae(nn.Module):
    """A TopK SAE with the standardiser of its own input, d_embed wide (paper, Stage 3)."""

    mean: Tensor
    std: Tensor

    def __init__(
        self, sae: TopKSae, mean: Float[Tensor, " d_embed"], std: Float[Tensor, " d_embed"]
    ) -> None:
        """An SAE, and mean and standard deviation of the hidden vectors it is trained on."""
        super().__init__()
        self.sae = sae
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def encode(self, hidden: Float[Tensor, "tokens d_embed"]) -> Codes:
        """Sparse codes of hidden vectors in their own units."""
        return self.sae.encode((hidden - self.mean) / self.std)

    def decode(self, codes: Codes) -> Float[Tensor, "tokens d_embed"]:
        """Hidden vectors in their own units."""
        return self.sae.decode(codes) * self.std + self.mean


def require_interaction(model: IntegratedModel) -> None:
    """Check that there is an interaction to read.

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
    """First MLP layer before its ReLU, through TopK and the true factor pooling, without dropout.

    One forward pass serves training, discovery and clamping alike.
    """
    # DEVIATION(true-pooling): the author's analyses pool linearly, `x @ V`, and skip the TopK.
    return model.interaction.hidden(model.sae.encode(z))


def clamped_hidden(
    secondary: SecondarySae, hidden: Float[Tensor, "tokens d_embed"], clamp: Clamp,
    add_back_errors: bool,
) -> Float[Tensor, "tokens d_embed"]:  # fmt: skip
    """Hidden vectors with one secondary latent multiplied.

    With `add_back_errors` the secondary SAE's own error h - decode(encode(h)) is added, so that
    multiplier 1 gives h.
    """
    codes = secondary.encode(hidden)
    factor = torch.where(codes.indices == clamp.latent, clamp.multiplier, 1.0)
    clamped = secondary.decode(codes.with_values(codes.values * factor))
    return clamped + (hidden - secondary.decode(codes)) if add_back_errors else clamped


@torch.no_grad()
def clamped_reconstruction(
    model: IntegratedModel, secondary: SecondarySae, z: Float[Tensor, "tokens d_model"],
    clamp: Clamp, add_back_errors: bool,
) -> Float[Tensor, "tokens d_model"]:  # fmt: skip
    """All parts of the model, the interaction read off the clamped hidden vectors.

    With `add_back_errors` the reconstruction error z - z_hat is added as well: multiplier 1 is the
    identity, and any other moves z by W_out relu(h') - W_out relu(h) alone.
    """
    # DEVIATION(add-back-errors): the author splices the bare reconstruction, its error included in
    # every condition; `add_back_errors` false is that variant.
    codes = model.sae.encode(z)
    others: list[Part] = [part for part in model.parts if part != "interaction"]
    hidden = model.interaction.hidden(codes)
    clamped = clamped_hidden(secondary, hidden, clamp, add_back_errors)
    moved = model.interaction.output(clamped) - model.interaction.mean_output
    z_hat = model.reconstruct(codes, others) + moved
    if not add_back_errors:
        return z_hat
    return z_hat + (z - model.reconstruct(codes, model.parts))
