"""Parameters of the geometry chapter."""

from typing import Annotated

from pydantic import Field

from fispace.study.config.base import Config, OnDevice, Positive, PositiveShare, Seeded

AtLeastOne = Annotated[int, Field(ge=1)]
AtLeastTwo = Annotated[int, Field(ge=2)]


class NormGroups(Config):
    """Division of latents by norm."""

    group_threshold: Positive
    """Squared decoder norm (standardised units) below which a latent belongs to the published group "low";
    the paper read 0.2 off its histogram."""


class TokenBatches(Config):
    """Batches of the test split."""

    batch_tokens: AtLeastTwo
    """Tokens of one batch on the test split, also for the published per-batch variance explained (1,024 in
    the author's code)."""


class Geometry(NormGroups, TokenBatches):
    """Measurements of decoder rows and contributions."""

    spectrum_first_share: PositiveShare
    """Share of d_model that the published PCA keeps as components; the paper keeps the first 1,000 of
    3,200."""
    spectrum_target: PositiveShare
    """Share of the kept components' variance that is to be reached."""
    gram_pairs: AtLeastOne
    """Pairs of latents sampled from the off-diagonal of the Gram matrix; all pairs if there are fewer."""
    top_share: PositiveShare
    """Share of d_model that counts as the largest coordinates of a decoder row, for the overlap between rows
    (250 of 3,200 in the author's code)."""
    functional_latents: AtLeastTwo
    """Latents that are removed one at a time to measure their functional contribution to the interaction; a
    random sample if the arm has more. Contributions to the decoders are measured for all latents."""
    n_published_batches: AtLeastOne
    """Batches over which the published variance explained is averaged (at most 10 in the author's code)."""

    def n_first(self, d_model: int) -> int:
        """Leading components that the published PCA keeps: 1,000 of 3,200 in the paper."""
        return max(1, round(self.spectrum_first_share * d_model))

    def n_top(self, d_model: int) -> int:
        """Coordinates that count as a row's largest: 250 of 3,200 in the author's code."""
        return max(1, round(self.top_share * d_model))


class GeometryArmStep(Geometry, Seeded, OnDevice):
    """What `geometry arm` depends on."""


class GeometryHeadsStep(TokenBatches, OnDevice):
    """What `geometry heads` depends on."""


class GeometryHistoryStep(NormGroups, Seeded):
    """What `geometry history` depends on."""
