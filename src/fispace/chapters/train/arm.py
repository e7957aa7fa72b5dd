"""`train arm`, `train try` and `train candidate`: every arm and seed by one function.

Must not: define a model or a loop; an arm is its row in params.
"""

import json
import logging
import math
from collections.abc import Iterator

import pandas as pd
import torch
from torch import Tensor

from fispace.chapters.train.job import Files, Who, job_of, run, stored_batches
from fispace.chapters.train.settings import (
    chosen_settings,
    sae_rate,
    shared_settings,
    tried_settings,
)
from fispace.errors import DivergedError, named_divergence
from fispace.models.integrated import IntegratedModel
from fispace.models.training_state import CurveRow
from fispace.store.checkpoint import save_checkpoint
from fispace.store.tables import write_table
from fispace.study.config.train import ArmModel, TrainArmStep, TryArmStep
from fispace.study.step import Reads, Scratch, Unrecorded, Writes, command

log = logging.getLogger(__name__)

PLAIN_SAE = ArmModel(parts=("sae",), frozen_sae_from=None, pooling=None, matched_to=None)
"""The arm on which learning rates are tried."""


@command("train", "arm")
def train_arm(
    params: TrainArmStep, *, arm: str, row: str, matched_row: str | None, changed: str | None,
    seed: int, chosen: Reads, manifest: Reads, standardiser: Reads, frozen: Reads | None,
    scratch: Scratch, checkpoint_seconds: Unrecorded[float], weights: Writes, curve: Writes,
    lifecycle: Writes,
) -> None:  # fmt: skip
    """Train one arm with one seed; writes checkpoint, curve and history of the latents.

    `row` is the arm's row in params, as JSON. If `matched_row` is given, the number of latents is not
    `params.n_latents` but the one that matches the parameter count of the arm of that row. `chosen` are
    the settings of the arm by `train tune`, or the rate of `train choose-lr`. `changed` is a mapping, as
    JSON, of parameters that replace those of `params` and the chosen ones; a smaller k cuts the codes of
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
    settings = chosen_settings(chosen, params)
    params = params.changed(init=settings.init, dropout=settings.dropout)
    if changed is not None:
        params = TrainArmStep.read(params.plain() | json.loads(changed), "train")
    who = Who(arm, seed, *_rows(arm, row, matched_row))
    files = Files(manifest, standardiser, frozen, scratch)
    job = job_of(params, settings.rates, who, files, checkpoint_seconds)
    with named_divergence(f"arm {arm}, seed {seed}"):
        fitted = run(job)
    model, record = job.model, job.record.plain()
    model.absorb_bias()
    if "interaction" in model.parts:
        batches = stored_batches(job.store, job.units, "train", params.interaction_mean_tokens)
        model.interaction.mean_output.copy_(mean_interaction(model, batches))
    save_checkpoint(weights, model.state_dict(), record)
    write_table(curve, fitted.curve, record)
    write_table(lifecycle, fitted.history, record)
    job.checkpoints.remove()


@command("train", "try")
def train_try(
    params: TryArmStep, *, arm: str, row: str, matched_row: str | None, number: int, seed: int,
    lr: Reads, manifest: Reads, standardiser: Reads, frozen: Reads | None, scratch: Scratch,
    checkpoint_seconds: Unrecorded[float], curve: Writes,
) -> None:  # fmt: skip
    """Train an arm on a share of the tokens with one of the settings that are tried; writes only the curve.

    `number` counts the settings of the arm from 0. `lr` has the SAE's rate. All else is as in `train arm`.
    A training that diverges leaves a curve whose last validation FVU is NaN: it loses to any other try.

    Raises:
        ArtifactError: if a shard is missing or altered.
        ArtifactMismatchError: if the frozen SAE was trained on other data or with other sizes.
        ParamsError: if a row does not describe an arm.
    """
    rows = _rows(arm, row, matched_row)
    settings = tried_settings(params, rows[0], sae_rate(lr))[number]
    shared = params.changed(
        init=settings.init,
        dropout=settings.dropout,
        n_tokens=int(params.tuning.token_share * params.n_tokens),
    )
    files = Files(manifest, standardiser, frozen, scratch)
    job = job_of(shared, settings.rates, Who(arm, seed, *rows), files, checkpoint_seconds)
    try:
        found = run(job).curve
    except DivergedError as error:
        log.warning("arm %s, try %d: %s", arm, number, error)
        at_end = CurveRow(shared.n_steps, shared.n_tokens, settings.rates.sae, math.nan, math.nan)
        found = pd.DataFrame([at_end])
    write_table(curve, found, job.record.plain())
    job.checkpoints.remove()


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
    rates = shared_settings(params, lr).rates
    files = Files(manifest, standardiser, None, scratch)
    job = job_of(
        params, rates, Who("lr_candidate", seed, PLAIN_SAE, None), files, checkpoint_seconds
    )
    with named_divergence(f"learning rate candidate {lr}, seed {seed}"):
        fitted = run(job)
    write_table(curve, fitted.curve, job.record.plain())
    job.checkpoints.remove()


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


def _rows(arm: str, row: str, matched_row: str | None) -> tuple[ArmModel, ArmModel | None]:
    """The arm's row, and the row of the arm that it is matched to."""
    own = ArmModel.read(json.loads(row), f"train.arms.{arm}")
    if matched_row is None:
        return own, None
    return own, ArmModel.read(json.loads(matched_row), f"train.arms.{own.matched_to}")
