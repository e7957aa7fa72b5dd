"""Integrated models of trainings: the initial model of a training's record, and the trained one.

Must not: train, or guess a configuration that the checkpoint does not carry.
"""

from pathlib import Path
from typing import Any, NamedTuple

from pydantic import model_validator

from fispace.errors import ArtifactMismatchError, ParamsError
from fispace.models.integrated import IntegratedModel
from fispace.models.parts import ModelShape
from fispace.store.checkpoint import load_checkpoint
from fispace.study.config.base import Config, Refusal
from fispace.study.config.parts import Pooling
from fispace.study.config.train import ArmModel, ArmTraining, TrainArmStep


class TrainingRecord(Config):
    """What identifies a training: everything but the code. A checkpoint carries it beside the weights."""

    step: str
    """Chapter that trained it."""
    arm: str
    """Name of the arm, or `lr_candidate`."""
    row: ArmModel
    """The arm's row in train.arms."""
    seed: int
    """Seed of the initial weights, the dropout and the order of the data."""
    lr: float
    """Peak learning rate."""
    params: TrainArmStep
    """Parameters, with the number of latents of a matched arm and the precision that was decided."""
    d_model: int
    """Width of the activations."""
    manifest: str
    """SHA-256 of the activation store's manifest."""
    standardiser: str
    """SHA-256 of the standardiser."""

    @model_validator(mode="after")
    def _require_a_decided_precision(self) -> "TrainingRecord":
        if self.params.topk_dtype == "auto":
            raise Refusal(("params", "topk_dtype"), "must be decided by the training", "'auto'")
        return self


class Trained(NamedTuple):
    """A trained model in evaluation mode, and the record of its training."""

    model: IntegratedModel
    record: TrainingRecord


def training_record(values: dict[str, Any], path: Path) -> TrainingRecord:
    """The record that the checkpoint in `path` carries.

    Raises:
        ArtifactMismatchError: if it is not the record of a training; the message names the key.
    """
    try:
        return TrainingRecord.read(values, "record")
    except ParamsError as error:
        raise ArtifactMismatchError(
            f"{path} does not carry the record of a training: {error} It was altered, or made by "
            "another version; run the rule that trains it again."
        ) from None


def model_shape(params: ArmTraining, arm: ArmModel, d_model: int) -> ModelShape:
    """Sizes and choices of an arm's model, its precision decided."""
    assert params.topk_dtype != "auto"
    return ModelShape(
        d_model=d_model,
        n_latents=params.n_latents,
        k=params.k,
        d_embed=params.d_embed,
        dropout=params.dropout,
        topk_dtype=params.topk_dtype,
        select_by=params.select_by,
        pooling=arm.pooling,
    )


def initial_model(record: TrainingRecord) -> IntegratedModel:
    """The model as it was before the first step of the training that `record` describes.

    A frozen SAE that the arm copies is not in the record: its weights are those of the seed's
    initial SAE here, and the trained ones only after loading.
    """
    shape = model_shape(record.params, record.row, record.d_model)
    params = record.params
    return IntegratedModel(shape, record.row.parts, params.init, params.root_seed, record.seed)


def load_trained(path: Path, expected: dict[str, Any]) -> Trained:
    """Trained model whose record agrees with `expected`; dropout off, no gradients.

    Raises:
        ArtifactError: if the checkpoint is missing or damaged.
        ArtifactMismatchError: if record or weights do not belong to what is expected.
    """
    weights, values = load_checkpoint(path, expected)
    record = training_record(values, path)
    model = initial_model(record)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ArtifactMismatchError(
            f"{path}: the weights do not fit the configuration stored with them ({error}). "
            "The file was altered; run the rule that trains it again."
        ) from None
    return Trained(model.eval().requires_grad_(False), record)


def with_pooling(trained: Trained, pooling: Pooling) -> IntegratedModel:
    """The trained weights in a model whose interaction part pools otherwise than it was trained to."""
    row = trained.record.row.changed(pooling=pooling)
    model = initial_model(trained.record.model_copy(update={"row": row}))
    model.load_state_dict(trained.model.state_dict())
    return model.eval().requires_grad_(False)
