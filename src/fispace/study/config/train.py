"""Parameters of the train chapter: sizes of a model, its training, and the rows of its arms."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from fispace.study.config.base import (
    Config,
    Count,
    Decay,
    Deviation,
    Distinct,
    ListOf,
    Rate,
    Refusal,
    Seeded,
    Share,
    Size,
    Threaded,
    require_a_batch,
)
from fispace.study.config.parts import Part, Pooling

OptimiserKind = Literal["adam", "row_sparse_adam", "half_precision_adam"]
SelectionDtype = Literal["float32", "bfloat16"]
TopkDtype = Literal["auto", "float32", "bfloat16"]
"""Precision of the encoder product that selects; auto: see `models.topk.selection_dtype`."""
SelectBy = Literal["pre_activation", "contribution"]
StandardisePer = Literal["split", "row_group"]
"""Whose mean and deviation standardise a token: the train split's, or those of its own row group."""
SMALLEST_HALF = 2.0**-24
"""Smallest positive float16 number."""


class ArmModel(Config):
    """What an arm's model is: its parts, whose SAE it copies, what it pools and whose size it has."""

    parts: Annotated[Distinct[Part], Field(min_length=1)]
    """Parts summed in the reconstruction; residual_sae is a second autoencoder of the same input,
    n_latents and k, trained on what the frozen one leaves over."""
    frozen_sae_from: str | None
    """Arm whose trained autoencoder is copied and frozen; null = its own is trained."""
    pooling: Pooling | None
    """What the interaction part's MLP reads, by the formulas of fispace.study.config.parts: pairs as
    published, or a control of the same size; null without that part."""
    matched_to: str | None
    """Arm whose parameter count this arm gets by its number of latents, to less than one latent's;
    null = train.n_latents."""

    @model_validator(mode="after")
    def _require_parts_that_fit(self) -> "ArmModel":
        if "sae" not in self.parts:
            raise Refusal("parts", "must hold 'sae'", list(self.parts))
        if "residual_sae" in self.parts and self.frozen_sae_from is None:
            raise Refusal(
                "parts",
                "the part 'residual_sae' is trained on what a frozen SAE leaves over; give the arm of "
                "that SAE in frozen_sae_from",
            )
        if (self.pooling is not None) != ("interaction" in self.parts):
            raise Refusal(
                "pooling",
                f"with parts={list(self.parts)}: an arm has a pooling if, and only if, it has the part "
                "'interaction'",
                self.pooling or "null",
            )
        return self


class ArmConfig(ArmModel):
    """One row of `train.arms`."""

    target: Literal["all", "full"]
    """Smallest Snakemake target that trains the arm: every run (all), or the controls of full."""


class InitConfig(Config):
    """Standard deviations of the initial weights outside the SAE."""

    factors: Deviation
    """Factor vectors."""
    linear: Deviation
    """Linear part."""
    mlp: Deviation
    """Layers after the factor pooling."""


class AuxKConfig(Config):
    """Revival of dead latents (Gao et al. 2024, appendix A.2)."""

    k: Size
    """Dead latents that reconstruct a token's error."""
    coefficient: Deviation
    """Weight of the auxiliary loss (1/32 in the source)."""
    dead_tokens: Count
    """A latent not active for this many tokens is dead."""


class OptimiserConfig(Config):
    """How the weights of every training move, whatever it trains, from its peak learning rate."""

    lr_end_fraction: Share
    """Learning rate at the end, as a share of the peak."""
    lr_decay_fraction: Share
    """Share of the steps over which the rate falls linearly from the peak to the end."""
    optimiser: OptimiserKind
    """adam; row_sparse_adam: a row without a gradient is left alone, its moments too;
    half_precision_adam: weights, gradients and moments are float16 numbers, as in the author's code."""
    adam_betas: Annotated[ListOf[Decay], Field(min_length=2, max_length=2)]
    """Decay rates of Adam's two moments."""
    adam_eps: Annotated[float, Field(gt=0, le=1)]
    """Added to the root of Adam's second moment."""
    grad_clip: Annotated[float, Field(gt=0)] | None
    """Largest norm of all gradients together, of the squared error summed over dimensions (mean over
    tokens); null = no clipping. Gradients of the mean over d_model dimensions are clipped at this over
    d_model."""

    @model_validator(mode="after")
    def _require_eps_in_half_precision(self) -> "OptimiserConfig":
        if self.optimiser == "half_precision_adam" and self.adam_eps < SMALLEST_HALF:
            raise Refusal(
                "adam_eps",
                f"is zero in float16, and Adam divides by it; give at least {SMALLEST_HALF:.2g}",
                self.adam_eps,
            )
        return self


