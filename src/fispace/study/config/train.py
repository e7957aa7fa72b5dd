"""Configuration of the train chapter. Meanings and ranges: workflow/schemas/train.schema.yaml."""

from dataclasses import dataclass
from typing import Literal

from fispace.errors import ParamsError

Part = Literal["sae", "linear", "bias", "interaction", "residual_sae"]
OptimiserKind = Literal["adam", "row_sparse_adam", "half_precision_adam"]
SelectionDtype = Literal["float32", "bfloat16"]
SelectIn = Literal["auto", "float32", "bfloat16"]
"""Precision of the encoder product that selects; auto: the faster one, as `models.numerics` knows it."""
SelectBy = Literal["pre_activation", "contribution"]
StandardisePer = Literal["split", "row_group"]
"""Whose mean and deviation standardise a token: the train split's, or those of its own row group."""
Pooling = Literal["pairs", "sum", "shuffled"]
"""What the interaction part's MLP reads: the sum over pairs of active latents, or, as controls, over
single ones, and over pairs whose second latent is active on another token."""

PARTS: tuple[Part, ...] = ("sae", "linear", "bias", "interaction")
"""The published model."""

ALL_PARTS: tuple[Part, ...] = (*PARTS, "residual_sae")
"""With those of controls, in the order in which tables name them."""


@dataclass(frozen=True)
class ArmConfig:
    """One row of `train.arms`: what the model sums, and whose SAE it copies and freezes."""

    parts: tuple[Part, ...]
    frozen_sae_from: str | None

    def __post_init__(self) -> None:
        if "sae" not in self.parts or len(set(self.parts)) != len(self.parts):
            raise ParamsError(
                f"train.arms: parts={list(self.parts)} must hold 'sae' and no part twice."
            )
        if "residual_sae" in self.parts and self.frozen_sae_from is None:
            raise ParamsError(
                "train.arms: the part 'residual_sae' is trained on what a frozen SAE leaves over; give "
                "the arm of that SAE in frozen_sae_from."
            )


@dataclass(frozen=True)
class ControlArmConfig(ArmConfig):
    """One row of `train.control_arms`: an arm whose interaction part or size may be another as well."""

    pooling: Pooling | None
    matched_to: str | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.pooling is not None) != ("interaction" in self.parts):
            raise ParamsError(
                f"train.control_arms: pooling={self.pooling!r} with parts={list(self.parts)}; an arm "
                "has a pooling if, and only if, it has the part 'interaction'."
            )


@dataclass(frozen=True)
class InitConfig:
    """Standard deviations of the initial weights outside the SAE."""

    factors: float
    linear: float
    mlp: float


@dataclass(frozen=True)
class AuxKConfig:
    """Revival of dead latents (Gao et al. 2024, appendix A.2)."""

    k: int
    coefficient: float
    dead_tokens: int


@dataclass(frozen=True)
class OptimiserConfig:
    """How the weights of every training move, whatever it trains, from its peak learning rate."""

    lr_end_fraction: float
    lr_decay_fraction: float
    optimiser: OptimiserKind
    adam_betas: tuple[float, ...]
    adam_eps: float
    grad_clip: float | None


@dataclass(frozen=True)
class TrainArmStep(OptimiserConfig):
    """What every training depends on, whichever arm."""

    n_latents: int
    k: int
    d_embed: int
    dropout: float
    batch_tokens: int
    n_tokens: int
    select_in: SelectIn
    select_by: SelectBy
    subtract_bias: bool
    aux_k: AuxKConfig | None
    standardise_per: StandardisePer
    init: InitConfig
    mean_tokens: int
    pool_groups: int
    prefetch_batches: int
    log_every: int
    val_every: int
    root_seed: int
    threads: int

    def __post_init__(self) -> None:
        if self.k > self.n_latents:
            raise ParamsError(f"train.k={self.k} must be <= n_latents={self.n_latents}.")
        if self.n_steps < 1:
            raise ParamsError(
                f"train.n_tokens={self.n_tokens} is less than one batch of "
                f"batch_tokens={self.batch_tokens}."
            )

    @property
    def n_steps(self) -> int:
        """Optimiser steps of one training."""
        return self.n_tokens // self.batch_tokens


@dataclass(frozen=True)
class ChooseLrStep:
    """What `train choose-lr` depends on."""

    lr_candidates: tuple[float, ...]
