"""Parameters of the interactions chapter."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fispace.study.config.base import (
    Config,
    InnerShare,
    ListOf,
    OnDevice,
    PositiveShare,
    Refusal,
    Seed,
    Seeded,
    Share,
    Threaded,
)
from fispace.study.config.lm import ReadsLm
from fispace.study.config.planted import WorldTraining


class OwnTerms(Config):
    """Fit of what each latent does alone, which is removed before pairs are tested."""

    max_steps: Annotated[int, Field(ge=1, le=10_000)]
    """Largest number of conjugate-gradient steps."""
    tolerance: InnerShare
    """The fit ends when the norm of every column's gradient has fallen to this share of the first."""


class Tail(Config):
    """Part of the pairs from which the tail of the empirical null is extrapolated."""

    begin: Annotated[float, Field(ge=0.5, lt=1)]
    """Quantile of the statistics at which the tail begins."""
    end: Annotated[float, Field(gt=0.5, lt=1)]
    """Quantile up to which the tail is fitted; pairs above it may be interactions and do not enter the fit."""

    shape: Annotated[float, Field(ge=0, le=1)]
    """Shape of the generalised Pareto tail: 0 is an exponential one; the larger, the heavier."""

    @model_validator(mode="after")
    def _require_order(self) -> "Tail":
        if self.begin >= self.end:
            raise Refusal("begin", f"must be < end={self.end}", self.begin)
        return self


class Conjunctions(Config):
    """The search for latents that are the conjunction of two others."""

    n_candidates: Annotated[int, Field(ge=2, le=64)]
    """Latents that may be parents of a latent; all pairs of them are tested."""
    presence: InnerShare
    """Share of its mean code from which on a parent counts as present where the latent is taken out."""
    min_lift: Annotated[float, Field(ge=1, le=1000)]
    """How many times as often as with one parent alone the latent must fire where both are present."""
    min_ratio: InnerShare
    """Smallest slope of the latent's new direction in the product of its parents, over that of a proportional
    fit: 1 for a product, 0 for a direction that is there whenever both parents are."""


class TestedSplit(Config):
    """The latents and tokens on which pairs are tested."""

    arm: str
    """Arm of train.arms whose latents are tested."""
    split: Literal["train", "val", "test"]
    """Split of the activations. The latents were learned on train; no pair was chosen there."""
    max_tokens: Annotated[int, Field(ge=1000, le=100_000_000)]
    """Tokens that are used at most, in whole row groups that are evenly spaced over the split. Their residuals
    are held in memory: 8 bytes x d_model for each."""


class TestedCodes(Config):
    """Codes on which pairs are tested."""

    refit: bool
    """Whether magnitudes are refitted to the activation by non-negative least squares on the active latents."""
    pursue: bool
    """Whether the refit may use one more latent per token: the one whose row points most along the residual.
    It follows the noise of superposition as well (Chanin & Garriga-Alonso 2026)."""
    max_cosine: InnerShare
    """Cosine of two decoder rows above which their latents count as one split feature. Their codes are
    joined before pairs are tested."""


class SplitCodes(TestedSplit, TestedCodes):
    """Codes of the tested arm on the tested tokens."""


class PairTest(TestedCodes):
    """The test of all pairs of latents that fire together, and how a pair's verdict is decided."""

    min_cofirings: Annotated[int, Field(ge=10)]
    """Tokens on which both latents of a pair must fire for it to be tested."""
    n_blocks: Annotated[int, Field(ge=8, le=1024)]
    """Groups of documents; a document is in one of them only. They are the independent units of every test."""
    own_terms: OwnTerms
    """Fit of what each latent does alone, which is removed before pairs are tested."""
    tail: Tail
    """Part of the pairs from which the tail of the empirical null is extrapolated."""
    fdr: InnerShare
    """False-discovery rate of the claimed pairs (Benjamini & Hochberg 1995)."""
    min_reliability: Share
    """Share of a latent's firings that must each explain more than noise would; a pair with a latent below it
    is not tested."""
    max_overlap: InnerShare
    """Tokens on which both latents fire / tokens on which either fires, above which they count as split."""
    conjunction: Conjunctions
    """The search for latents that are the conjunction of two others."""


