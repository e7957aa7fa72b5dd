"""The integrated model: SAE + linear + bias + interaction, summed by the parts asked for.

One class for every arm; an ablation is an argument. Must not: standardise, train, or read files.
"""

from collections.abc import Sequence
from functools import partial
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fispace.config.train import PARTS, InitConfig, Part
from fispace.models.interaction import HEADS
from fispace.models.sae import TopKSae
from fispace.models.shape import ModelShape, n_parameters
from fispace.models.sparse import Codes, sparse_sum
from fispace.seeds import torch_stream


class IntegratedModel(nn.Module):
    """x_hat = x_sae + f W_lin + b + interaction(f), restricted to the model's own parts.

    f are the TopK codes of the SAE; all parts act on standardised activations. Source: paper, Stage 2;
    joint training sums the same parts with one loss.
    """

    def __init__(
        self, shape: ModelShape, parts: Sequence[Part], init: InitConfig, root_seed: int, seed: int
    ) -> None:
        """Initial weights of `seed`, the same for every arm that has the weight."""
        super().__init__()
        self.shape = shape
        self.parts: tuple[Part, ...] = tuple(part for part in PARTS if part in parts)
        stream = partial(torch_stream, root_seed, "train", seed)
        d_model, n_latents = shape.d_model, shape.n_latents
        self.sae = TopKSae(d_model, n_latents, shape.k, stream("init", "sae"), shape.select_in)
        if "linear" in parts:
            W_lin = torch.randn(n_latents, d_model, generator=stream("init", "linear"))
            self.W_lin = nn.Parameter(W_lin * init.linear)
        if "bias" in parts:
            self.bias = nn.Parameter(torch.zeros(d_model))
        if "interaction" in parts:
            self.interaction = HEADS[shape.pooling](
                d_model, n_latents, shape.d_embed, shape.dropout,
                init.factors, init.mlp, stream,
            )  # fmt: skip

    def forward(
        self, z: Float[Tensor, "tokens d_model"], parts: Sequence[Part]
    ) -> Float[Tensor, "tokens d_model"]:
        """Reconstruction by the given parts, in standardised units."""
        return self.reconstruct(self.sae.encode(z), parts)

    def reconstruct(self, codes: Codes, parts: Sequence[Part]) -> Float[Tensor, "tokens d_model"]:
        """Sum of the contributions of the given parts.

        Raises:
            ValueError: if a part is not one of the model's own.
        """
        decoders = [self._decoder(part) for part in parts if part in ("sae", "linear")]
        found = [self.contribution(codes, part) for part in parts if part not in ("sae", "linear")]
        if decoders:
            found.append(sparse_sum(codes, *decoders))
        return torch.stack(found).sum(0)

    def contribution(self, codes: Codes, part: Part) -> Float[Tensor, "tokens d_model"]:
        """What one part adds to the reconstruction; the part `bias` holds the interaction's mean."""
        if part not in self.parts:
            raise ValueError(f"part {part!r} is not in this model: {', '.join(self.parts)}")
        if part == "interaction":
            return self.interaction(codes)
        if part == "bias":
            return self._constant().expand(codes.values.shape[0], -1)
        return sparse_sum(codes, self._decoder(part))

    def _decoder(self, part: Part) -> Float[Tensor, "n_latents d_model"]:
        if part not in self.parts:
            raise ValueError(f"part {part!r} is not in this model: {', '.join(self.parts)}")
        return self.sae.W_dec if part == "sae" else self.W_lin

    def _constant(self) -> Float[Tensor, " d_model"]:
        if "interaction" in self.parts:
            return self.bias + self.interaction.mean_output
        return self.bias

    def freeze_sae(self) -> None:
        """Take the SAE's weights out of training (arm `sequential`)."""
        self.sae.requires_grad_(False)

    def n_parameters(self, part: Part) -> int:
        """Number of trained weights that belong to a part."""
        return n_parameters(self.shape, part)


def ablations(parts: Sequence[Part]) -> list[tuple[Part, ...]]:
    """Every subset of the parts that keeps `sae`, smallest first: the post-hoc ablations of a model."""
    first: Part = "sae"
    others: list[Part] = [part for part in PARTS if part in parts and part != first]
    sizes = range(len(others) + 1)
    return [(first, *chosen) for size in sizes for chosen in combinations(others, size)]


def parts_name(parts: Sequence[Part]) -> str:
    """Name of a set of parts in tables: `sae+linear+bias`."""
    return "+".join(part for part in PARTS if part in parts)
