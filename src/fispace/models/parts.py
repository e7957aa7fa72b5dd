"""The parts of an integrated model: the weights of each, their initial values, and what each adds.

A new part needs a class here, a name in `fispace.study.config.parts`, and a look in
`fispace.plotting.style`. Matching by size, ablations and tables need no change. The interaction's poolings are
classes in `fispace.models.interaction`. Must not: know which parts an arm has, or train.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fispace.models.interaction import POOLINGS, Stream
from fispace.models.sae import TopKSae
from fispace.models.sparse import Codes, sparse_sum
from fispace.study.config.parts import Part, Pooling
from fispace.study.config.train import ModelConfig


class Widths(NamedTuple):
    """What the number of a model's weights depends on."""

    d_model: int
    n_latents: int
    d_embed: int
    pooling: Pooling = "pairs"
    """Of the interaction part, if there is one."""


RateOf = Literal["sae", "linear", "interaction"]
"""Names of the peak learning rates, as in `fispace.study.config.train.Rates`."""


class PartKind(ABC):
    """One kind of part. Its weights are attributes of the model, so that checkpoints contain them by name."""

    attribute: ClassVar[str]
    """The attribute of the model that holds its weights."""
    rate: ClassVar[RateOf] = "sae"
    """The peak learning rate of its weights."""

    @abstractmethod
    def n_parameters(self, widths: Widths) -> int:
        """Number of trained weights."""

    @abstractmethod
    def attach(self, model: Any, stream: Stream) -> None:
        """Give the model the part's initial weights, of the sizes and deviations in `model.config`."""

    @abstractmethod
    def contribution(
        self, model: Any, codes: Codes, residual_codes: Codes | None
    ) -> Float[Tensor, "tokens d_model"]:
        """Contribution of the part to the reconstruction, in standardised units."""

    def rows(self, model: Any) -> Float[Tensor, "n_latents d_model"] | None:
        """W of a part f W that is linear in the codes of the SAE; None for other parts.

        Linear parts are summed in one product and have a closed form for removing a latent.
        """
        return None


class Decoder(PartKind):
    """A part f W."""

    @abstractmethod
    def rows(self, model: Any) -> Float[Tensor, "n_latents d_model"]:
        """W."""

    def contribution(
        self, model: Any, codes: Codes, residual_codes: Codes | None
    ) -> Float[Tensor, "tokens d_model"]:
        """Codes times rows: f W."""
        return sparse_sum(codes, self.rows(model))


class SaePart(Decoder):
    """The reconstruction by the SAE's decoder, f W_dec (paper, Stage 1)."""

    attribute = "sae"

    def n_parameters(self, widths: Widths) -> int:
        """Encoder and decoder, and the encoder's bias."""
        return 2 * widths.n_latents * widths.d_model + widths.n_latents

    def attach(self, model: Any, stream: Stream) -> None:
        """An SAE with its own initialisation."""
        model.sae = new_sae(model, stream("init", "sae"))

    def rows(self, model: Any) -> Float[Tensor, "n_latents d_model"]:
        """W_dec."""
        return model.sae.W_dec


class LinearPart(Decoder):
    """The linear part of the NFM, f W_lin (paper, Stage 2)."""

    attribute, rate = "W_lin", "linear"

    def n_parameters(self, widths: Widths) -> int:
        """A row for each latent."""
        return widths.n_latents * widths.d_model

    def attach(self, model: Any, stream: Stream) -> None:
        """Entries of W_lin from N(0, init.linear^2)."""
        generator = stream("init", "linear")
        W_lin = torch.randn(model.config.n_latents, model.d_model, generator=generator)
        model.W_lin = nn.Parameter(W_lin * model.config.init.linear)

    def rows(self, model: Any) -> Float[Tensor, "n_latents d_model"]:
        """W_lin."""
        return model.W_lin


