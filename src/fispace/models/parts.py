"""The parts of an integrated model: the weights of each, their initial values, and what each adds.

A new part needs a class here, a name in `fispace.study.config.parts`, and a look in
`fispace.plotting.style`. Matching by size, ablations and tables need no change. The interaction's poolings are
classes in `fispace.models.interaction`. Must not: know which parts an arm has, or train.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fispace.models.interaction import POOLINGS, Stream
from fispace.models.sae import TopKSae
from fispace.models.sparse import Codes, sparse_sum
from fispace.study.config.parts import Part, Pooling
from fispace.study.config.train import InitConfig, SelectBy, SelectionDtype


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """Sizes of an integrated model, and the options of its TopK selection and its interaction."""

    d_model: int
    n_latents: int
    k: int
    d_embed: int
    dropout: float
    topk_dtype: SelectionDtype
    """Precision of the encoder product that picks candidates; float32 is the exact choice."""
    select_by: SelectBy
    """Quantity by which the k largest latents of a token are chosen."""
    pooling: Pooling | None
    """What the interaction part pools; None if the model has no such part."""


class PartKind(ABC):
    """One kind of part. Its weights are attributes of the model, so that checkpoints contain them by name."""

    @abstractmethod
    def n_parameters(self, shape: ModelShape) -> int:
        """Number of trained weights."""

    @abstractmethod
    def attach(self, model: nn.Module, shape: ModelShape, init: InitConfig, stream: Stream) -> None:
        """Give the model the part's initial weights."""

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
        self,
        model: Any,
        codes: Codes,
        residual_codes: Codes | None,
    ) -> Float[Tensor, "tokens d_model"]:
        """Codes times rows: f W."""
        return sparse_sum(codes, self.rows(model))


class SaePart(Decoder):
    """The reconstruction by the SAE's decoder, f W_dec (paper, Stage 1)."""

    def n_parameters(self, shape: ModelShape) -> int:
        """Encoder and decoder, and the encoder's bias."""
        return 2 * shape.n_latents * shape.d_model + shape.n_latents

    def attach(self, model: nn.Module, shape: ModelShape, init: InitConfig, stream: Stream) -> None:
        """An SAE with its own initialisation."""
        model.sae = new_sae(shape, stream("init", "sae"))

    def rows(self, model: Any) -> Float[Tensor, "n_latents d_model"]:
        """W_dec."""
        return model.sae.W_dec


class LinearPart(Decoder):
    """The linear part of the NFM, f W_lin (paper, Stage 2)."""

    def n_parameters(self, shape: ModelShape) -> int:
        """A row for each latent."""
        return shape.n_latents * shape.d_model

    def attach(self, model: nn.Module, shape: ModelShape, init: InitConfig, stream: Stream) -> None:
        """Entries of W_lin from N(0, init.linear^2)."""
        generator = stream("init", "linear")
        W_lin = torch.randn(shape.n_latents, shape.d_model, generator=generator)
        model.W_lin = nn.Parameter(W_lin * init.linear)

    def rows(self, model: Any) -> Float[Tensor, "n_latents d_model"]:
        """W_lin."""
        return model.W_lin


class BiasPart(PartKind):
    """A constant vector; after training it also holds the interaction's mean output."""

    def n_parameters(self, shape: ModelShape) -> int:
        """One vector."""
        return shape.d_model

    def attach(self, model: nn.Module, shape: ModelShape, init: InitConfig, stream: Stream) -> None:
        """Zero."""
        model.bias = nn.Parameter(torch.zeros(shape.d_model))

    def contribution(
        self,
        model: Any,
        codes: Codes,
        residual_codes: Codes | None,
    ) -> Float[Tensor, "tokens d_model"]:
        """The same vector at every token."""
        has_mean = "interaction" in model.parts
        constant = model.bias + model.interaction.mean_output if has_mean else model.bias
        return constant.expand(codes.values.shape[0], -1)


class InteractionPart(PartKind):
    """The non-linear part of the NFM, with the pooling of the model's shape (paper, Stage 2)."""

    def n_parameters(self, shape: ModelShape) -> int:
        """Factor vectors, hidden layer with bias, output layer; the same for every pooling."""
        width = shape.d_embed
        return shape.n_latents * width + width * width + width + width * shape.d_model

    def attach(self, model: nn.Module, shape: ModelShape, init: InitConfig, stream: Stream) -> None:
        """Factors from N(0, init.factors^2), layers from N(0, init.mlp^2)."""
        assert shape.pooling is not None
        model.interaction = POOLINGS[shape.pooling](
            shape.d_model, shape.n_latents, shape.d_embed, shape.dropout,
            init.factors, init.mlp, stream,
        )  # fmt: skip

    def contribution(
        self,
        model: Any,
        codes: Codes,
        residual_codes: Codes | None,
    ) -> Float[Tensor, "tokens d_model"]:
        """The MLP's output minus its mean over train tokens."""
        return model.interaction(codes)


class ResidualSaePart(PartKind):
    """Control: a second SAE with the same input, trained on the error of a frozen first SAE."""

    def n_parameters(self, shape: ModelShape) -> int:
        """As many as the first SAE has."""
        return SaePart().n_parameters(shape)

    def attach(self, model: nn.Module, shape: ModelShape, init: InitConfig, stream: Stream) -> None:
        """An SAE of the same shape, initialised from a random stream of its own."""
        model.residual_sae = new_sae(shape, stream("init", "residual_sae"))

    def contribution(
        self,
        model: Any,
        codes: Codes,
        residual_codes: Codes | None,
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


def new_sae(shape: ModelShape, generator: torch.Generator) -> TopKSae:
    """Untrained SAE of a model of this shape."""
    return TopKSae(
        shape.d_model, shape.n_latents, shape.k, generator, shape.topk_dtype, shape.select_by
    )


def n_parameters(shape: ModelShape, part: Part) -> int:
    """Number of trained weights that belong to a part of a model of this shape."""
    return PART_KINDS[part].n_parameters(shape)


def matched_n_latents(
    shape: ModelShape, parts: Sequence[Part], matched_parts: Sequence[Part]
) -> int:
    """Number of latents with which `parts` has as many parameters as `matched_parts` has with `shape`.

    It is the largest number that does not exceed the matched count, so the two counts differ by fewer
    parameters than one latent has. At the paper's sizes, an SAE with 77,504 latents matches the joint model
    (W2).
    """

    def total(n_latents: int, of: Sequence[Part]) -> int:
        return sum(n_parameters(replace(shape, n_latents=n_latents), part) for part in of)

    per_latent = total(1, parts) - total(0, parts)
    return (total(shape.n_latents, matched_parts) - total(0, parts)) // per_latent
