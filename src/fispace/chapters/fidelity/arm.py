"""`fidelity arm`: reconstruction error and LM predictions for every set of parts of one trained model.

An ablation after training is another set of parts of the same model; a retrained ablation is another
arm. Must not: fit anything, or read train tokens.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from fispace.chapters.fidelity.document_sums import (
    CONDITION_KEY,
    EPSILON,
    EVALUATED,
    INCLUDED,
    MASKED,
    ORIGINAL,
    RECONSTRUCTION,
)
from fispace.chapters.fidelity.spliced_evaluation import (
    Scored,
    UnchangedPass,
    split_mean,
    unchanged_pass,
)
from fispace.chapters.fidelity.split_errors import (
    OF_SPLIT,
    SplitErrors,
    matched_error,
    split_errors,
)
from fispace.devices import prepare
from fispace.lm.window_batches import load_extracted_lm, window_batches
from fispace.lm.windows import pad_id_of
from fispace.models.integrated import IntegratedModel, ablations, parts_name
from fispace.models.sparse import Codes
from fispace.models.trained import Trained, load_trained
from fispace.seeds import torch_stream
from fispace.stats.metrics import FiringCounts, l0
from fispace.store.activations import ActivationStore
from fispace.store.checkpoint import data_record
from fispace.store.files import sha256_of
from fispace.store.standardiser import Standardiser, load_standardiser
from fispace.store.tables import write_table
from fispace.study.config.fidelity import FidelityArmStep, MatchedError
from fispace.study.config.parts import DECODERS, Part
from fispace.study.step import Reads, ReadsFolder, Writes, command

log = logging.getLogger(__name__)

ISOTROPIC: tuple[MatchedError, ...] = ("epsilon_random",)
"""Matched errors measured with special tokens included: the paper's own, which params must list."""

POSITION_KEY = ["split", "special_tokens", "condition", "document_id", "position"]


class PartsMeasurement(NamedTuple):
    """One reconstruction: its parts, the tokens that it replaces, and the matched errors measured beside it."""

    parts: tuple[Part, ...]
    special_tokens: str
    matched_errors: tuple[MatchedError, ...]


@dataclass
class _Split:
    """A split that is being measured, with the tables found so far."""

    params: FidelityArmStep
    model: IntegratedModel
    units: Standardiser
    name: str
    mean: Tensor
    """Mean activation of the split's non-special tokens, which the denominator of the FVU is centred on."""
    errors: dict[tuple[Part, ...], SplitErrors]
    firing: FiringCounts
    documents: list[pd.DataFrame] = field(default_factory=list[pd.DataFrame])
    positions: list[pd.DataFrame] = field(default_factory=list[pd.DataFrame])


class ArmTables(NamedTuple):
    """What is measured of one arm and seed."""

    documents: pd.DataFrame
    """Sums per document and condition."""
    positions: pd.DataFrame
    """Sums per document and position."""
    latents: pd.DataFrame
    """How often each latent fired."""


@command("fidelity", "arm")
def evaluate_arm(
    params: FidelityArmStep, *, arm: str, seed: int, weights: Reads, manifest: Reads,
    standardiser: Reads, lm_folder: ReadsFolder | None, documents: Writes, positions: Writes,
    latents: Writes,
) -> None:  # fmt: skip
    """Write sums per document and condition, sums per position, and how often each latent fired.

    Raises:
        ArtifactError, ArtifactMismatchError: if checkpoint, shards, or LM do not belong together.
    """
    device = prepare(params.threads, params.device)
    store = ActivationStore(manifest)
    expected = {"arm": arm, "seed": seed} | data_record(manifest, standardiser)
    trained = load_trained(weights, expected, device)
    lm = load_extracted_lm(params.lm, lm_folder, store, device)
    found = measure_arm(params, trained, load_standardiser(standardiser, device), store, lm)
    record = {
        "step": "fidelity arm", "arm": arm, "seed": seed, "checkpoint": sha256_of(weights),
        "matched_errors": params.matched_errors, "epsilon_draws": params.epsilon_draws,
    }  # fmt: skip
    for path, table in zip((documents, positions, latents), found, strict=True):
        write_table(path, table, record)


def measure_arm(
    params: FidelityArmStep, trained: Trained, units: Standardiser, store: ActivationStore,
    lm: tuple[Any, Any],
) -> ArmTables:  # fmt: skip
    """The tables of `evaluate_arm`, with the LM that the store was extracted from and its tokenizer."""
    (model, tokenizer), splits = lm, (split for split in EVALUATED if split in store.shards)
    pad_id = pad_id_of(tokenizer)
    done = [
        _measure_split(params, model, pad_id, trained.model, units, store, split)
        for split in splits
    ]
    own = {"arm": trained.record.arm, "seed": trained.record.seed}
    return ArmTables(
        summed([s.documents for s in done], [*CONDITION_KEY, "document_id"], own),
        summed([s.positions for s in done], POSITION_KEY, own),
        pd.concat([_firing_frame(s).assign(**own) for s in done]),
    )


def plan(parts: Sequence[Part], params: FidelityArmStep) -> list[PartsMeasurement]:
    """The measurements of an arm with these parts.

    They are: every set of parts that keeps the SAE; every set without a decoder, which the canonical
    Shapley values need; and all parts once more with special tokens included.
    """
    full = tuple(parts)
    return [
        *(
            PartsMeasurement(
                kept,
                MASKED,
                params.matched_errors if kept == full else params.ablation_matched_errors,
            )
            for kept in ablations(parts)
        ),
        *(PartsMeasurement(kept, MASKED, ()) for kept in without_decoder(parts)),
        PartsMeasurement(full, INCLUDED, ISOTROPIC),
    ]