class BiasPart(PartKind):
    """A constant vector; after training it also holds the interaction's mean output."""

    attribute = "bias"

    def n_parameters(self, widths: Widths) -> int:
        """One vector."""
        return widths.d_model

    def attach(self, model: Any, stream: Stream) -> None:
        """Zero."""
        model.bias = nn.Parameter(torch.zeros(model.d_model))

    def contribution(
        self, model: Any, codes: Codes, residual_codes: Codes | None
    ) -> Float[Tensor, "tokens d_model"]:
        """The same vector at every token."""
        has_mean = "interaction" in model.parts
        constant = model.bias + model.interaction.mean_output if has_mean else model.bias
        return constant.expand(codes.values.shape[0], -1)


class InteractionPart(PartKind):
    """The non-linear part of the NFM, with the model's pooling (paper, Stage 2)."""

    attribute, rate = "interaction", "interaction"

    def n_parameters(self, widths: Widths) -> int:
        """Those of the class of its pooling."""
        sizes = widths.d_model, widths.n_latents, widths.d_embed
        return POOLINGS[widths.pooling].n_parameters(*sizes)

    def attach(self, model: Any, stream: Stream) -> None:
        """Factors from N(0, init.factors^2), layers from N(0, init.mlp^2)."""
        model.interaction = POOLINGS[model.pooling](model.d_model, model.config, stream)

    def contribution(
        self, model: Any, codes: Codes, residual_codes: Codes | None
    ) -> Float[Tensor, "tokens d_model"]:
        """The MLP's output minus its mean over train tokens."""
        return model.interaction(codes)


class ResidualSaePart(PartKind):
    """Control: a second SAE with the same input, trained on the error of a frozen first SAE."""

    attribute = "residual_sae"

    def n_parameters(self, widths: Widths) -> int:
        """As many as the first SAE has."""
        return SaePart().n_parameters(widths)

    def attach(self, model: Any, stream: Stream) -> None:
        """An SAE of the same shape, initialised from a random stream of its own."""
        model.residual_sae = new_sae(model, stream("init", "residual_sae"))

    def contribution(
        self, model: Any, codes: Codes, residual_codes: Codes | None
    ) -> Float[Tensor, "tokens d_model"]:
        """Codes times rows: h W_dec', where h are the second SAE's own codes.

        Raises:
            ValueError: if these codes are not given.
        """
        if residual_codes is None:
            raise ValueError("part 'residual_sae' needs its own codes of the activations")
        return model.residual_sae.decode(residual_codes)


PART_KINDS: dict[Part, PartKind] = {
    "sae": SaePart(),
    "linear": LinearPart(),
    "bias": BiasPart(),
    "interaction": InteractionPart(),
    "residual_sae": ResidualSaePart(),
}


def new_sae(model: Any, generator: torch.Generator) -> TopKSae:
    """Untrained SAE of the model's sizes; the precision of its selection must be decided."""
    config: ModelConfig = model.config
    assert config.topk_dtype != "auto"
    return TopKSae(
        model.d_model, config.n_latents, config.k, generator, config.topk_dtype, config.select_by
    )


def rate_of(weight: str) -> RateOf:
    """The peak learning rate of a weight, by the name that a model gives it."""
    attribute = weight.partition(".")[0]
    return next(kind.rate for kind in PART_KINDS.values() if kind.attribute == attribute)


def n_parameters(widths: Widths, part: Part) -> int:
    """Number of trained weights that belong to a part of a model of these widths."""
    return PART_KINDS[part].n_parameters(widths)


def matched_n_latents(widths: Widths, parts: Sequence[Part], matched_parts: Sequence[Part]) -> int:
    """Number of latents with which `parts` has as many parameters as `matched_parts` has with `widths`.

    It is the largest number that does not exceed the matched count, so the two counts differ by fewer
    parameters than one latent has. At the paper's sizes, an SAE with 77,504 latents matches the joint model
    (W2).
    """

    def total(n_latents: int, of: Sequence[Part]) -> int:
        return sum(n_parameters(widths._replace(n_latents=n_latents), part) for part in of)

    per_latent = total(1, parts) - total(0, parts)
    return (total(widths.n_latents, matched_parts) - total(0, parts)) // per_latent
