"""The integrated model: the sum of SAE, linear part, bias and interaction, or of some of them.

The part `residual_sae` belongs to a control. It is a second SAE that reads the same activations and is
trained on the first SAE's error. It shows how much of the error that the NFM is to remove a second sparse
code removes.

All arms use this class; an ablation is an argument. Must not: standardise, train, or read files.
"""

from collections.abc import Sequence
from functools import partial
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fispace.models.interaction import Interaction
from fispace.models.parts import PART_KINDS, PartKind, Widths, n_parameters
from fispace.models.sae import TopKSae
from fispace.models.sparse import Codes, sparse_sum
from fispace.seeds import torch_stream
from fispace.study.config.parts import ALL_PARTS, DECODERS, Part, Pooling
from fispace.study.config.train import ModelConfig


class IntegratedModel(nn.Module):
    """x_hat = x_sae + f W_lin + b + interaction(f), restricted to the model's own parts.

    f are the TopK codes of the SAE; all activations are standardised. Source: paper, Stage 2; joint
    training sums the same parts under one loss. Only the part `residual_sae` reads z instead of f: it adds
    h W_dec', where its own codes h = TopK(ReLU(W_enc' z + b_enc')) come from `residual_codes`.
    """

    sae: TopKSae
    W_lin: nn.Parameter
    bias: nn.Parameter
    interaction: Interaction
    residual_sae: TopKSae

    def __init__(
        self, d_model: int, config: ModelConfig, parts: Sequence[Part], pooling: Pooling | None,
        *, root_seed: int, seed: int,
    ) -> None:  # fmt: skip
        """Initial weights of `seed`; arms with the same seed share the weights of their common parts.

        `d_model` is the width of the activations. `pooling` is needed if `interaction` is one of the parts.
        """
        super().__init__()
        self.d_model = d_model
        self.config = config
        self.pooling: Pooling | None = pooling
        self.subtracts_bias = False
        self.parts: tuple[Part, ...] = tuple(part for part in ALL_PARTS if part in parts)
        stream = partial(torch_stream, root_seed, "train", seed)
        for part, kind in PART_KINDS.items():
            if (
                part in parts or part == "sae"
            ):  # codes come from the SAE even if it is not one of the parts
                kind.attach(self, stream)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.sae.W_enc.device

    def forward(
        self, z: Float[Tensor, "tokens d_model"], parts: Sequence[Part]
    ) -> Float[Tensor, "tokens d_model"]:
        """Reconstruction by the given parts, in standardised units."""
        return self.reconstruct(
            self.sae.encode(self.encoded(z)), parts, self.residual_codes(z, parts)
        )

    def encoded(self, z: Float[Tensor, "tokens d_model"]) -> Float[Tensor, "tokens d_model"]:
        """Input of the encoder: the standardised activations, minus the bias if `subtracts_bias`.

        This parametrisation is used in training only. Since W_enc (z - b) + b_enc equals
        W_enc z + (b_enc - W_enc b), `absorb_bias` returns to an SAE that reads z.
        """
        return z - self.bias if self.subtracts_bias else z

    @torch.no_grad()
    def absorb_bias(self) -> None:
        """Move the subtracted bias into the encoder's bias; reconstructions do not change."""
        if self.subtracts_bias:
            self.sae.b_enc.sub_(self.sae.W_enc @ self.bias)
            self.subtracts_bias = False

    def residual_codes(
        self, z: Float[Tensor, "tokens d_model"], parts: Sequence[Part]
    ) -> Codes | None:
        """Codes of the second SAE for the same activations; None if it is not one of the parts."""
        return self.residual_sae.encode(z) if "residual_sae" in parts else None

    @property
    def newest_sae(self) -> TopKSae:
        """The SAE that is being trained: the second if there is one, otherwise the first."""
        return self.residual_sae if "residual_sae" in self.parts else self.sae

    def reconstruct(
        self, codes: Codes, parts: Sequence[Part], residual_codes: Codes | None = None
    ) -> Float[Tensor, "tokens d_model"]:
        """Sum of the contributions of the given parts; the part `residual_sae` needs its own codes.

        Raises:
            ValueError: if the model does not have a part, or the part's codes are not given.
        """
        decoders = [self.rows(part) for part in parts if part in DECODERS]
        others: list[Part] = [part for part in parts if part not in DECODERS]
        found = [self.contribution(codes, part, residual_codes) for part in others]
        if decoders:
            found.append(sparse_sum(codes, *decoders))
        return sum(found[1:], start=found[0])

    def contribution(
        self, codes: Codes, part: Part, residual_codes: Codes | None = None
    ) -> Float[Tensor, "tokens d_model"]:
        """Contribution of one part; the part `bias` includes the interaction's mean output."""
        return self._kind(part).contribution(self, codes, residual_codes)

    def rows(self, part: Part) -> Float[Tensor, "n_latents d_model"]:
        """W of a part f W.

        Raises:
            ValueError: if the model does not have the part, or the part is not linear in the codes.
        """
        rows = self._kind(part).rows(self)
        if rows is None:
            raise ValueError(f"part {part!r} is not linear in the codes")
        return rows

    def added_rows(self) -> Float[Tensor, "n_latents d_model"]:
        """What a latent adds per unit of its code by all parts that are linear in it: the sum of their rows."""
        found = [self.rows(part) for part in self.parts if part in DECODERS]
        return sum(found[1:], start=found[0])

    def _kind(self, part: Part) -> PartKind:
        if part not in self.parts:
            raise ValueError(f"part {part!r} is not in this model: {', '.join(self.parts)}")
        return PART_KINDS[part]

    def freeze_sae(self) -> None:
        """Exclude the first SAE's weights from training (arm `sequential`)."""
        self.sae.requires_grad_(False)

    def n_parameters(self, part: Part) -> int:
        """Number of trained weights that belong to a part."""
        widths = Widths(
            self.d_model, self.config.n_latents, self.config.d_embed, self.pooling or "pairs"
        )
        return n_parameters(widths, part)


def ablations(parts: Sequence[Part]) -> list[tuple[Part, ...]]:
    """Every subset of the parts that contains `sae`, smallest first: the post-hoc ablations of a model."""
    first: Part = "sae"
    others: list[Part] = [part for part in ALL_PARTS if part in parts and part != first]
    sizes = range(len(others) + 1)
    return [(first, *chosen) for size in sizes for chosen in combinations(others, size)]


def parts_name(parts: Sequence[Part]) -> str:
    """Name of a set of parts in tables: `sae+linear+bias`."""
    return "+".join(part for part in ALL_PARTS if part in parts)
