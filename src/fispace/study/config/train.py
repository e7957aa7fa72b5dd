"""Parameters of the train chapter: sizes of a model, its training, and the rows of arms."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from fispace.study.config.base import (
    Config,
    Count,
    Decay,
    Deviation,
    Distinct,
    ListOf,
    OnDevice,
    Positive,
    PositiveShare,
    Rate,
    Refusal,
    Seeded,
    Share,
    Size,
    require_a_batch,
)
from fispace.study.config.parts import Part, Pooling

OptimiserKind = Literal["adam", "row_sparse_adam", "half_precision_adam"]
SelectionDtype = Literal["float32", "bfloat16"]
TopkDtype = Literal["auto", "float32", "bfloat16"]
"""Precision of the encoder product by which latents are selected; auto: see `models.topk.selection_dtype`."""
SelectBy = Literal["pre_activation", "contribution"]
StandardisePer = Literal["split", "row_group"]
"""Tokens whose mean and deviation standardise a token: the train split, or its own row group."""
SMALLEST_HALF = 2.0**-24
"""Smallest positive float16 number."""


class ArmModel(Config):
    """An arm's model: its parts, the SAE that it copies, its pooling, and the arm that it matches in size."""

    parts: Annotated[Distinct[Part], Field(min_length=1)]
    """Parts summed in the reconstruction. residual_sae is a second SAE with the same input, n_latents and k,
    trained on the error of the frozen one."""
    frozen_sae_from: str | None
    """Arm whose trained SAE is copied and frozen; null: the arm trains its own."""
    pooling: Pooling | None
    """Input of the interaction part's MLP, with the formulas of fispace.study.config.parts: pairs, as
    published, or a control of the same size. Null if the arm lacks that part."""
    matched_to: str | None
    """Arm whose number of parameters this arm has: its number of latents is chosen so that they differ by
    less than one latent's. Null: train.n_latents."""

    @model_validator(mode="after")
    def _require_parts_that_fit(self) -> "ArmModel":
        if "sae" not in self.parts:
            raise Refusal("parts", "must hold 'sae'", list(self.parts))
        if "residual_sae" in self.parts and self.frozen_sae_from is None:
            raise Refusal(
                "parts",
                "the part 'residual_sae' is trained on the error of a frozen SAE; give the arm of "
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
    """Smallest Snakemake target that trains the arm: all (every run) or full."""


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
    """Number of dead latents that reconstruct a token's error."""
    coefficient: Deviation
    """Weight of the auxiliary loss (1/32 in the source)."""
    dead_tokens: Count
    """A latent is dead if it was active on none of the last so many tokens."""


class OptimiserConfig(Config):
    """Optimiser and learning-rate schedule of every training, except the peak learning rate."""

    lr_end_fraction: Share
    """Learning rate at the end, as a share of the peak."""
    lr_decay_fraction: Share
    """Share of the steps over which the rate falls linearly from the peak to the end."""
    optimiser: OptimiserKind
    """adam; row_sparse_adam: rows without a gradient keep their weights and moments; half_precision_adam:
    weights, gradients and moments are float16, as in the author's code."""
    adam_betas: Annotated[ListOf[Decay], Field(min_length=2, max_length=2)]
    """Decay rates of Adam's two moments."""
    adam_eps: Annotated[float, Field(gt=0, le=1)]
    """Added to the root of Adam's second moment."""
    grad_clip: Annotated[float, Field(gt=0)] | None
    """Norm at which the gradients, taken together, are clipped; null: no clipping. It refers to the squared
    error summed over dimensions and averaged over tokens; gradients of the mean over dimensions are
    clipped at this divided by d_model."""

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
    """Initial weights and dropout of the parts other than the SAE."""

    dropout: Decay
    """Probability of dropping an entry of the pooled factors, in training only."""
    init: InitConfig
    """Standard deviations of the initial weights outside the SAE."""


Multiple = Annotated[float, Field(gt=0, le=1e30)]
"""Ratio of two learning rates."""


class Rates(Config):
    """Peak learning rates of an arm, by the part that a weight belongs to."""

    sae: Positive
    """Encoders, decoders and the bias."""
    linear: Positive
    """Linear part."""
    interaction: Positive
    """Interaction part."""


class Settings(InitialWeights):
    """What an arm is trained with where arms are tuned: rates, initial weights and dropout."""

    rates: Rates
    """Peak learning rates."""


class HeadTry(InitialWeights):
    """One of the settings that are tried for an arm with a linear or an interaction part.

    Rates are multiples of the one that was chosen on arm sae.
    """

    sae: Multiple
    """Multiple for the encoder, the decoder and the bias."""
    linear: Multiple
    """Multiple for the linear part."""
    interaction: Multiple
    """Multiple for the interaction part."""


class TuningConfig(Config):
    """How the settings of each arm are chosen."""

    token_share: PositiveShare
    """Tokens presented in one try, as a share of n_tokens."""
    heads: Annotated[Distinct[HeadTry], Field(min_length=1, max_length=100)]
    """Settings tried for an arm with a linear or an interaction part. An arm without these parts is tried at
    each of lr_candidates instead."""


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


class ModelConfig(Sizes, InitialWeights):
    """Parameters of a model, whatever its parts and its training."""

    topk_dtype: TopkDtype
    """Precision of the encoder product. In bfloat16 it picks 1.5 k candidates; among them, the k with the
    largest float32 pre-activations are kept. auto is bfloat16 if that is faster, else float32: the
    processor must have instructions for such products, the encoder more than 262,144 weights, and there
    must be at least 32 latents per selected one. The training's machine decides, from the study's
    `n_latents` and `k` for all arms alike, and the checkpoint records the decision."""
    select_by: SelectBy
    """Quantity by which the k largest latents of a token are selected: the pre-activation, or that times the
    norm of the decoder row (contribution)."""


class BatchSize(Config):
    """Size of a batch."""

    batch_tokens: Annotated[int, Field(ge=1, le=100_000_000)]
    """Tokens of one optimiser step."""


class Recorded(Config):
    """Shuffling of tokens, and which steps are logged."""

    pool_groups: Annotated[int, Field(ge=1, le=100_000)]
    """Row groups mixed in memory when tokens are shuffled."""
    log_every: Annotated[int, Field(ge=1, le=1_000_000_000)]
    """Steps between rows of the training curve."""
    val_every: Annotated[int, Field(ge=1, le=1_000_000_000)]
    """Steps between validations, and between rows of the latents' history."""


class Switchable(OptimiserConfig, BatchSize, InitialWeights):
    """Parameters of a training that a switch of the audit may replace."""

    n_tokens: Count
    """Tokens presented in one training, repetitions included."""
    tuned: bool
    """Whether each arm has its own settings, chosen by `tuning`. If not, all arms share the peak learning rate
    that suits arm sae, and `init` and `dropout`, as in the author's code."""
    standardise_per: StandardisePer
    """Tokens whose mean and deviation standardise a token in training. split: the whole train split (stored);
    row_group: its own row group of extract.row_group_tokens, as in the author's code."""

    @model_validator(mode="after")
    def _require_a_step(self) -> "Switchable":
        require_a_batch(self.n_tokens, self.batch_tokens)
        return self

    @property
    def n_steps(self) -> int:
        """Optimiser steps of one training."""
        return self.n_tokens // self.batch_tokens


class ArmTraining(Switchable, ModelConfig, Recorded):
    """Parameters that the trainings of all arms share."""

    renamed: ClassVar[dict[str, str]] = {
        "select_in": "topk_dtype",
        "mean_tokens": "interaction_mean_tokens",
    }

    subtract_bias: bool
    """Whether the encoder reads the activation minus the bias while an arm with a bias trains its own SAE (Gao
    et al. 2024, section 2.2). After training, the difference is moved into the encoder's bias."""
    cuda_dtype: SelectionDtype
    """Precision of the matrix products of a training on a GPU. In bfloat16 weights, gradients, moments and all
    sums stay float32 (mixed precision); the processor always multiplies in float32."""
    aux_k: AuxKConfig | None
    """Auxiliary loss that revives dead latents (Gao et al. 2024, appendix A.2); null: none."""
    interaction_mean_tokens: Count
    """Train tokens, approximately, over which the interaction's mean output is taken; they come from evenly
    spaced row groups. All tokens if there are fewer."""
    prefetch_batches: Annotated[int, Field(ge=1, le=1000)]
    """Batches that a thread reads ahead."""


class TrainArmStep(ArmTraining, Seeded, OnDevice):
    """What the training of an arm depends on, besides its row."""


class ChooseLrStep(Config):
    """What `train choose-lr` depends on."""

    lr_candidates: Annotated[Distinct[Rate], Field(min_length=1, max_length=100)]
    """Peak learning rates; the one with the lowest validation FVU of arm sae is used for all arms that are not
    tuned. A single one is used without a search."""


class TriedSettings(ChooseLrStep):
    """What the settings that are tried depend on, besides the arm."""

    tuning: TuningConfig
    """How the settings of each arm are chosen."""


class TuneArmStep(TriedSettings, InitialWeights):
    """What `train tune` depends on."""


class TryArmStep(TrainArmStep, TuneArmStep):
    """What `train try` depends on."""
