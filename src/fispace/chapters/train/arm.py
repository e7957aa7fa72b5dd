"""`train arm` and `train candidate`: every arm and seed by one function.

Must not: define a model or a loop; an arm is its row in params.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from fispace.devices import prepare
from fispace.errors import named_divergence
from fispace.models.fit import Schedule, fit
from fispace.models.integrated import IntegratedModel
from fispace.models.objective import ArmObjective
from fispace.models.parts import Widths, matched_n_latents
from fispace.models.sae import set_product_dtype
from fispace.models.topk import selection_dtype
from fispace.models.trained import (
    ImportedRecord,
    Trained,
    TrainingRecord,
    initial_model,
    load_trained,
)
from fispace.models.training_state import Checkpoints, CurveRow, surroundings
from fispace.seeds import stream_seed
from fispace.stats.metrics import FvuSums
from fispace.store.activations import ActivationStore
from fispace.store.batches import prefetched
from fispace.store.checkpoint import data_record, save_checkpoint
from fispace.store.files import read_json, sha256_of
from fispace.store.standardiser import (
    Standardiser,
    load_standardiser,
    standardised_alone,
    unit_standardiser,
)
from fispace.store.tables import write_table
from fispace.study.config.parts import Part
from fispace.study.config.train import ArmModel, TrainArmStep
from fispace.study.step import Reads, Scratch, Unrecorded, Writes, command

PLAIN_SAE = ArmModel(parts=("sae",), frozen_sae_from=None, pooling=None, matched_to=None)
"""The arm on which learning rates are tried."""


@command("train", "arm")
def train_arm(
    params: TrainArmStep, *, arm: str, row: str, matched_row: str | None, changed: str | None,
    seed: int, lr: Reads, manifest: Reads, standardiser: Reads, frozen: Reads | None,
    scratch: Scratch, checkpoint_seconds: Unrecorded[float], weights: Writes, curve: Writes,
    lifecycle: Writes,
) -> None:  # fmt: skip
    """Train one arm with one seed at the chosen rate; writes checkpoint, curve and history of the latents.

    `row` is the arm's row in params, as JSON. If `matched_row` is given, the number of latents is not
    `params.n_latents` but the one that matches the parameter count of the arm of that row. `changed`
    is a mapping, as JSON, of parameters that replace those of `params`; a smaller k cuts the codes of
    a copied SAE. If `params.topk_dtype` is auto, a copied SAE keeps selecting in the precision in
    which it was trained. An arm over an imported SAE has that SAE's number of latents and k.

    The training is saved in `scratch` every `checkpoint_seconds`. If it is killed, it continues from
    there and writes the same bytes as without the interruption.

    Raises:
        ArtifactError: if a shard is missing or altered.
        ArtifactMismatchError: if the frozen SAE was trained on other data or with other sizes.
        ParamsError: if a row does not describe an arm, or `changed` names something that is not a parameter
            of a training.
        DivergedError: if the loss becomes non-finite.
    """
    peak, own = float(read_json(lr)["lr"]), ArmModel.read(json.loads(row), f"train.arms.{arm}")
    if changed is not None:
        params = TrainArmStep.read(params.plain() | json.loads(changed), "train")
    copied = None
    if frozen is not None:
        shared = data_record(manifest, standardiser) | {"seed": seed}
        copied = load_trained(frozen, shared | {"arm": own.frozen_sae_from})
    device = prepare(params.threads, params.device)
    params = _decided(params, manifest, copied, device)
    if matched_row is not None:
        like = ArmModel.read(json.loads(matched_row), f"train.arms.{own.matched_to}")
        params = _matched(params, own, like, manifest)
    record = _record(params, arm, own, seed, peak, manifest, standardiser)
    model = initial_model(record).to(device)
    if copied is not None:
        model.sae.load_state_dict(copied.model.sae.state_dict())
        model.freeze_sae()
    else:
        model.subtracts_bias = params.subtract_bias and "bias" in model.parts
    store, units = _open(params, manifest, standardiser, device)
    identity = _identity(record, frozen, device)
    checkpoints = Checkpoints(scratch, identity, checkpoint_seconds)
    with named_divergence(f"arm {arm}, seed {seed}"):
        fitted = _fit(params, model, record, (store, units), checkpoints)
    model.absorb_bias()
    if "interaction" in model.parts:
        batches = _stored_batches(store, units, "train", params.interaction_mean_tokens)
        model.interaction.mean_output.copy_(mean_interaction(model, batches))
    save_checkpoint(weights, model.state_dict(), record.plain())
    write_table(curve, fitted.curve, record.plain())
    write_table(lifecycle, fitted.history, record.plain())
    checkpoints.remove()


@command("train", "candidate")
def train_candidate(
    params: TrainArmStep, *, lr: float, seed: int, manifest: Reads, standardiser: Reads,
    scratch: Scratch, checkpoint_seconds: Unrecorded[float], curve: Writes,
) -> None:  # fmt: skip
    """Train the arm `sae` at one candidate learning rate; writes only the curve.

    `scratch` and `checkpoint_seconds` are as in `train arm`.

    Raises:
        ArtifactError: if a shard is missing or altered.
        DivergedError: if the loss becomes non-finite.
    """
    device = prepare(params.threads, params.device)
    params = _decided(params, manifest, None, device)
    record = _record(params, "lr_candidate", PLAIN_SAE, seed, lr, manifest, standardiser)
    store, units = _open(params, manifest, standardiser, device)
    checkpoints = Checkpoints(scratch, _identity(record, None, device), checkpoint_seconds)
    with named_divergence(f"learning rate candidate {lr}, seed {seed}"):
        model = initial_model(record).to(device)
        fitted = _fit(params, model, record, (store, units), checkpoints)
    write_table(curve, fitted.curve, record.plain())
    checkpoints.remove()


@torch.no_grad()
def mean_interaction(model: IntegratedModel, batches: Iterator[Tensor]) -> Tensor:
    """Mean output of the interaction's MLP over the given tokens, accumulated in float64."""
    model.eval()
    total, n_tokens = torch.zeros_like(model.interaction.mean_output, dtype=torch.float64), 0
    for z in batches:
        codes = model.sae.encode(z)
        total += model.interaction.output(model.interaction.hidden(codes)).double().sum(0)
        n_tokens += len(z)
    return (total / n_tokens).float()