class InitialWeights(Config):
    """How the parts beside the SAE start, and how they are kept from overfitting."""

    dropout: Decay
    """Probability of dropping an entry after the factor pooling, in training only."""
    init: InitConfig
    """Standard deviations of the initial weights outside the autoencoder."""


class Sizes(Config):
    """Sizes of an integrated model."""

    n_latents: Size
    """Latents of the sparse autoencoder (50,000 in the paper)."""
    k: Size
    """Latents that may be active per token (1,024 in the paper)."""
    d_embed: Annotated[int, Field(ge=1, le=100_000)]
    """Width of the factor vectors (300 in the paper)."""

    @model_validator(mode="after")
    def _require_k_of_the_latents(self) -> "Sizes":
        if self.k > self.n_latents:
            raise Refusal("k", f"must be <= n_latents={self.n_latents}", self.k)
        return self


class BatchSize(Config):
    """Size of a batch."""

    batch_tokens: Annotated[int, Field(ge=1, le=100_000_000)]
    """Tokens of one optimiser step."""


class Recorded(Config):
    """How tokens are shuffled, and which steps are noted."""

    pool_groups: Annotated[int, Field(ge=1, le=100_000)]
    """Row groups mixed in memory when tokens are shuffled."""
    log_every: Annotated[int, Field(ge=1, le=1_000_000_000)]
    """Steps between rows of the training curve."""
    val_every: Annotated[int, Field(ge=1, le=1_000_000_000)]
    """Steps between validations, and between rows of the latents' history."""


class Switchable(OptimiserConfig, BatchSize, InitialWeights):
    """Parameters of a training that the audit may replace by those of the published study."""

    n_tokens: Count
    """Token presentations of one training."""
    standardise_per: StandardisePer
    """Whose mean and deviation standardise a token in training: split = the train split's, stored;
    row_group = those of its own extract.row_group_tokens, as in the author's code."""

    @model_validator(mode="after")
    def _require_a_step(self) -> "Switchable":
        require_a_batch(self.n_tokens, self.batch_tokens)
        return self

    @property
    def n_steps(self) -> int:
        """Optimiser steps of one training."""
        return self.n_tokens // self.batch_tokens


class ArmTraining(Switchable, Sizes, Recorded):
    """What every arm's training shares."""

    renamed: ClassVar[dict[str, str]] = {
        "select_in": "topk_dtype",
        "mean_tokens": "interaction_mean_tokens",
    }

    topk_dtype: TopkDtype
    """Precision of the encoder product; in bfloat16 it picks 1.5 k candidates, and the k largest of
    their float32 pre-activations are kept. auto: bfloat16 where that is faster: on a processor with
    instructions for such products, with more than 262,144 encoder weights and at least 32 latents for
    each one chosen. Decided on the machine that trains, by `n_latents` and `k` for all arms alike, and
    kept in each checkpoint."""
    select_by: SelectBy
    """What the k latents of a token are the largest by: their pre-activation, or that times the length
    of their decoder row."""
    subtract_bias: bool
    """While an arm with a bias trains its own SAE, the encoder reads the activation less that bias (Gao
    et al. 2024, section 2.2); afterwards the encoder's bias holds the difference."""
    aux_k: AuxKConfig | None
    """Auxiliary loss that revives dead latents (Gao et al. 2024, appendix A.2); null = off."""
    interaction_mean_tokens: Count
    """Train tokens that the interaction's constant output is the mean over, in evenly spaced row
    groups: about so many, all where there are fewer."""
    prefetch_batches: Annotated[int, Field(ge=1, le=1000)]
    """Batches read ahead on a thread."""


class TrainArmStep(ArmTraining, Seeded, Threaded):
    """What every training depends on, whichever arm."""


class ChooseLrStep(Config):
    """What `train choose-lr` depends on."""

    lr_candidates: Annotated[Distinct[Rate], Field(min_length=1, max_length=100)]
    """Peak learning rates; the best on arm sae's validation FVU is used for all arms. One = fixed."""
