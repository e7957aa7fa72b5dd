"""What the factorial chapter declares before it runs, and how it is calibrated.

Meanings and ranges: workflow/schemas/factorial.schema.yaml.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Hypothesis:
    """One declared family: no interaction in a response, for every latent of some kinds."""

    response: Literal["activation", "clamp_slope", "planted_slope"]
    kinds: tuple[str, ...]
    expected: Literal["effect", "none"]
    """`none`: a control, for which equivalence with zero is tested as well."""


@dataclass(frozen=True)
class EquivalenceConfig:
    """Bounds inside which an effect counts as none."""

    activation: float
    clamp_slope: float
    planted_slope: float


@dataclass(frozen=True)
class ExclusionConfig:
    """Rules by which a row leaves its family before correction."""

    min_active_share: float


@dataclass(frozen=True)
class CalibrationConfig:
    """Simulated data sets; meanings in the schema."""

    n_datasets: int
    n_latents: int
    n_words: int
    n_permutations: int
    noise_skew: float
    word_sd: float
    n_mixed: int
    sizes: tuple[float, ...]
    n_power: int