def _decided(
    params: TrainArmStep, manifest: Path, copied: Trained | None, device: torch.device
) -> TrainArmStep:
    """The parameters with the precision of the TopK selection decided, alike for arms of every size.

    The decision is stored in the record of the training, so it holds for every reader of the weights. A
    copied SAE that was imported keeps its sizes and its way of selecting.
    """
    if copied is not None and isinstance(copied.record, ImportedRecord):
        own = copied.record.params
        params = params.changed(n_latents=own.n_latents, k=own.k, select_by=own.select_by)
    if copied is not None and params.topk_dtype == "auto":
        return params.changed(topk_dtype=copied.record.params.topk_dtype)
    shape = ActivationStore(manifest).d_model, params.n_latents, params.k
    return params.changed(topk_dtype=selection_dtype(params.topk_dtype, *shape, device))


def _matched(params: TrainArmStep, arm: ArmModel, like: ArmModel, manifest: Path) -> TrainArmStep:
    """The parameters, with the number of latents that matches the other arm's parameter count."""
    widths = Widths(ActivationStore(manifest).d_model, params.n_latents, params.d_embed)
    return params.changed(n_latents=matched_n_latents(widths, arm.parts, like.parts))


def _record(
    params: TrainArmStep, arm: str, row: ArmModel, seed: int, lr: float,
    manifest: Path, standardiser: Path,
) -> TrainingRecord:  # fmt: skip
    data = data_record(manifest, standardiser)
    return TrainingRecord(step="train", arm=arm, row=row, seed=seed, lr=lr, params=params, **data)


def _identity(record: TrainingRecord, frozen: Path | None, device: torch.device) -> dict[str, Any]:
    """All that decides the numbers of a training: its record, its frozen SAE, and its surroundings."""
    source = None if frozen is None else sha256_of(frozen)
    return record.plain() | {"frozen": source} | surroundings(__name__, device)


def _open(
    params: TrainArmStep, manifest: Path, standardiser: Path, device: torch.device
) -> tuple[ActivationStore, Standardiser]:
    """The store, and the standardiser of its rows, which brings them to the device.

    A store standardised per row group needs none but the one that changes nothing.
    """
    is_alone = params.standardise_per == "row_group"
    store = ActivationStore(manifest, standardised_alone if is_alone else None)
    store.verify("train")
    store.verify("val")
    units = unit_standardiser(store.d_model) if is_alone else load_standardiser(standardiser)
    return store, units.to(device)


class Fitted(NamedTuple):
    """The tables of a training."""

    curve: pd.DataFrame
    history: pd.DataFrame
    """One row per latent and validation; columns: models.latent_history.Snapshot."""


def _fit(
    params: TrainArmStep, model: IntegratedModel, record: TrainingRecord,
    data: tuple[ActivationStore, Standardiser], checkpoints: Checkpoints,
) -> Fitted:  # fmt: skip
    seed, (store, units) = record.seed, data
    torch.manual_seed(stream_seed(params.root_seed, "train", seed, "dropout", record.arm))
    # the name of the stream does not contain the arm, so all arms of a seed see the same batches
    stream = (params.root_seed, "train", seed, "order")
    rows = store.shuffled_batches(
        "train", params.batch_tokens, params.pool_groups, stream, checkpoints.n_steps
    )
    left = islice(rows, params.n_steps - checkpoints.n_steps)
    batches = (units.standardise(torch.from_numpy(x)) for x in left)
    is_frozen = record.row.frozen_sae_from is not None
    set_product_dtype(model, getattr(torch, params.cuda_dtype))
    objective = ArmObjective(model, is_frozen, params.aux_k)
    checkpoints.include("history", objective.history)

    def validate() -> float:
        objective.history.record(model.newest_sae.W_dec)
        return _val_fvu(model, _stored_batches(store, units, "val"))

    ready = prefetched(batches, params.prefetch_batches)
    schedule = Schedule(
        params, record.lr, params.n_steps, params.log_every, params.val_every
    )  # fmt: skip
    curve = fit(model, objective, ready, schedule, validate, checkpoints)
    snapshots = (
        pd.DataFrame({name: column.cpu().numpy() for name, column in rows._asdict().items()})
        for rows in objective.history.snapshots
    )
    return Fitted(pd.DataFrame(curve, columns=pd.Index(CurveRow._fields)), pd.concat(snapshots))


def _stored_batches(
    store: ActivationStore, units: Standardiser, split: str, n_tokens: int | None = None
) -> Iterator[Tensor]:
    """Non-special tokens of a split, or about `n_tokens` of them, standardised, by row groups."""
    for group in store.groups(split, n_tokens):
        yield units.standardise(torch.from_numpy(group))


@torch.no_grad()
def _val_fvu(model: IntegratedModel, batches: Iterator[Tensor]) -> float:
    parts: Sequence[Part] = model.parts
    sums = FvuSums(model.d_model, model.device)
    for z in batches:
        sums.add(z, model(z, parts))
    return sums.fvu
