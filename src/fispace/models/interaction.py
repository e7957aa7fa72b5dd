"""The non-linear part of the NFM: factor pooling over pairs of active latents, and its MLP.

Must not: know the SAE that computes the codes.
"""

from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fispace.models.shuffled import shuffled_pair_sum
from fispace.models.sparse import Active, Codes, pair_sum, sparse_sum, summed_rows
from fispace.seeds import random_cycle
from fispace.study.config.parts import Pooling
from fispace.study.config.train import ModelConfig

Stream = Callable[..., torch.Generator]
"""Function from names to the generator of the model's random stream with these names."""


class LeaveOneOut(NamedTuple):
    """The pooling of all entries of each token, and how much of it is lost without one entry."""

    pooled: Float[Tensor, "tokens d_embed"]
    lost: Callable[[Tensor, Tensor], Tensor]
    """Function of entries, given by their tokens and products f_i v_i: p minus p without the entry."""


class Interaction(nn.Module):
    """MLP on the factor pooling of the codes (He & Chua 2017; Rendle 2010; paper, Stage 2).

    p = 1/2 [(sum_i f_i v_i)^2 - sum_i (f_i v_i)^2]
    y = W_out ReLU(W_hidden Dropout(p) + b_hidden) - mean_output

    Shapes: v_i [d_embed], W_hidden [d_embed d_embed], W_out [d_model d_embed]. The output layer has no bias;
    `mean_output` is a constant, zero during training (see `forward`).
    """

    # DEVIATION(one-bias): the author adds an output bias here and another in the linear part. They
    # get identical gradients, so one vector, the part `bias`, holds both.

    no_pair_weights: ClassVar[str | None] = None
    """Why p is not a weighted sum of products f_i f_j; None if it is one, with weights v_i * v_j."""

    mean_output: Tensor

    def __init__(self, d_model: int, config: ModelConfig, stream: Stream) -> None:
        """Factors from N(0, init.factors^2), MLP weights from N(0, init.mlp^2), hidden bias zero."""
        super().__init__()
        self._stream = stream
        generator, width, init = stream("init", "interaction"), config.d_embed, config.init
        V = torch.randn(config.n_latents, width, generator=generator)
        self.V = nn.Parameter(V * init.factors)
        self.W_hidden = nn.Parameter(torch.randn(width, width, generator=generator) * init.mlp)
        self.b_hidden = nn.Parameter(torch.zeros(width))
        self.W_out = nn.Parameter(torch.randn(d_model, width, generator=generator) * init.mlp)
        self.dropout = nn.Dropout(config.dropout)
        self.register_buffer("mean_output", torch.zeros(d_model))

    def pool(self, codes: Codes) -> Float[Tensor, "tokens d_embed"]:
        """Factor pooling of the codes with the factors V."""
        return pair_sum(codes, self.V)

    def leave_one_out(self, active: Active, n_tokens: int) -> LeaveOneOut | None:
        """The pooling without each entry of the codes; None if there is no closed form.

        Without latent i, p = 1/2 [S^2 - Q] becomes p - a (S - a), with S = sum_j f_j v_j and a = f_i v_i.
        """
        factors = self.V.double()
        summed = summed_rows(active, factors, n_tokens)
        squared = active._replace(values=active.values.square())
        squares = summed_rows(squared, factors.square(), n_tokens)
        return LeaveOneOut(
            0.5 * (summed.square() - squares), lambda tokens, own: own * (summed[tokens] - own)
        )

    def hidden(self, codes: Codes) -> Float[Tensor, "tokens d_embed"]:
        """First MLP layer before its ReLU: what the secondary SAE reads (paper, Stage 3)."""
        return self.dropout(self.pool(codes)) @ self.W_hidden.T + self.b_hidden

    def output(self, hidden: Float[Tensor, "tokens d_embed"]) -> Float[Tensor, "tokens d_model"]:
        """Second MLP layer, in standardised units, before its mean is subtracted."""
        return self.activate(hidden) @ self.W_out.T

    def activate(self, hidden: Tensor) -> Tensor:
        """Output of the hidden units."""
        return hidden.relu()

    def slope(self, hidden: Tensor) -> Tensor:
        """Derivative of the output of the hidden units by their input."""
        return (hidden > 0).to(hidden.dtype)

    @classmethod
    def n_parameters(cls, d_model: int, n_latents: int, d_embed: int) -> int:
        """Number of trained weights: factor vectors, hidden layer with bias, output layer."""
        return n_latents * d_embed + d_embed * d_embed + d_embed + d_embed * d_model

    def forward(self, codes: Codes) -> Float[Tensor, "tokens d_model"]:
        """Contribution of the part `interaction`: the MLP's output minus its mean.

        The mean over a sample of train tokens (`train.interaction_mean_tokens`) is a constant, so it
        belongs to the part `bias`. It is zero during training.
        """
        return self.output(self.hidden(codes)) - self.mean_output


