"""Parameters of the geometry chapter."""

from typing import Annotated

from pydantic import Field

from fispace.study.config.base import Config, Positive, PositiveShare, Seeded, Threaded

AtLeastOne = Annotated[int, Field(ge=1)]
AtLeastTwo = Annotated[int, Field(ge=2)]


class NormGroups(Config):
    """Which latents count as low."""

    group_threshold: Positive
    """Squared decoder norm below which a latent counts as low in the published groups (standardised
    units); the paper read 0.2 off its histogram."""


class Geometry(NormGroups):
    """What is measured of decoder rows and contributions."""

    spectrum_first_share: PositiveShare
    """Share of d_model that the published PCA takes for all components; the paper looks at 1,000 of
    3,200."""
    spectrum_target: PositiveShare
    """Share of the variance that the counted components must hold."""
    gram_pairs: AtLeastOne
    """Pairs of latents for the off-diagonal of the Gram matrix; all pairs if there are fewer."""
    top_share: PositiveShare
    """Share of d_model that counts as a decoder row's largest coordinates in their overlap (the
    author's code: 250 of 3,200)."""
    functional_latents: AtLeastTwo
    """Latents whose functional contribution to the interaction is measured, each taken out alone; drawn
    at random where the arm has more. Those of the decoders are always measured for all."""
    batch_tokens: AtLeastTwo
    """Tokens of one batch, for running the model on the test split and for the published per-batch
    variance explained (1,024 in the author's code)."""
    n_published_batches: AtLeastOne
    """Batches over which the published variance explained is averaged (author's code: at most 10)."""

    def n_first(self, d_model: int) -> int:
        """Leading components that the published PCA looks at: 1,000 of 3,200 in the paper."""
        return max(1, round(self.spectrum_first_share * d_model))

    def n_top(self, d_model: int) -> int:
        """Coordinates that count as a row's largest: 250 of 3,200 in the author's code."""
        return max(1, round(self.top_share * d_model))


class GeometryArmStep(Geometry, Seeded, Threaded):
    """What `geometry arm` depends on."""


class GeometryHistoryStep(NormGroups, Seeded):
    """What `geometry history` depends on."""
