"""Models and records without a training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from train.small_training import PARAMS, arm_row

from fispace.models.integrated import IntegratedModel
from fispace.models.trained import TrainingRecord
from fispace.store.files import sha256_of
from fispace.study.config.parts import Part, Pooling
from fispace.study.config.train import ArmModel, ModelConfig, Rates


def untrained(
    parts: Sequence[Part], *, d_model: int, pooling: Pooling | None = "pairs", root_seed: int = 0,
    seed: int = 0, **config: Any,
) -> IntegratedModel:  # fmt: skip
    """A model with its initial weights; published selection and pooling and no dropout, unless changed."""
    published = {"topk_dtype": "float32", "select_by": "pre_activation", "dropout": 0.0}
    return IntegratedModel(
        d_model, ModelConfig(**(published | config)), parts, pooling,
        root_seed=root_seed, seed=seed,
    )  # fmt: skip


def record_of(
    arm: str, row: dict[str, Any], d_model: int, manifest: Path, standardiser: Path, **params: Any
) -> TrainingRecord:
    """Record of a training with seed 0 on this data; options missing in the row are as published."""
    return TrainingRecord(
        step="train", arm=arm, row=ArmModel.read(arm_row(**row), arm), seed=0,
        rates=Rates(sae=0.01, linear=0.01, interaction=0.01),
        params=PARAMS.changed(**params), d_model=d_model, manifest=sha256_of(manifest),
        standardiser=sha256_of(standardiser),
    )  # fmt: skip
