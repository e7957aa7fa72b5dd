"""Parameters of the factorial chapter's tests, which are declared before it runs, and of their calibration."""

from typing import Annotated, Literal

from pydantic import Field

from fispace.study.config.base import Config, Distinct, Positive, Share

LatentKind = Literal[
    "candidate", "insensitive", "random", "primary", "main", "residual", "direction",
    "primary_direction", "linear",
]  # fmt: skip
"""Kinds of latents and of their controls."""
Million = Annotated[int, Field(ge=1, le=1_000_000)]


class Hypothesis(Config):
    """One family of null hypotheses: a response shows no interaction, for every latent of some kinds."""

    response: Literal["activation", "clamp_slope", "planted_slope"]
    """activation: on the confirm items; clamp_slope: slope of the words' log-probability over the
    multipliers; planted_slope: slope of the planted contrast (batteries with planted words)."""
    kinds: Annotated[Distinct[LatentKind], Field(min_length=1)]
    """Latents and controls that belong to the family."""
    expected: Literal["effect", "none"]
    """effect: tested against zero; none: a control, tested for equivalence with zero as well."""


class EquivalenceConfig(Config):
    """Bounds of the equivalence tests (TOST); an effect within them counts as none."""

    activation: Positive
    """In multiples of the latent's mean activation on the select half."""
    clamp_slope: Positive
    """Nats per unit of the multiplier."""
    planted_slope: Positive
    """Nats per unit of the multiplier."""


class ExclusionConfig(Config):
    """Which rows are left out of their family before it is corrected; they stay in the table, marked."""

    min_active_share: Share
    """Share of the contexts in which a clamped latent must be active."""


class CalibrationConfig(Config):
    """False positives and power of the complete select-confirm procedure on simulated data."""

    n_datasets: Million
    """Number of null data sets."""
    n_latents: Annotated[int, Field(ge=2, le=1_000_000)]
    """Latents searched in each synthetic data set."""
    n_words: Annotated[int, Field(ge=1, le=10_000)]
    """Response words in each cell."""
    n_permutations: Annotated[int, Field(ge=19, le=1_000_000)]
    """Random sign flips of a test."""
    noise_skew: Annotated[float, Field(ge=0, le=3)]
    """Sigma of the log-normal noise, centred and scaled to variance 1; 0 is normal."""
    word_sd: Annotated[float, Field(ge=0, le=1000)]
    """Standard deviation of a word's own effect, in units of the noise."""
    n_mixed: Annotated[int, Field(ge=0, le=1_000_000)]
    """Null data sets on which the mixed model is fitted as well."""
    sizes: Annotated[Distinct[float], Field(min_length=1)]
    """Planted contrasts in units of their standard deviation between items."""
    n_power: Million
    """Data sets at each size."""
