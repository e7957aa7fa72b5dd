"""Configuration of the fidelity chapter. Meanings and ranges: workflow/schemas/fidelity.schema.yaml."""

from dataclasses import dataclass
from typing import Literal

from fispace.study.config.lm import LmConfig

Control = Literal["epsilon_random", "cosine_noise", "covariance_noise", "shuffled_error"]
"""Errors of a condition's own size; formulas: fispace.chapters.fidelity.matched_errors."""


@dataclass(frozen=True)
class FidelityBoundsStep:
    """What `fidelity bounds` depends on."""

    lm: LmConfig
    batch_windows: int
    threads: int


@dataclass(frozen=True)
class FidelityArmStep:
    """What `fidelity arm` depends on."""

    lm: LmConfig
    batch_windows: int
    controls: tuple[Control, ...]
    ablation_controls: tuple[Control, ...]
    epsilon_draws: int
    dead_window_tokens: int
    root_seed: int
    threads: int


@dataclass(frozen=True)
class FidelityTableStep:
    """What every table of intervals depends on: `fidelity summary`, `shapley` and `positions`."""

    n_bootstrap: int
    confidence: float
    root_seed: int


@dataclass(frozen=True)
class FidelityDifferencesStep:
    """What `fidelity differences` depends on."""

    compared_with: tuple[str, ...]
    n_bootstrap: int
    confidence: float
    root_seed: int


@dataclass(frozen=True)
class FidelityControlsStep:
    """What `fidelity controls` depends on."""

    controls_of: dict[str, tuple[str, ...]]
    n_bootstrap: int
    confidence: float
    root_seed: int


@dataclass(frozen=True)
class FidelityCutStep:
    """What `fidelity cut` depends on."""

    threads: int


@dataclass(frozen=True)
class FidelityGainCurveStep:
    """What `fidelity gain-curve` depends on."""

    confidence: float


@dataclass(frozen=True)
class FidelityAuditStep:
    """What `fidelity audit` depends on."""

    lm: LmConfig
    batch_windows: int
    threads: int
