"""Configuration of the planted pairs. Meanings and ranges: workflow/schemas/testbed.schema.yaml."""

from dataclasses import dataclass

from fispace.errors import ParamsError
from fispace.study.config.train import InitConfig, OptimiserConfig

ORACLE = "oracle"
"""Arm on the true codes, which the others' recovery is measured by."""
FIRST_ORDER = "_first_order"
"""Suffix of the arm that pools no product: the control of the arm without it."""
SCORES = ("factor", "functional")
"""Scores of a pair: by its latents' factor vectors, and by the interaction's double differences."""


@dataclass(frozen=True)
class AmplitudeConfig:
    """Amplitudes of an active feature: uniform between two bounds."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ParamsError(f"testbed.planted.amplitude: low={self.low} must be <= {self.high}.")


@dataclass(frozen=True)
class WorldConfig:
    """Sizes of the generator of activations."""

    d_model: int
    n_features: int
    n_pairs: int
    firing: float
    amplitude: AmplitudeConfig
    noise: float

    def __post_init__(self) -> None:
        n_possible = self.n_features * (self.n_features - 1) // 2
        if self.n_pairs >= n_possible:
            raise ParamsError(
                f"testbed.planted.world.n_pairs={self.n_pairs} must be < {n_possible}, the number "
                f"of pairs of n_features={self.n_features}."
            )


@dataclass(frozen=True)
class PlantedTraining(OptimiserConfig):
    """Sizes and training of every model that looks for the pairs."""

    n_latents: int
    k: int
    oracle_k: int
    d_embed: int
    dropout: float
    init: InitConfig
    batch_tokens: int
    n_steps: int
    lr: float


@dataclass(frozen=True)
class PlantedConfig:
    """Worlds with and without planted pairs, and the models that look for them."""

    world: WorldConfig
    training: PlantedTraining
    shares: tuple[float, ...]
    worlds: tuple[int, ...]
    n_tokens: int
    n_heldout_tokens: int
    alpha: float
    confidence: float

    def __post_init__(self) -> None:
        world, training = self.world, self.training
        if 0.0 not in self.shares or len(set(self.shares)) != len(self.shares):
            raise ParamsError(
                f"testbed.planted.shares={list(self.shares)} must hold 0, the world without pairs, "
                "and none twice."
            )
        if len(set(self.worlds)) != len(self.worlds):
            raise ParamsError(f"testbed.planted.worlds={list(self.worlds)} holds a world twice.")
        if training.n_latents < world.n_features or training.k > training.n_latents:
            raise ParamsError(
                f"testbed.planted.training: n_latents={training.n_latents} must be >= n_features="
                f"{world.n_features}, so that each can be matched, and >= k={training.k}."
            )
        if training.oracle_k > world.n_features:
            raise ParamsError(
                f"testbed.planted.training.oracle_k={training.oracle_k} must be <= n_features="
                f"{world.n_features}."
            )
        if training.batch_tokens > self.n_tokens:
            raise ParamsError(
                f"testbed.planted.n_tokens={self.n_tokens} is less than one batch of "
                f"batch_tokens={training.batch_tokens}."
            )


@dataclass(frozen=True)
class PlantedStep:
    """What `testbed planted` depends on."""

    planted: PlantedConfig
    root_seed: int
    threads: int


@dataclass(frozen=True)
class PlantedSummaryStep:
    """What `testbed planted-summary` depends on."""

    alpha: float
    confidence: float
