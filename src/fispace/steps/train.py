"""The chapter `train`: every arm and seed by one function, and the choice of the learning rate.

Must not: define a model or a loop; an arm is its row in params.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from fispace.config.build import build
from fispace.config.train import ArmConfig, ChooseLrStep, Part, TrainArmStep
from fispace.measure.fidelity import FvuSums
from fispace.models.fit import CurveRow, fit, schedule_of
from fispace.models.integrated import IntegratedModel
from fispace.models.numerics import fix_numerics
from fispace.models.objective import ArmObjective
from fispace.models.trained import initial_model, load_trained
from fispace.seeds import stream_seed
from fispace.store.activations import ActivationStore
from fispace.store.checkpoint import save_checkpoint
from fispace.store.files import read_json, sha256_of, write_json
from fispace.store.prefetch import prefetched
from fispace.store.standardiser import Standardiser, load_standardiser
from fispace.store.tables import read_recipe, read_table, write_table

log = logging.getLogger(__name__)


def train_arm(
    params: TrainArmStep, *, arm: str, row: str, seed: int, lr: Path, manifest: Path,
    standardiser: Path, frozen: Path | None, weights: Path, curve: Path, lifecycle: Path,
) -> None:  # fmt: skip
    """Train one arm with one seed at the chosen rate; writes checkpoint, curve and life cycles.

    Raises:
        ArtifactError: if a shard is missing or altered.
        ArtifactMismatchError: if the frozen SAE was trained on other data or with other sizes.
        DivergedError: if the loss becomes non-finite.
    """
    peak = float(read_json(lr)["lr"])
    record = _record(params, arm, json.loads(row), seed, peak, manifest, standardiser)
    model = initial_model(record)
    if frozen is not None:
        shared = {key: record[key] for key in ("d_model", "manifest", "standardiser", "seed")}
        source = load_trained(frozen, shared | {"arm": record["row"]["frozen_sae_from"]})
        model.sae.load_state_dict(source.model.sae.state_dict())
        model.freeze_sae()
    store, units = _open(manifest, standardiser)
    fitted = _fit(params, model, record, store, units)
    if "interaction" in model.parts:
        batches = _stored_batches(store, units, "train")
        model.interaction.mean_output.copy_(mean_interaction(model, batches))
    save_checkpoint(weights, model.state_dict(), record)
    write_table(curve, fitted.curve, record)
    write_table(lifecycle, fitted.lifecycle, record)


def train_candidate(
    params: TrainArmStep, *, lr: float, seed: int, manifest: Path, standardiser: Path, curve: Path
) -> None:
    """Train the arm `sae` at one candidate learning rate; writes only the curve.

    Raises:
        ArtifactError: if a shard is missing or altered.
        DivergedError: if the loss becomes non-finite.
    """
    row = {"parts": ["sae"], "frozen_sae_from": None}
    record = _record(params, "lr_candidate", row, seed, lr, manifest, standardiser)
    store, units = _open(manifest, standardiser)
    write_table(curve, _fit(params, initial_model(record), record, store, units).curve, record)


def choose_lr(params: ChooseLrStep, *, curves: list[Path], lr: Path) -> None:
    """Write the candidate peak learning rate with the lowest final validation FVU of the arm `sae`.

    A single candidate is taken without a training; its validation FVU is null then.
    """
    found = {read_recipe(path)["lr"]: read_table(path)["val_fvu"].iloc[-1] for path in curves}
    candidates = [
        {"lr": rate, "val_fvu": float(found[rate]) if rate in found else None}
        for rate in params.lr_candidates
    ]
    best = min(candidates, key=lambda row: row["val_fvu"] or 0.0)
    is_at_edge = len(candidates) > 1 and best["lr"] in (
        min(params.lr_candidates),
        max(params.lr_candidates),
    )
    if is_at_edge:
        log.warning("the best learning rate %g lies at the edge of train.lr_candidates", best["lr"])
    write_json(lr, best | {"candidates": candidates, "is_at_edge": is_at_edge})


@torch.no_grad()
def mean_interaction(model: IntegratedModel, batches: Iterator[Tensor]) -> Tensor:
    """Mean output of the interaction's MLP over train tokens, accumulated in float64."""
    model.eval()
    total, n_tokens = torch.zeros(model.shape.d_model, dtype=torch.float64), 0
    for z in batches:
        codes = model.sae.encode(z)
        total += model.interaction.output(model.interaction.hidden(codes)).double().sum(0)
        n_tokens += len(z)
    return (total / n_tokens).float()


def _record(
    params: TrainArmStep, arm: str, row: dict[str, Any], seed: int, lr: float,
    manifest: Path, standardiser: Path,
) -> dict[str, Any]:  # fmt: skip
    """What identifies a training: everything but the code."""
    config = build(ArmConfig, row, f"train.arms.{arm}")
    return {
        "step": "train",
        "arm": arm,
        "row": {"parts": list(config.parts), "frozen_sae_from": config.frozen_sae_from},
        "seed": seed,
        "lr": lr,
        "params": json.loads(json.dumps(asdict(params))),
        "d_model": ActivationStore(manifest).d_model,
        "manifest": sha256_of(manifest),
        "standardiser": sha256_of(standardiser),
    }


def _open(manifest: Path, standardiser: Path) -> tuple[ActivationStore, Standardiser]:
    store = ActivationStore(manifest)
    store.verify("train")
    store.verify("val")
    return store, load_standardiser(standardiser)


class Fitted(NamedTuple):
    """What a training leaves behind besides the weights."""

    curve: pd.DataFrame
    lifecycle: pd.DataFrame
    """One row a latent at every validation; columns: models.lifecycle.LifecycleRows."""


def _fit(
    params: TrainArmStep, model: IntegratedModel, record: dict[str, Any],
    store: ActivationStore, units: Standardiser,
) -> Fitted:  # fmt: skip
    fix_numerics(params.threads)
    seed = record["seed"]
    torch.manual_seed(stream_seed(params.root_seed, "train", seed, "dropout", record["arm"]))
    # Data order is keyed without the arm, so arms of a seed are paired.
    stream = (params.root_seed, "train", seed, "order")
    rows = store.shuffled_batches("train", params.batch_tokens, params.pool_groups, stream)
    batches = (units.standardise(torch.from_numpy(x)) for x in islice(rows, params.n_steps))
    is_frozen = record["row"]["frozen_sae_from"] is not None
    objective = ArmObjective(model, is_frozen, params.aux_k)
    snapshots: list[pd.DataFrame] = []

    def validate() -> float:
        snapshot = objective.lifecycle.snapshot(model.sae.W_dec)
        snapshots.append(pd.DataFrame({k: v.numpy() for k, v in snapshot._asdict().items()}))
        return _val_fvu(model, _stored_batches(store, units, "val"))

    schedule = schedule_of(params, record["lr"])
    curve = fit(model, objective, prefetched(batches, params.prefetch_batches), schedule, validate)
    return Fitted(pd.DataFrame(curve, columns=pd.Index(CurveRow._fields)), pd.concat(snapshots))


def _stored_batches(store: ActivationStore, units: Standardiser, split: str) -> Iterator[Tensor]:
    """All non-special tokens of a split in stored order, standardised, a row group at a time."""
    for group in store.groups(split):
        yield units.standardise(torch.from_numpy(group))


@torch.no_grad()
def _val_fvu(model: IntegratedModel, batches: Iterator[Tensor]) -> float:
    parts: Sequence[Part] = model.parts
    sums = FvuSums(model.shape.d_model)
    for z in batches:
        sums.add(z, model(z, parts))
    return sums.fvu
