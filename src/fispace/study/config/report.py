"""Configuration of the report chapter. Meanings and ranges: workflow/schemas/report.schema.yaml."""

from dataclasses import dataclass

from fispace.study.config.audit import AuditConfig


@dataclass(frozen=True)
class QuantitiesStep:
    """What `report quantities` depends on."""

    confidence: float
    mixture_latents: int
    mixture_spread: float
    null_rows: int
    null_pairs: int
    root_seed: int


@dataclass(frozen=True)
class DocumentsStep:
    """What `report documents` depends on."""

    confidence: float
    n_bootstrap: int
    few_documents: int
    root_seed: int


@dataclass(frozen=True)
class ClaimsStep:
    """What `report claims` depends on."""

    confidence: float
    explained_share: float


@dataclass(frozen=True)
class GeometryPlotsStep:
    """What `report geometry-plots` depends on."""

    histogram_bins: int
    density_points: int
    scatter_latents: int
    spectrum_components: int
    root_seed: int


@dataclass(frozen=True)
class DiagramsStep:
    """What `report diagrams` depends on."""

    n_latents: int
    k: int
    d_embed: int


@dataclass(frozen=True)
class AuditStep:
    """What `report audit` depends on."""

    audit: AuditConfig
    confidence: float
