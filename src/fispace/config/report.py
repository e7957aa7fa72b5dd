"""Configuration of the report chapter. Meanings and ranges: workflow/schemas/report.schema.yaml."""

from dataclasses import dataclass


@dataclass(frozen=True)
class QuantitiesStep:
    """What `report quantities` depends on."""

    confidence: float
    mixture_latents: int
    mixture_spread: float
    root_seed: int


@dataclass(frozen=True)
class ClaimsStep:
    """What `report claims` depends on."""

    confidence: float


@dataclass(frozen=True)
class GeometryPlotsStep:
    """What `report geometry-plots` depends on."""

    histogram_bins: int
    density_points: int
    scatter_latents: int
    spectrum_components: int
    root_seed: int