class FirstOrder(Interaction):
    """Control of the same size without products: the same MLP on p = sum_i f_i v_i.

    It has as many parameters and the same ReLU as `Interaction`, so any further gain of `Interaction` is
    due to the products of pairs.
    """

    no_pair_weights = "the pooling is a sum over single latents and holds no product"

    def pool(self, codes: Codes) -> Float[Tensor, "tokens d_embed"]:
        """Sum of the factors of the active latents, in activation."""
        return sparse_sum(codes, self.V)

    def leave_one_out(self, active: Active, n_tokens: int) -> LeaveOneOut | None:
        """Without latent i the sum becomes p - f_i v_i."""
        pooled = summed_rows(active, self.V.double(), n_tokens)
        return LeaveOneOut(pooled, lambda _, own: own)


class ShuffledPairs(Interaction):
    """Control of the same size with cross-token pairs: a token's latents times its partner's latents.

    p = 1/2 [(sum_i f_i v_i) * (sum_j f^pi_j v_j) - sum_i f_i f^pi_i v_i^2], where f^pi are the codes of the
    token's partner. The products involve the same latents at the same rates, but carry no information
    about the combination within a token (W17). Permuting the latents' numbers instead would only rename
    the factors.

    The partners are one random cycle through the tokens of the batch, from a random stream of its own. It
    depends only on the number of tokens, so resumed trainings and all evaluations use the same partners;
    the batches of a training are shuffled anyway. In a batch of one token, the token is its own partner.
    """

    no_pair_weights = "the two latents of a product are active on different tokens"

    def leave_one_out(self, active: Active, n_tokens: int) -> LeaveOneOut | None:
        """None: a latent that is removed is missing from the token's partner as well."""
        return None

    def pool(self, codes: Codes) -> Float[Tensor, "tokens d_embed"]:
        """Factor pooling of each token's codes with its partner's codes, in activation squared."""
        n_tokens = codes.values.shape[0]
        partner = random_cycle(n_tokens, self._stream("partners", n_tokens))
        return shuffled_pair_sum(codes, partner.to(codes.values.device), self.V)


class SecondOrder(Interaction):
    """The pooled pairs without an MLP: y = W_out Dropout(p) - mean_output (Rendle 2010).

    Coordinate o is sum_{i<j} f_i f_j <v_i * v_j, W_out[o]>, a bilinear function of the codes, which the
    MLP of `Interaction` can only approximate. No unit can die. It is an `Interaction` whose hidden layer is the
    identity: W_hidden = I and b_hidden = 0 are constants, and there is no ReLU.
    """

    def __init__(self, d_model: int, config: ModelConfig, stream: Stream) -> None:
        """Factors and output layer as in `Interaction`, with the same initial values."""
        super().__init__(d_model, config, stream)
        constants = {
            "W_hidden": torch.eye(config.d_embed), "b_hidden": torch.zeros(config.d_embed)
        }  # fmt: skip
        for name, constant in constants.items():
            delattr(self, name)
            self.register_buffer(name, constant, persistent=False)

    def hidden(self, codes: Codes) -> Float[Tensor, "tokens d_embed"]:
        """The pooled pairs: what the secondary SAE reads."""
        return self.dropout(self.pool(codes))

    def activate(self, hidden: Tensor) -> Tensor:
        """The hidden units themselves."""
        return hidden

    def slope(self, hidden: Tensor) -> Tensor:
        """One."""
        return torch.ones_like(hidden)

    @classmethod
    def n_parameters(cls, d_model: int, n_latents: int, d_embed: int) -> int:
        """Number of trained weights: factor vectors and output layer."""
        return n_latents * d_embed + d_embed * d_model


POOLINGS: dict[Pooling, type[Interaction]] = {
    "pairs": Interaction,
    "sum": FirstOrder,
    "shuffled": ShuffledPairs,
    "second_order": SecondOrder,
}
"""Class of the part `interaction` by pooling. Everything that depends on the pooling is a method."""
