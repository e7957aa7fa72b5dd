"""Configuration of the factorial chapter.

Meanings and ranges: workflow/schemas/factorial.schema.yaml.
"""

from dataclasses import dataclass

from fispace.errors import ParamsError
from fispace.study.config.extract import SpecialTokensConfig
from fispace.study.config.hypotheses import (
    CalibrationConfig,
    EquivalenceConfig,
    ExclusionConfig,
    Hypothesis,
)
from fispace.study.config.lm import LmConfig
from fispace.study.config.train import OptimiserConfig

IDENTITY = 1.0
"""Multiplier that leaves a latent as it is; effects are differences from it."""


@dataclass(frozen=True)
class FactorConfig:
    """One factor of a battery: its column, and its two levels, index 0 first."""

    name: str
    levels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.levels)) != 2 or len(self.levels) != 2:
            raise ParamsError(
                f"factorial.factors: {self.name!r} needs two different levels, got "
                f"{list(self.levels)}."
            )


def _require_factors(factors: tuple[FactorConfig, ...]) -> None:
    names = [factor.name for factor in factors]
    if len(names) != 2 or len(set(names)) != 2:
        raise ParamsError(
            f"factorial.factors: a 2x2 analysis needs two different factors, got {names}."
        )


@dataclass(frozen=True)
class BatteryStep:
    """What `factorial battery` depends on."""

    factors: tuple[FactorConfig, ...]
    variant: str | None
    select_fraction: float
    clamp_items: int | None
    root_seed: int

    def __post_init__(self) -> None:
        _require_factors(self.factors)


@dataclass(frozen=True)
class BatteryActivationsStep:
    """What `factorial activations` depends on."""

    lm: LmConfig
    window_tokens: int
    add_bos: bool
    special_tokens: SpecialTokensConfig
    batch_windows: int
    threads: int


@dataclass(frozen=True)
class SecondaryStep(OptimiserConfig):
    """What `factorial secondary` depends on: the secondary SAE and the study's optimiser."""

    expansion: int
    k: int
    n_tokens: int
    standardiser_tokens: int
    batch_tokens: int
    pool_groups: int
    log_every: int
    val_every: int
    root_seed: int
    threads: int

    def __post_init__(self) -> None:
        if self.n_tokens < self.batch_tokens:
            raise ParamsError(
                f"factorial.secondary.n_tokens={self.n_tokens} is less than one batch of "
                f"{self.batch_tokens} tokens."
            )

    @property
    def n_steps(self) -> int:
        """Optimiser steps of one training."""
        return self.n_tokens // self.batch_tokens


@dataclass(frozen=True)
class ResponsesStep:
    """What `factorial responses` depends on."""

    batch_tokens: int
    threads: int


@dataclass(frozen=True)
class DiscoverStep:
    """What `factorial discover` depends on."""

    factors: tuple[FactorConfig, ...]
    alpha: float
    n_candidates: int
    n_permutations: int
    root_seed: int

    def __post_init__(self) -> None:
        _require_factors(self.factors)


@dataclass(frozen=True)
class PairsStep:
    """What `factorial pairs` depends on."""

    n_pairs: int
    threads: int


@dataclass(frozen=True)
class ClampStep:
    """What `factorial clamp` depends on."""

    lm: LmConfig
    factors: tuple[FactorConfig, ...]
    add_bos: bool
    clamps: tuple[float, ...]
    quantiles: tuple[float, ...]
    n_candidates: int
    add_back_errors: bool
    batch_contexts: int
    root_seed: int
    threads: int

    def __post_init__(self) -> None:
        _require_identity(self.clamps)


@dataclass(frozen=True)
class GenerationConfig:
    """Continuations of the first contexts, under multipliers of a latent."""

    n_contexts: int
    n_tokens: int
    temperature: float
    clamps: tuple[float, ...]


@dataclass(frozen=True)
class GenerateStep:
    """What `factorial generate` depends on."""

    lm: LmConfig
    add_bos: bool
    generation: GenerationConfig
    add_back_errors: bool
    root_seed: int
    threads: int


@dataclass(frozen=True)
class SinglesStep:
    """What `factorial singles` depends on."""

    histogram_bins: int
    threads: int


@dataclass(frozen=True)
class InferStep:
    """What `factorial infer` depends on: the families of hypotheses, declared before the run."""

    factors: tuple[FactorConfig, ...]
    clamps: tuple[float, ...]
    alpha: float
    n_permutations: int
    hypotheses: dict[str, Hypothesis]
    equivalence: EquivalenceConfig
    exclusions: ExclusionConfig
    root_seed: int

    def __post_init__(self) -> None:
        _require_factors(self.factors)
        _require_identity(self.clamps)
        self._require_disjoint()

    def _require_disjoint(self) -> None:
        rows = [(h.response, kind) for h in self.hypotheses.values() for kind in h.kinds]
        twice = sorted({row for row in rows if rows.count(row) > 1})
        if twice:
            raise ParamsError(
                f"factorial.hypotheses: {twice[0][0]} of the kind {twice[0][1]!r} stands in two "
                "families; a hypothesis belongs to one."
            )


def _require_identity(clamps: tuple[float, ...]) -> None:
    if IDENTITY not in clamps or len(set(clamps)) != len(clamps) or len(clamps) < 2:
        raise ParamsError(
            f"factorial.clamps={list(clamps)} must hold the multiplier 1, which effects are "
            "measured against, at least one other, and none twice."
        )


@dataclass(frozen=True)
class TruthStep:
    """What `factorial truth` depends on."""

    lm: LmConfig
    factors: tuple[FactorConfig, ...]
    add_bos: bool
    alpha: float
    n_permutations: int
    batch_contexts: int
    root_seed: int
    threads: int


@dataclass(frozen=True)
class CalibrateStep:
    """What `factorial calibrate` depends on."""

    factors: tuple[FactorConfig, ...]
    alpha: float
    n_candidates: int
    calibration: CalibrationConfig
    root_seed: int
