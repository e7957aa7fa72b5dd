"""A training of an arm, from parameters and files: its model, its data, its loop, its validation.

Must not: know a command, or choose a setting.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from fispace.devices import prepare
from fispace.models.fit import Schedule, fit
from fispace.models.integrated import IntegratedModel
from fispace.models.objective import ArmObjective
from fispace.models.parts import Widths, matched_n_latents, rate_of
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
from fispace.store.checkpoint import data_record
from fispace.store.files import sha256_of
from fispace.store.standardiser import (
    Standardiser,
    load_standardiser,
    standardised_alone,
    unit_standardiser,
)
from fispace.study.config.parts import Part
from fispace.study.config.train import ArmModel, Rates, TrainArmStep


class Who(NamedTuple):
    """Which training it is."""

    arm: str
    seed: int
    row: ArmModel
    matched_row: ArmModel | None
    """The row of the arm whose parameter count it has."""


class Files(NamedTuple):
    """What a training reads, and where it is saved while it runs."""

    manifest: Path
    standardiser: Path
    frozen: Path | None
    scratch: Path


class Job(NamedTuple):
    """A training that is ready to start, or to continue."""

    params: TrainArmStep
    model: IntegratedModel
    record: TrainingRecord
    store: ActivationStore
    units: Standardiser
    checkpoints: Checkpoints


class Fitted(NamedTuple):
    """The tables of a training."""

    curve: pd.DataFrame
    history: pd.DataFrame
    """One row per latent and validation; columns: models.latent_history.Snapshot."""


def job_of(
    params: TrainArmStep, rates: Rates, who: Who, files: Files, checkpoint_seconds: float
) -> Job:
    """The training of an arm, its model with initial weights and, if it copies an SAE, that SAE frozen.

    Raises:
        ArtifactError: if a shard is missing or altered.
        ArtifactMismatchError: if the frozen SAE was trained on other data or with other sizes.
    """
    data = data_record(files.manifest, files.standardiser)
    copied = None
    if files.frozen is not None:
        source = {"seed": who.seed, "arm": who.row.frozen_sae_from}
        copied = load_trained(files.frozen, data | source)
    device = prepare(params.threads, params.device)
    params = _decided(params, files.manifest, copied, device)
    if who.matched_row is not None:
        params = _matched(params, who.row, who.matched_row, files.manifest)
    record = TrainingRecord(
        step="train", arm=who.arm, row=who.row, seed=who.seed, rates=rates, params=params, **data
    )
    model = initial_model(record).to(device)
    if copied is not None:
        model.sae.load_state_dict(copied.model.sae.state_dict())
        model.freeze_sae()
    else:
        model.subtracts_bias = params.subtract_bias and "bias" in model.parts
    store, units = _open(params, files.manifest, files.standardiser, device)
    identity = _identity(record, files.frozen, device)
    checkpoints = Checkpoints(files.scratch, identity, checkpoint_seconds)
    return Job(params, model, record, store, units, checkpoints)


def run(job: Job) -> Fitted:
    """Train the job's model in place; returns its curve and the history of its latents.

    Raises:
        DivergedError: if the loss becomes non-finite.
    """
    params, model, record, store, units, checkpoints = job
    seed, rates = record.seed, record.rates
    assert rates is not None
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
        return _val_fvu(model, stored_batches(store, units, "val"))

    ready = prefetched(batches, params.prefetch_batches)
    multiples = {
        name: getattr(rates, rate_of(name)) / rates.sae for name, _ in model.named_parameters()
    }
    schedule = Schedule(
        params, rates.sae, params.n_steps, params.log_every, params.val_every, multiples
    )
    curve = fit(model, objective, ready, schedule, validate, checkpoints)
    snapshots = (
        pd.DataFrame({name: column.cpu().numpy() for name, column in rows._asdict().items()})
        for rows in objective.history.snapshots
    )
    return Fitted(pd.DataFrame(curve, columns=pd.Index(CurveRow._fields)), pd.concat(snapshots))


def stored_batches(
    store: ActivationStore, units: Standardiser, split: str, n_tokens: int | None = None
) -> Iterator[Tensor]:
    """Non-special tokens of a split, or about `n_tokens` of them, standardised, by row groups."""
    for group in store.groups(split, n_tokens):
        yield units.standardise(torch.from_numpy(group))


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
    widths = Widths(
        ActivationStore(manifest).d_model, params.n_latents, params.d_embed, like.pooling or "pairs"
    )
    return params.changed(n_latents=matched_n_latents(widths, arm.parts, like.parts))


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


@torch.no_grad()
def _val_fvu(model: IntegratedModel, batches: Iterator[Tensor]) -> float:
    parts: Sequence[Part] = model.parts
    sums = FvuSums(model.d_model, model.device)
    for z in batches:
        sums.add(z, model(z, parts))
    return sums.fvu
