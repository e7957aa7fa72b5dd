"""Parameters of the factorial chapter."""

from itertools import product
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from fispace.study.config.base import (
    Config,
    Count,
    Distinct,
    InnerShare,
    ListOf,
    OnDevice,
    PlainText,
    Refusal,
    Seeded,
    Share,
    Size,
    require_a_batch,
)
from fispace.study.config.extract import BosOption, Windows
from fispace.study.config.hypotheses import (
    CalibrationConfig,
    EquivalenceConfig,
    ExclusionConfig,
    Hypothesis,
)
from fispace.study.config.lm import ReadsLm
from fispace.study.config.train import BatchSize, OptimiserConfig, Recorded
from fispace.study.names import (
    factor_name,
    hypothesis_name,
    require_different,
    require_distinct_cells,
)

IDENTITY = 1.0
"""Multiplier that leaves a latent unchanged; effects are differences from it."""

ColumnName = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$", max_length=60)]
FactorName = Annotated[ColumnName, AfterValidator(factor_name)]
HypothesisName = Annotated[ColumnName, AfterValidator(hypothesis_name)]
FactorLevel = Annotated[PlainText, Field(min_length=1, max_length=60)]
Multiplier = Annotated[float, Field(ge=-1000, le=1000)]


class FactorConfig(Config):
    """One factor of a battery: its column and its two levels."""

    name: FactorName
    """Column of the battery."""
    levels: ListOf[FactorLevel]
    """Its two different levels; the first has index 0."""

    @model_validator(mode="after")
    def _require_two_levels(self) -> "FactorConfig":
        if len(self.levels) != 2 or len(set(self.levels)) != 2:
            must = f"{self.name!r} needs two different levels, got {list(self.levels)}"
            raise Refusal("levels", must)
        try:
            require_different(*self.levels)
        except ValueError as error:
            raise Refusal("levels", str(error)) from None
        return self


class Factors(Config):
    """The two factors."""

    factors: ListOf[FactorConfig]
    """The two factors. With levels indexed 0 and 1, the interaction contrast is y11 - y10 - y01 + y00."""

    @model_validator(mode="after")
    def _require_two_names(self) -> "Factors":
        names = [factor.name for factor in self.factors]
        if len(names) != 2 or len(set(names)) != 2:
            raise Refusal("factors", f"a 2x2 analysis needs two different factors, got {names}")
        try:
            require_distinct_cells(list(product(*(factor.levels for factor in self.factors))))
        except ValueError as error:
            raise Refusal("factors", str(error)) from None
        return self


class StimulusHalves(Config):
    """Which stimuli are used, and their division into a select and a confirm half."""

    variant: PlainText | None
    """Value of the battery's column `variant` whose rows are used; null where it has no such column."""
    select_fraction: InnerShare
    """Share of the items on which latents are selected; the tests run on the others."""
    clamp_items: Annotated[int, Field(ge=2, le=100_000)] | None
    """Number of confirm items whose texts are prompts for measuring clamps, besides all neutral prompts: the
    first by name, or all if null. Every word is scored after each prompt under every clamp."""


class Alpha(Config):
    """Level of the tests."""

    alpha: InnerShare
    """Level of every test; intervals have confidence 1 - alpha."""


class Permutations(Alpha):
    """Permutation tests."""

    n_permutations: Annotated[int, Field(ge=19, le=1_000_000)]
    """Random sign flips of a permutation test; all patterns of signs if there are no more than this."""


class Candidates(Config):
    """Latents chosen on the select half and tested on the confirm half."""

    n_candidates: Annotated[int, Field(ge=1, le=1000)]
    """Secondary latents chosen on the select half and tested on the confirm half, with equal numbers of
    insensitive and of random controls."""


class Clamps(Config):
    """Multipliers of clamped latents."""

    clamps: Annotated[Distinct[Multiplier], Field(min_length=2, max_length=100)]
    """Multipliers of a clamped latent (paper). 1 must be among them: effects are differences from it."""

    @model_validator(mode="after")
    def _require_identity(self) -> "Clamps":
        if IDENTITY not in self.clamps:
            raise Refusal(
                "clamps",
                "must hold the multiplier 1: effects are differences from it",
                list(self.clamps),
            )
        return self


class AddedErrors(Config):
    """Treatment of the autoencoders' errors."""

    add_back_errors: bool
    """Whether the errors of the reconstruction and of the secondary SAE are added back, which makes the
    multiplier 1 the identity (false: as in the paper)."""


class ContextBatches(Config):
    """Batches of contexts."""

    batch_contexts: Annotated[int, Field(ge=1, le=1_000_000)]
    """Token sequences scored in one forward pass."""


class Interventions(Candidates, Clamps, AddedErrors, ContextBatches):
    """Values to which latents are set, and the batches in which response words are scored."""

    quantiles: Annotated[Distinct[Share], Field(max_length=20)]
    """A latent is also set to each of these quantiles of its non-zero activations on the select half, at
    every token."""