def without_decoder(parts: Sequence[Part]) -> list[tuple[Part, ...]]:
    """Every non-empty set of parts that contains no decoder, smallest first."""
    others: list[Part] = [part for part in parts if part not in DECODERS]
    return [kept for size in range(len(others)) for kept in combinations(others, size + 1)]


def summed(frames: list[list[pd.DataFrame]], key: list[str], own: dict[str, Any]) -> pd.DataFrame:
    """Rows of the same key added up; a sum that was measured in none of them stays missing."""
    rows = pd.concat([frame for of_split in frames for frame in of_split]).assign(**own)
    return (
        rows.groupby([*(name for name in own if name not in key), *key])
        .sum(min_count=1)
        .reset_index()
    )


def _measure_split(
    params: FidelityArmStep, lm: Any, pad_id: int, model: IntegratedModel, units: Standardiser,
    store: ActivationStore, split: str,
) -> _Split:  # fmt: skip
    store.verify(split)
    measurements = plan(model.parts, params)
    of_split = {
        kept: split_errors(
            model, units, store, split, kept,
            torch_stream(params.root_seed, "fidelity", "shuffled_error", split),
        )
        for kept, _, kinds in measurements if OF_SPLIT & set(kinds)
    }  # fmt: skip
    n_tokens, n_latents = store.n_tokens(split), model.config.n_latents
    window = min(params.dead_window_tokens, n_tokens)
    if window < params.dead_window_tokens:
        log.warning(
            "fidelity.dead_window_tokens=%d, but the split %r holds %d tokens. Its only window is the whole "
            "split, so dead_fraction_window equals dead_fraction",
            params.dead_window_tokens, split, n_tokens,
        )  # fmt: skip
    firing = FiringCounts(n_latents, n_tokens, window)
    found = _Split(
        params, model, units, split, split_mean(store, split, units.device), of_split, firing
    )
    batches = window_batches(store, split, params.batch_windows, pad_id)
    for number, batch in enumerate(tqdm(batches, desc=split, unit="batch", mininterval=5)):
        _measure_batch(found, unchanged_pass(lm, params.lm.hook_point, batch), measurements, number)
    return found


@torch.no_grad()
def _measure_batch(
    found: _Split, done: UnchangedPass, measurements: list[PartsMeasurement], number: int
) -> None:
    """Add one batch: the original, then every measurement with its matched errors."""
    first = found.firing.n_seen
    for special_tokens in (MASKED, INCLUDED):
        scored = Scored(done, special_tokens)
        original = scored.frame("", ORIGINAL, scored.original)
        found.documents.append(original.assign(split=found.name))
        z = found.units.standardise(scored.rows)
        codes = found.model.sae.encode(z)
        residual_codes = found.model.residual_codes(z, found.model.parts)
        if special_tokens == MASKED:
            found.firing.add(codes.values, codes.indices)
        for measurement in (m for m in measurements if m.special_tokens == special_tokens):
            z_hat = found.model.reconstruct(codes, measurement.parts, residual_codes)
            x_hat = found.units.restore(z_hat)
            sums = scored.errors(found.units, x_hat, found.mean)
            n_active = _n_active(measurement.parts, codes, residual_codes)
            sums |= {"l0": scored.place(n_active)} | scored.splice(x_hat)
            _keep(found, scored, measurement.parts, RECONSTRUCTION, sums, 1.0)
            for kind in measurement.matched_errors:
                _measure_matched_error(
                    found, scored, measurement.parts, kind, x_hat, (first, number)
                )


def _n_active(parts: tuple[Part, ...], codes: Codes, residual_codes: Codes | None) -> Tensor:
    """Active latents of each token in the SAE, plus those of the second SAE if its part is kept."""
    first = l0(codes.values)
    if residual_codes is None or "residual_sae" not in parts:
        return first
    return first + l0(residual_codes.values)


def _measure_matched_error(
    found: _Split, scored: Scored, parts: tuple[Part, ...], kind: MatchedError, x_hat: Tensor,
    place: tuple[int, int],
) -> None:  # fmt: skip
    """Add one kind of matched error of one batch; `place`: number of its first token, and of the batch."""
    first, number = place
    n_draws = found.params.epsilon_draws if kind == EPSILON else 1
    for draw in range(n_draws):
        # arms and seeds share their draws, so that their differences are paired
        stream = ("fidelity", kind, found.name, scored.special_tokens, number, draw)
        generator = torch_stream(found.params.root_seed, *stream)
        error = x_hat - scored.rows
        of_split = found.errors.get(parts)
        noise = matched_error(kind, scored.rows, error, of_split, first, generator)
        _keep(found, scored, parts, kind, scored.splice(scored.rows + noise), 1 / n_draws)


def _keep(
    found: _Split, scored: Scored, parts: tuple[Part, ...], condition: str,
    sums: dict[str, Tensor], share: float,
) -> None:  # fmt: skip
    frame = scored.frame(parts_name(parts), condition, sums, share)
    found.documents.append(frame.assign(split=found.name))
    if parts == found.model.parts and condition in (RECONSTRUCTION, EPSILON):
        positions = scored.position_frame(condition, sums, share)
        found.positions.append(positions.assign(split=found.name))


def _firing_frame(found: _Split) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "split": found.name,
            "latent": range(len(found.firing.n_fired)),
            "n_fired": found.firing.n_fired,
            "n_windows_fired": found.firing.n_windows_fired,
            "n_windows": found.firing.n_windows,
        }
    )
