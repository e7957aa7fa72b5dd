"""Loading integrated models: the initial and the trained model of a training's record.

Must not: train, or guess a configuration that the checkpoint does not contain.
"""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import model_validator

from fispace.devices import CPU
from fispace.errors import ArtifactMismatchError, ParamsError
from fispace.models.integrated import IntegratedModel
from fispace.store.checkpoint import load_checkpoint
from fispace.study.config.base import Config, Refusal
from fispace.study.config.parts import Pooling
from fispace.study.config.train import ArmModel, Rates, TrainArmStep


class TrainingRecord(Config):
    """Everything except the code that identifies a training. Checkpoints store it with the weights."""

    step: str
    """Chapter that trained it."""
    arm: str
    """Name of the arm, or `lr_candidate`."""
    row: ArmModel
    """The arm's row in train.arms."""
    seed: int
    """Seed of the initial weights, the dropout and the order of the data."""
    rates: Rates | None
    """Peak learning rates; null if the arm was not trained here."""
    params: TrainArmStep
    """Parameters, with what was computed or chosen: the number of latents of a matched arm, the precision of
    the selection, and the initial weights and dropout of a tuned arm."""
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


class ImportedRecord(TrainingRecord):
    """Record of an SAE that was trained elsewhere; it has no `rates`, and `params` hold its own sizes."""

    peer: str
    """Tool that wrote the imported folder."""
    hook_name: str | None
    """Hook point by the tool's name; null if the folder does not say."""


class Trained(NamedTuple):
    """A trained model in evaluation mode, and the record of its training."""

    model: IntegratedModel
    record: TrainingRecord


def training_record(values: dict[str, Any], path: Path) -> TrainingRecord:
    """The training record stored in the checkpoint `path`.

    Raises:
        ArtifactMismatchError: if it is not the record of a training; the message names the faulty key.
    """
    kind = ImportedRecord if "peer" in values else TrainingRecord
    try:
        return kind.read(values, "record")
    except ParamsError as error:
        raise ArtifactMismatchError(
            f"{path} does not contain the record of a training: {error} It was altered, or made by "
            "another version; run the rule that trains it again."
        ) from None


def initial_model(record: TrainingRecord) -> IntegratedModel:
    """The model before the first step of the training that `record` describes.

    If the arm copies a frozen SAE, its weights are not in the record. This model then has the seed's
    initial SAE instead; loading the checkpoint sets the trained weights.
    """
    return IntegratedModel(
        record.d_model, record.params, record.row.parts, record.row.pooling,
        root_seed=record.params.root_seed, seed=record.seed,
    )  # fmt: skip


def load_trained(path: Path, expected: dict[str, Any], device: torch.device = CPU) -> Trained:
    """Trained model on the device, its record in agreement with `expected`; without dropout and gradients.

    Raises:
        ArtifactError: if the checkpoint is missing or damaged.
        ArtifactMismatchError: if the record or the weights do not agree with what is expected.
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
    return Trained(model.to(device).eval().requires_grad_(False), record)


def with_pooling(trained: Trained, pooling: Pooling) -> IntegratedModel:
    """The trained weights in a model with another pooling than the one used in training."""
    row = trained.record.row.changed(pooling=pooling)
    model = initial_model(trained.record.model_copy(update={"row": row}))
    model.load_state_dict(trained.model.state_dict())
    return model.eval().requires_grad_(False)
