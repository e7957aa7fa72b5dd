"""Parameters of the simulated activations with planted pairs of features."""

from typing import Annotated

from pydantic import Field, model_validator

from fispace.study.config.base import (
    Config,
    Decay,
    InnerShare,
    ListOf,
    Rate,
    Refusal,
    Seed,
    Seeded,
    Size,
    Threaded,
)
from fispace.study.config.train import InitialWeights, OptimiserConfig

ORACLE = "oracle"
"""Arm that is given the true codes, with which the recovery of the others is compared."""
FIRST_ORDER = "_first_order"
"""Suffix of an arm's control that pools no products."""
SCORES = ("factor", "functional")
"""Scores of a pair: from its latents' factor vectors, or from double differences of the interaction."""

Magnitude = Annotated[float, Field(gt=0, le=100)]
Width = Annotated[int, Field(ge=1, le=100_000)]


class AmplitudeConfig(Config):
    """Bounds of the uniform amplitude of an active feature."""

    low: Magnitude
    """Smallest amplitude."""
    high: Magnitude
    """Largest amplitude, at least `low`."""

    @model_validator(mode="after")
    def _require_order(self) -> "AmplitudeConfig":
        if self.low > self.high:
            raise Refusal("low", f"must be <= high={self.high}", self.low)
        return self


class WorldConfig(Config):
    """Sizes of x = sum a_i d_i + strength sum a_i a_j e_ij + noise."""

    d_model: Annotated[int, Field(ge=2, le=4096)]
    """Dimensions of x."""
    n_features: Annotated[int, Field(ge=3, le=2048)]
    """True features a_i."""
    n_pairs: Width
    """Planted pairs, drawn from all pairs of features; there must be more pairs than this."""
    firing: InnerShare
    """Probability that a feature is active on a token."""
    amplitude: AmplitudeConfig
    """Bounds of the uniform amplitude of an active feature."""
    noise: Magnitude
    """Standard deviation of the noise in every dimension."""

    @model_validator(mode="after")
    def _require_pairs(self) -> "WorldConfig":
        n_possible = self.n_features * (self.n_features - 1) // 2
        if self.n_pairs >= n_possible:
            raise Refusal(
                "n_pairs",
                f"must be < {n_possible}, the number of pairs of n_features={self.n_features}",
                self.n_pairs,
            )
        return self


class PlantedTraining(OptimiserConfig, InitialWeights):
    """Sizes and training of the models that are to find the pairs."""

    n_latents: Width
    """Latents of the SAEs, at least n_features."""
    k: Width
    """Active latents per token of the SAEs."""
    oracle_k: Annotated[int, Field(ge=1, le=2048)]
    """Number of true features kept for each token, the largest first; nothing is lost if it is at least the
    largest number of features active together."""
    d_embed: Annotated[int, Field(ge=1, le=4096)]
    """Width of the factor vectors."""
    batch_tokens: Annotated[int, Field(ge=1, le=1_000_000)]
    """Tokens of one optimiser step."""
    n_steps: Size
    """Optimiser steps of every training."""
    lr: Rate
    """Peak learning rate."""


class PlantedIntervals(Config):
    """Threshold for pairs, and intervals over worlds."""

    alpha: InnerShare
    """Share of pairs that may count as found in a world without planted pairs."""
    confidence: InnerShare
    """Coverage of the intervals over worlds."""


class PlantedConfig(PlantedIntervals):
    """Activations with planted pairs of features, and the models that are to find them; target full only."""

    world: WorldConfig
    """Sizes of x = sum a_i d_i + strength sum a_i a_j e_ij + noise."""
    training: PlantedTraining
    """Sizes and training of every model."""
    shares: Annotated[ListOf[Decay], Field(min_length=1)]
    """Shares of the variance that the pairs carry, of what is left after regressing on the a_i. 0 (nothing
    planted) must be among them."""
    worlds: Annotated[ListOf[Seed], Field(min_length=2)]
    """Numbers of the repetitions, at least two: a world's null threshold comes from the other worlds."""
    n_tokens: Annotated[int, Field(ge=2, le=100_000_000)]
    """Training tokens of a world."""
    n_heldout_tokens: Annotated[int, Field(ge=2, le=10_000_000)]
    """Tokens on which everything is measured."""

    @model_validator(mode="after")
    def _require_fitting_sizes(self) -> "PlantedConfig":
        world, training = self.world, self.training
        if 0.0 not in self.shares or len(set(self.shares)) != len(self.shares):
            raise Refusal(
                "shares", "must hold 0, the world without pairs, and none twice", list(self.shares)
            )
        if len(set(self.worlds)) != len(self.worlds):
            raise Refusal("worlds", "holds a world twice", list(self.worlds))
        if training.n_latents < world.n_features or training.k > training.n_latents:
            raise Refusal(
                ("training", "n_latents"),
                f"must be >= n_features={world.n_features}, so that each can be matched, and >= "
                f"k={training.k}",
                training.n_latents,
            )
        if training.oracle_k > world.n_features:
            raise Refusal(
                ("training", "oracle_k"),
                f"must be <= n_features={world.n_features}",
                training.oracle_k,
            )
        if training.batch_tokens > self.n_tokens:
            raise Refusal(
                "n_tokens",
                f"is less than one batch of batch_tokens={training.batch_tokens}",
                self.n_tokens,
            )
        return self


class Planted(Config):
    """The worlds with planted pairs."""

    planted: PlantedConfig
    """Activations with planted pairs of features, and the models that are to find them; target full only."""


class WorldTraining(Planted, Seeded):
    """What a model that is trained in a world depends on."""


class PlantedStep(WorldTraining, Threaded):
    """What `testbed planted` depends on."""


class PlantedSummaryStep(PlantedIntervals):
    """What `testbed planted-summary` depends on."""