class Matching(Config):
    """When latents of two seeds are the same."""

    match_cosine: InnerShare
    """Smallest cosine of the decoder rows of two seeds' latents that count as the same latent."""


class PairLists(Matching):
    """Which pairs are listed."""

    n_listed: Annotated[int, Field(ge=1, le=100_000)]
    """Pairs listed for each seed, interactions first."""


class PairContexts(Config):
    """What is shown of a listed pair."""

    n_shown: Annotated[int, Field(ge=1, le=1000)]
    """Listed pairs of each seed whose contexts are shown."""
    n_contexts: Annotated[int, Field(ge=1, le=1000)]
    """Contexts of each pair on which both latents fire, only the first, and only the second."""
    context_tokens: Annotated[int, Field(ge=1, le=1000)]
    """Tokens shown before and after the token of a context."""
    n_tokens: Annotated[int, Field(ge=1, le=100)]
    """Tokens that describe a latent: those with the largest share of its summed magnitude."""


class PairLabels(Config):
    """What the figure labels."""

    n_labelled: Annotated[int, Field(ge=0, le=100)]
    """Pairs that the figure labels with their latents' tokens, those that are listed first."""


class SpikeConfig(Config):
    """Products of two latents' codes that are added to the activations, to see how small ones are found."""

    seed: Seed
    """Seed whose SAE is tested."""
    donor_seed: Seed
    """Seed whose SAE gives the codes of the products; another one than `seed`. If it is none of train.seeds,
    its SAE is trained for this alone."""
    n_pairs: Annotated[int, Field(ge=2, le=10_000)]
    """Pairs that get a product, all at the same time, no latent in two of them."""
    shares: Annotated[ListOf[PositiveShare], Field(min_length=1)]
    """Sum of squares of each product, beyond the own terms of its latents, over that of the tested SAE's
    residual."""
    power: InnerShare
    """Share of the pairs to be found, for which the smallest product is interpolated."""

    @model_validator(mode="after")
    def _require_another_seed(self) -> "SpikeConfig":
        if self.seed == self.donor_seed:
            raise Refusal(
                "donor_seed",
                f"must be another seed than seed={self.seed}: the tested SAE would be given its own codes",
                self.donor_seed,
            )
        if list(self.shares) != sorted(set(self.shares)):
            raise Refusal("shares", "must rise, and hold none twice", list(self.shares))
        return self


class Spikes(Config):
    """Products that are added to the activations."""

    spike: SpikeConfig
    """Products of two latents' codes that are added to the activations, to see how small ones are found."""


class WorldTest(Config):
    """The test on simulated activations."""

    world_min_cofirings: Annotated[int, Field(ge=10)]
    """`min_cofirings` in a world, which has fewer tokens and features than a language model."""


class NullWorlds(Config):
    """Simulated activations without planted pairs."""

    n_null_worlds: Annotated[int, Field(ge=1, le=10_000)]
    """Worlds without planted pairs in which claims are counted, beside those of testbed.planted.worlds."""


class SimulatedIntervals(Config):
    """Intervals of the checks on simulated data."""

    confidence: InnerShare
    """Coverage of the intervals over worlds, and over the pairs that a product was added to."""


class Interactions(
    TestedSplit,
    PairTest,
    PairLists,
    PairContexts,
    PairLabels,
    Spikes,
    WorldTest,
    NullWorlds,
    SimulatedIntervals,
):
    """Which pairs of latents combine: a test on what the SAE leaves unexplained."""


class InteractionsPairsStep(SplitCodes, PairTest, OnDevice):
    """What `interactions pairs` depends on."""


class InteractionsTableStep(PairLists):
    """What `interactions table` depends on."""


class InteractionsContextsStep(SplitCodes, PairContexts, ReadsLm, OnDevice):
    """What `interactions contexts` depends on."""


class InteractionsPlotsStep(PairLabels):
    """What `interactions plots` depends on."""


class InteractionsRecoveryStep(WorldTest, PairTest, WorldTraining, Threaded):
    """What `interactions recovery` depends on."""


class InteractionsPowerStep(
    SplitCodes, PairTest, Matching, Spikes, SimulatedIntervals, Seeded, OnDevice
):
    """What `interactions power` depends on."""


class InteractionsRecoverySummaryStep(SimulatedIntervals):
    """What `interactions recovery-summary` depends on."""