class Calibration(Alpha, Candidates):
    """Calibration on simulated data."""

    calibration: CalibrationConfig
    """False positives and power of the complete select-confirm procedure on simulated data (target
    full)."""


class SecondaryConfig(Config):
    """The TopK SAE on the interaction part's first MLP layer."""

    expansion: Annotated[int, Field(ge=1, le=10_000)]
    """Latents per dimension of train.d_embed (25 in the paper)."""
    k: Size
    """Latents that may be active per token (250 in the paper)."""
    n_tokens: Count
    """Tokens presented in its training, repetitions included."""
    standardiser_tokens: Annotated[int, Field(ge=2, le=1_000_000_000_000)]
    """Train tokens from which the mean and standard deviation of its input are estimated."""


class GenerationConfig(Config):
    """Greedy and sampled continuations of the first contexts, and counts of response words in them."""

    n_contexts: Annotated[int, Field(ge=1, le=100_000)]
    """Number of contexts that are continued."""
    n_tokens: Annotated[int, Field(ge=1, le=10_000)]
    """Tokens of a continuation."""
    temperature: Annotated[float, Field(gt=0, le=100)]
    """Temperature of the sampled continuations."""
    clamps: Annotated[Distinct[Multiplier], Field(min_length=1)]
    """Multipliers of a clamped latent."""


class Continuations(AddedErrors):
    """Continuations under an intervention."""

    generation: GenerationConfig
    """Greedy and sampled continuations of the first contexts, and counts of response words in them."""


class Families(Config):
    """Hypotheses, declared before the run."""

    hypotheses: Annotated[dict[HypothesisName, Hypothesis], Field(min_length=1)]
    """Families of hypotheses by name: the interaction contrast of a response is zero, for some kinds of
    latents and controls. Each family is corrected as a whole, over all seeds."""
    equivalence: EquivalenceConfig
    """Bounds of the equivalence tests (TOST); an effect within them counts as none."""
    exclusions: ExclusionConfig
    """Which rows are left out of their family before it is corrected; they stay in the table, marked."""

    @model_validator(mode="after")
    def _require_disjoint(self) -> "Families":
        rows = [(h.response, kind) for h in self.hypotheses.values() for kind in h.kinds]
        twice = sorted({row for row in rows if rows.count(row) > 1})
        if twice:
            raise Refusal(
                "hypotheses",
                f"{twice[0][0]} of the kind {twice[0][1]!r} is in two families; a hypothesis "
                "belongs to one",
            )
        return self


class BatteryStep(Factors, StimulusHalves, Seeded):
    """What `factorial battery` depends on."""


class BatteryActivationsStep(Windows, ReadsLm, OnDevice):
    """What `factorial activations` depends on."""


class SecondaryStep(SecondaryConfig, OptimiserConfig, BatchSize, Recorded, Seeded, OnDevice):
    """What `factorial secondary` depends on: the secondary SAE and the study's optimiser."""

    @model_validator(mode="after")
    def _require_a_step(self) -> "SecondaryStep":
        require_a_batch(self.n_tokens, self.batch_tokens)
        return self

    @property
    def n_steps(self) -> int:
        """Optimiser steps of one training."""
        return self.n_tokens // self.batch_tokens


class ResponsesStep(BatchSize, OnDevice):
    """What `factorial responses` depends on."""


class DiscoverStep(Factors, Permutations, Candidates, Seeded):
    """What `factorial discover` depends on."""


class ListedPairs(Config):
    """Pairs of primary latents in the table."""

    n_pairs: Annotated[int, Field(ge=1, le=10_000)]
    """Strongest pairs of primary latents listed for each chosen secondary latent."""


class PairsStep(ListedPairs, OnDevice):
    """What `factorial pairs` depends on."""


class ClampStep(Factors, Interventions, BosOption, ReadsLm, Seeded, OnDevice):
    """What `factorial clamp` depends on."""


class GenerateStep(Continuations, BosOption, ReadsLm, Seeded, OnDevice):
    """What `factorial generate` depends on."""


class ResponseHistogram(Config):
    """Histogram of what a single primary latent does."""

    histogram_bins: Annotated[int, Field(ge=1, le=10_000)]
    """Bins of the secondary activations of a primary latent (F3)."""


class SingleLatentStep(ResponseHistogram, OnDevice):
    """What `factorial single-latent-response` depends on."""


class InferStep(Factors, Permutations, Clamps, Families, Seeded):
    """What `factorial infer` depends on: the families of hypotheses, declared before the run."""


class GroundTruthStep(Factors, Permutations, ContextBatches, BosOption, ReadsLm, Seeded, OnDevice):
    """What `factorial ground-truth` depends on."""


class CalibrateStep(Factors, Calibration, Seeded):
    """What `factorial calibrate` depends on."""
