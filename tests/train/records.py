"""Shapes and records of models that were not trained."""

from pathlib import Path
from typing import Any

from train.small_training import PARAMS, arm_row

from fispace.models.parts import ModelShape
from fispace.models.trained import TrainingRecord
from fispace.store.files import sha256_of
from fispace.study.config.train import ArmModel


def model_shape(**sizes: Any) -> ModelShape:
    """A shape with published selection and pooling, unless changed."""
    published = {"topk_dtype": "float32", "select_by": "pre_activation", "pooling": "pairs"}
    return ModelShape(**(published | sizes))


def record_of(
    arm: str, row: dict[str, Any], d_model: int, manifest: Path, standardiser: Path, **params: Any
) -> TrainingRecord:
    """Record of a training with seed 0 on this data; options missing in the row are as published."""
    return TrainingRecord(
        step="train", arm=arm, row=ArmModel.read(arm_row(**row), arm), seed=0, lr=0.01,
        params=PARAMS.changed(**params), d_model=d_model, manifest=sha256_of(manifest),
        standardiser=sha256_of(standardiser),
    )  # fmt: skip
