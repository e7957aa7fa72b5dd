"""Integrated models from checkpoints: the initial model of a training's record, and the trained one.

Must not: train, or guess a configuration that the checkpoint does not carry.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, get_args

from fispace.errors import ArtifactMismatchError
from fispace.models.integrated import IntegratedModel
from fispace.models.shape import ModelShape
from fispace.store.checkpoint import load_checkpoint
from fispace.study.config.arms import arm_config
from fispace.study.config.train import (
    ControlArmConfig,
    InitConfig,
    Pooling,
    SelectBy,
    SelectionDtype,
)


class Trained(NamedTuple):
    """A trained model in evaluation mode, and the record of its training."""

    model: IntegratedModel
    record: dict[str, Any]


def initial_model(record: dict[str, Any]) -> IntegratedModel:
    """The model as it was before the first step of the training that `record` describes.

    A frozen SAE that the arm copies is not in the record: its weights are those of the seed's
    initial SAE here, and the trained ones only after loading.

    Raises:
        ArtifactMismatchError: if the record says that latents are selected in no way there is.
    """
    params = record["params"]
    for key, allowed in (("select_in", SelectionDtype), ("select_by", SelectBy)):
        if params[key] not in get_args(allowed):
            raise ArtifactMismatchError(
                f"The record of a training has {key}={params[key]!r} where one of "
                f"{', '.join(get_args(allowed))} belongs. The file was altered; run the rule that "
                "trains it again."
            )
    shape = ModelShape(
        record["d_model"], params["n_latents"], params["k"], params["d_embed"], params["dropout"],
        params["select_in"], params["select_by"],
    )  # fmt: skip
    row = arm_config(record["row"], "row")
    if isinstance(row, ControlArmConfig) and row.pooling is not None:
        shape = replace(shape, pooling=row.pooling)
    init = InitConfig.read(params["init"], "init")
    return IntegratedModel(shape, row.parts, init, params["root_seed"], record["seed"])


def load_trained(path: Path, expected: dict[str, Any]) -> Trained:
    """Trained model whose record agrees with `expected`; dropout off, no gradients.

    Raises:
        ArtifactError: if the checkpoint is missing or damaged.
        ArtifactMismatchError: if record or weights do not belong to what is expected.
    """
    weights, record = load_checkpoint(path, expected)
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
    row = {"matched_to": None} | trained.record["row"] | {"pooling": pooling}
    model = initial_model(trained.record | {"row": row})
    model.load_state_dict(trained.model.state_dict())
    return model.eval().requires_grad_(False)
