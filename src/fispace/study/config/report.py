"""Parameters of the report chapter."""

from typing import Annotated

from pydantic import Field, model_validator

from fispace.study.config.audit import Audited
from fispace.study.config.base import Config, InnerShare, PositiveShare, Refusal, Seeded
from fispace.study.config.train import Sizes, Switchable


class ReportConfidence(Config):
    """Level of the report's intervals."""

    confidence: InnerShare
    """Level of the t-intervals over seeds and of the bootstrap intervals over documents."""


class Nulls(ReportConfidence):
    """Simulated nulls of published quantities."""

    mixture_latents: Annotated[int, Field(ge=100)]
    """Latents drawn for the norm-mixture null and for the null of initial factor vectors (50,000 in the
    paper)."""
    mixture_spread: Annotated[float, Field(ge=0)]
    """Log-normal width of the two modes of the norm-mixture null."""
    null_rows: Annotated[int, Field(ge=2)]
    """Random directions of the paper's width, whose largest coordinates are compared (N15)."""
    null_pairs: Annotated[int, Field(ge=1)]
    """Pairs of these directions; all pairs if there are fewer."""


class Resampling(ReportConfidence):
    """Intervals over documents."""

    n_bootstrap: Annotated[int, Field(ge=100)]
    """Resamples of the test documents for the intervals of the fidelity quantities."""
    few_documents: Annotated[int, Field(ge=2)]
    """Documents of the small sample in which the claim of no significance is judged (eight prompts in the
    paper, N7)."""


class ClaimsStep(ReportConfidence):
    """What `report claims` depends on."""

    smallest_share: PositiveShare
    """Share of a printed effect (printed number less the claim's reference) below which an effect counts as
    none. A claim with `smallest_effect` in workflow/claims.yaml has its own bound."""
    explained_share: PositiveShare
    """A claim is explained by its null if the paired excess over the null is less than the rest of our
    effect, or less than the smallest effect of interest."""


class Gate(Config):
    """Bounds of one number; a value on a bound passes."""

    at_least: float | None
    """Smallest value that passes, in the unit of the number; null: no lower bound."""
    at_most: float | None
    """Largest value that passes, in the unit of the number; null: no upper bound."""

    @model_validator(mode="after")
    def _require_a_bound(self) -> "Gate":
        if self.at_least is None and self.at_most is None:
            raise Refusal((), "a gate needs a bound; give at_least, at_most or both a number")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise Refusal(
                "at_least", f"must be <= at_most={self.at_most}; no value passes", self.at_least
            )
        return self


class Gates(Config):
    """What a healthy study must hold; its verdicts mean little otherwise."""

    dead_latents: Gate
    """Share of an arm's latents that never fire on the test split, for every arm. The paper prints that no
    latent is dead (N1)."""
    sae_fvu: Gate
    """Fraction of variance unexplained by the arm sae on the test split. The paper prints 0.136 (N1)."""
    sae_kl: Gate
    """KL between the original language model and the one that runs on the arm sae's reconstruction, in nats
    per token. A relative gain means little where almost nothing is lost."""
    live_units: Gate
    """Share of an interaction's hidden units that are active on some token of the test split, for every arm
    with an interaction. Where units are dead, the interaction had no chance to show an effect."""
    late_gain: Gate
    """Share of the validation FVU that the last tenth of a training removes, for every arm. A training that
    still gains is too short, and arms that learn at different speeds cannot be compared."""
    lm_gap: Gate
    """Cross-entropy of the language model minus that of the ideal observer of its language, in nats per token.
    The ideal observer is known for the testbed alone."""


class HealthStep(Config):
    """What `report health` depends on."""

    health: Gates
    """Gates of a healthy study. A failed gate is a banner on the summary page, not an error."""


class GeometryFigures(Config):
    """Resolution of the geometry figures."""

    histogram_bins: Annotated[int, Field(ge=2)]
    """Bins of the norm histograms (F6, F7) and of the secondary activations (F3)."""
    density_points: Annotated[int, Field(ge=8)]
    """Grid points of a violin's outline (F8)."""
    scatter_latents: Annotated[int, Field(ge=1)]
    """Latents shown in the norm-ratio scatters (F9); a random sample if there are more."""
    spectrum_components: Annotated[int, Field(ge=1)]
    """Leading components shown in the spectrum figure (F5)."""


class QuantitiesStep(Nulls, Seeded):
    """What `report quantities` depends on."""


class DocumentsStep(Resampling, Seeded):
    """What `report documents` depends on."""


class GeometryPlotsStep(GeometryFigures, Seeded):
    """What `report geometry-plots` depends on."""


class DiagramsStep(Sizes):
    """What `report diagrams` depends on."""


class AuditStep(Audited, ReportConfidence):
    """What `report audit` depends on."""


class ArmsStep(ReportConfidence):
    """What `report arms` depends on."""


class PageStep(Switchable, Sizes):
    """What `report page` depends on: the sizes that it names."""
