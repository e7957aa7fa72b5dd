"""Interventions at the hook point: one latent, direction or part is moved, everything else is kept.

Every intervention adds a movement to the same base, so all share one unmoved pipeline. Must not: read
files, run a language model, or standardise.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from fispace.models.integrated import IntegratedModel
from fispace.models.secondary import SecondarySae
from fispace.models.sparse import Codes, sparse_sum
from fispace.study.config.parts import Part

Activations = Float[Tensor, "tokens d_model"]

InterventionTarget = Literal["secondary", "primary", "linear", "direction", "primary_direction"]
Mode = Literal["multiply", "set"]


@dataclass(frozen=True)
class Intervention:
    """Multiply activations by `amount` (1 changes nothing), or set a latent to `amount` at every token."""

    target: InterventionTarget
    """`secondary`: a latent of the secondary SAE, acting through the interaction's second layer.
    `primary`: a latent of the primary SAE, acting through its decoder rows. `linear`: the whole linear
    part. `direction`, `primary_direction`: a given direction, by the length of the movement of a secondary
    or a primary latent."""
    latent: int
    """Number of the latent; for a direction, of the latent whose length is used; unused for `linear`."""
    mode: Mode
    amount: float


class Base(NamedTuple):
    """One batch before anything is moved."""

    z: Activations
    """Activations to which a movement is added, in standardised units."""
    codes: Codes
    """Of the primary SAE."""
    hidden: Float[Tensor, "tokens d_embed"]
    """First layer of the interaction to which a movement is added."""
    inner: Codes
    """Of the secondary SAE."""


@torch.no_grad()
def base_of(
    model: IntegratedModel, secondary: SecondarySae, z: Activations, add_back_errors: bool
) -> Base:
    """The unmoved batch.

    With `add_back_errors` the reconstruction errors of the pipeline and of the secondary SAE are added
    back: the base is z itself, with its true first layer. Without it, both are replaced by their
    reconstructions, as published, and effects are differences from that base.
    """
    # DEVIATION(add-back-errors): the author splices the bare reconstruction, so every condition includes
    # its error; `add_back_errors` false is that variant.
    codes = model.sae.encode(z)
    hidden = model.interaction.hidden(codes)
    inner = secondary.encode(hidden)
    if add_back_errors:
        return Base(z, codes, hidden, inner)
    decoded = secondary.decode(inner)
    others: list[Part] = [part for part in model.parts if part != "interaction"]
    constant = model.interaction.mean_output
    rebuilt = model.reconstruct(codes, others) + model.interaction.output(decoded) - constant
    return Base(rebuilt, codes, decoded, inner)


@torch.no_grad()
def movement(
    model: IntegratedModel, secondary: SecondarySae, base: Base, change: Intervention,
    direction: Float[Tensor, " d_model"] | None = None,
) -> Activations:  # fmt: skip
    """What an intervention adds to the base, in standardised units; zero for multiplier 1.

    secondary   W_out relu(h + delta d) - W_out relu(h), d the latent's decoder row in h's units
    primary     delta (W_dec + W_lin)[i]: the two are one decoder (identical gradients, W1)
    linear      (m - 1) f W_lin, or f W_dec where the arm trains no linear part
    directions  sign(m - 1) |movement of the latent| u, token by token
    """
    if change.target == "secondary":
        delta = _delta(base.inner, change)
        step = delta[:, None] * secondary.sae.W_dec[change.latent] * secondary.std
        after = model.interaction.output(base.hidden + step)
        return after - model.interaction.output(base.hidden)
    if change.target == "primary":
        return primary_movement(model, base.codes, change)
    if change.target == "linear":
        rows = model.rows("linear" if "linear" in model.parts else "sae")
        return (change.amount - 1) * sparse_sum(base.codes, rows)
    assert direction is not None
    target: InterventionTarget = "primary" if change.target == "primary_direction" else "secondary"
    like = Intervention(target, change.latent, change.mode, change.amount)
    length = movement(model, secondary, base, like).norm(dim=1, keepdim=True)
    return (1.0 if change.amount >= 1 else -1.0) * length * direction


def primary_movement(
    model: IntegratedModel, codes: Codes, change: Intervention
) -> Float[Tensor, "tokens d_model"]:
    """What moving a latent of the primary SAE adds, in standardised units: delta (W_dec + W_lin)[i]."""
    return _delta(codes, change)[:, None] * model.added_rows()[change.latent]


def activation_of(codes: Codes, latent: int) -> Float[Tensor, " tokens"]:
    """Activation of one latent at every token, zero where it is not selected."""
    return torch.where(codes.indices == latent, codes.values, 0.0).sum(1)


def _delta(codes: Codes, change: Intervention) -> Float[Tensor, " tokens"]:
    """Change of the latent's activation: (m - 1) a when multiplied, v - a when set to v."""
    active = activation_of(codes, change.latent)
    return (change.amount - 1) * active if change.mode == "multiply" else change.amount - active
