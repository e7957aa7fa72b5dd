"""A trained SAE without its standardiser: folding an arm into one SAE of raw activations, and back.

Our models read z = (x - mean) / std; the SAEs of other tools read x itself. Must not: know a file format.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from fispace.models.integrated import IntegratedModel
from fispace.store.standardiser import Standardiser
from fispace.study.config.parts import DECODERS, Part


class RawSae(NamedTuple):
    """A TopK SAE of activations in the LM's own units, in float64.

    f = TopK_k(ReLU(W_enc (x - b_dec) + b_enc)), x_hat = f W_dec + b_dec
    """

    W_enc: Float[Tensor, "n_latents d_model"]
    b_enc: Float[Tensor, " n_latents"]
    W_dec: Float[Tensor, "n_latents d_model"]
    b_dec: Float[Tensor, " d_model"]
    k: int


class RawInteraction(NamedTuple):
    """What an arm's interaction adds to x_hat, from the codes f of the `RawSae`, in float64.

    W_out ReLU(W_hidden p + b_hidden) - mean_output, with p pooled from f and V
    """

    V: Float[Tensor, "n_latents d_embed"]
    W_hidden: Float[Tensor, "d_embed d_embed"]
    b_hidden: Float[Tensor, " d_embed"]
    W_out: Float[Tensor, "d_model d_embed"]
    mean_output: Float[Tensor, " d_model"]


class ZSae(NamedTuple):
    """A TopK SAE of standardised activations with a bias, in float64.

    f = TopK_k(ReLU(W_enc z + b_enc)), z_hat = f W_dec + bias
    """

    W_enc: Float[Tensor, "n_latents d_model"]
    b_enc: Float[Tensor, " n_latents"]
    W_dec: Float[Tensor, "n_latents d_model"]
    bias: Float[Tensor, " d_model"]
    k: int


def code_scale(model: IntegratedModel) -> Float[Tensor, " n_latents"]:
    """Factor by which the codes of the `RawSae` exceed the model's.

    It is 1, unless the model selects by contribution: then latents are compared after multiplication with
    the norm of their decoder row, which other tools do not do. A `RawSae` whose codes contain this norm
    selects the same latents by the codes themselves.
    """
    scale = model.sae.scale
    if scale is None:
        return torch.ones(model.config.n_latents, dtype=torch.float64)
    return scale.double()


@torch.no_grad()
def folded(model: IntegratedModel, units: Standardiser, decoders: tuple[Part, ...]) -> RawSae:
    """The arm's SAE as a function of raw activations, with the sum of the given parts as decoder.

    With z = (x - mean) / std, decoder rows w and bias b (zero without that part):

    b_dec = mean + std b       W_enc = W_enc_z / std
    W_dec = w std              b_enc = b_enc_z + W_enc_z b
    """
    sigma, scale = units.std.double(), code_scale(model)
    rows = sum((model.rows(part).double() for part in decoders), start=torch.zeros(()))
    bias = torch.zeros_like(sigma)
    if "bias" in model.parts:
        bias = model.bias.double()
        if "interaction" in model.parts:
            bias = bias + model.interaction.mean_output.double()
    W_enc, b_enc = model.sae.W_enc.double(), model.sae.b_enc.double()
    return RawSae(
        W_enc=W_enc / sigma * scale[:, None],
        b_enc=(b_enc + W_enc @ bias) * scale,
        W_dec=rows * sigma / _divisor(scale)[:, None],
        b_dec=units.mean.double() + sigma * bias,
        k=model.config.k,
    )


@torch.no_grad()
def folded_interaction(model: IntegratedModel, units: Standardiser) -> RawInteraction:
    """The arm's interaction part in raw units, as a function of the codes of `folded`."""
    part, sigma = model.interaction, units.std.double()
    return RawInteraction(
        V=part.V.double() / _divisor(code_scale(model))[:, None],
        W_hidden=part.W_hidden.double(),
        b_hidden=part.b_hidden.double(),
        W_out=part.W_out.double() * sigma[:, None],
        mean_output=part.mean_output.double() * sigma,
    )


def unfolded(raw: RawSae, units: Standardiser) -> ZSae:
    """The inverse of `folded`: the same SAE as a function of standardised activations."""
    sigma = units.std.double()
    bias = (raw.b_dec - units.mean.double()) / sigma
    W_enc = raw.W_enc * sigma
    return ZSae(W_enc, raw.b_enc - W_enc @ bias, raw.W_dec / sigma, bias, raw.k)


def decoders_of(model: IntegratedModel) -> tuple[Part, ...]:
    """The parts of the model that are linear in the codes."""
    return tuple(part for part in DECODERS if part in model.parts)


def _divisor(scale: Tensor) -> Tensor:
    """The scale, with 1 for a latent whose decoder row is zero: its code is then always zero."""
    return torch.where(scale > 0, scale, 1.0)
