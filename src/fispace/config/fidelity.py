"""Configuration of the fidelity chapter. Meanings and ranges: workflow/schemas/fidelity.schema.yaml."""

from dataclasses import dataclass

from fispace.config.lm import LmConfig


@dataclass(frozen=True)
class FidelityArmStep:
    """What `fidelity arm` depends on."""

    lm: LmConfig
    batch_windows: int
    epsilon_draws: int
    root_seed: int
    threads: int


@dataclass(frozen=True)
class FidelitySummaryStep:
    """What `fidelity summary` depends on."""

    n_bootstrap: int
    confidence: float
    root_seed: int
