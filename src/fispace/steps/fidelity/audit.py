"""`fidelity audit`: the headline arms measured again with one published weakness switched on at a time.

Weaknesses of training come as trained models, those of measuring are switched on here. Must not:
train, or compute a gain.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from fispace.config.audit import (
    HOOK_OFF_BY_ONE,
    LINEAR_POOLING,
    NO_STANDARDISER,
    NO_SWITCH,
    TRAIN_SPLIT,
)
from fispace.config.fidelity import FidelityAuditStep
from fispace.config.train import Part
from fispace.lm.hooks import following_block
from fispace.lm.stored import load_extracted_lm, window_batches
from fispace.lm.windows import pad_id_of
from fispace.measure.document_sums import MASKED
from fispace.measure.fidelity import squared_error
from fispace.models.integrated import IntegratedModel, parts_name
from fispace.models.trained import Trained, load_trained, with_pooling
from fispace.steps.fidelity.passes import Scored, undisturbed
from fispace.store.activations import ActivationStore
from fispace.store.files import sha256_of
from fispace.store.standardiser import (
    Standardiser,
    load_standardiser,
    own_standardiser,
    unit_standardiser,
)
from fispace.store.tables import write_table

KEY = ["switch", "arm", "parts", "split", "document_id"]


@dataclass(frozen=True)
class Measurement:
    """One model by some of its parts, under one switch."""

    switch: str
    arm: str
    model: IntegratedModel
    parts: tuple[Part, ...]
    units: Standardiser | None
    """None: every batch of windows by its own moments."""


@dataclass(frozen=True)
class Place:
    """Where activations are read and replaced."""

    hook_point: int | str
    split: str


Plan = dict[Place, list[Measurement]]


def measure_audit(
    params: FidelityAuditStep, *, seed: int, arm: str, arm_weights: Path, arm_switched: list[Path],
    baseline: str, baseline_weights: Path, baseline_switched: list[Path], switches: list[str],
    manifest: Path, standardiser: Path, lm_folder: Path | None, documents: Path,
) -> None:  # fmt: skip
    """Write sums per document of arm and baseline, as they are and under every switch.

    `switches` names the trainings of `arm_switched` and `baseline_switched`, in order. Columns:
    switch arm parts split document_id, the sums error, n_dimensions, kl, kl_squares, n_tokens, seed.
    A hook point with no block after it has no rows of the switch `hook_off_by_one`.

    Raises:
        ArtifactError, ArtifactMismatchError: if checkpoints, shards, or LM do not belong together.
    """
    torch.set_num_threads(params.threads)
    store, units = ActivationStore(manifest), load_standardiser(standardiser)
    expected = {"seed": seed, "manifest": sha256_of(manifest)}
    expected["standardiser"] = sha256_of(standardiser)
    lm, tokenizer = load_extracted_lm(params.lm, lm_folder, store)
    trained = {
        (name, switch): load_trained(path, expected | {"arm": name})
        for name, first, others in (
            (arm, arm_weights, arm_switched),
            (baseline, baseline_weights, baseline_switched),
        )
        for switch, path in zip([NO_SWITCH, *switches], [first, *others], strict=True)
    }
    following = following_block(lm, params.lm.hook_point)
    plan = planned(trained, units, Place(params.lm.hook_point, "test"), following)
    found = [
        frame
        for place, measurements in plan.items()
        for frame in _measured(params, store, lm, pad_id_of(tokenizer), place, measurements)
    ]
    record = {"step": "fidelity audit", "seed": seed, "arm": arm, "baseline": baseline}
    rows = pd.concat(found).groupby(KEY).sum().reset_index()
    write_table(documents, rows.assign(seed=seed), record)


def planned(
    trained: Mapping[tuple[str, str], Trained], units: Standardiser, place: Place,
    following: int | None,
) -> Plan:  # fmt: skip
    """What is measured where; `trained` is by arm and switch."""
    plain = {arm: of for (arm, switch), of in trained.items() if switch == NO_SWITCH}
    models = {arm: of.model for arm, of in plain.items()}
    here = [
        *_under(NO_SWITCH, models, units),
        *(
            Measurement(NO_SWITCH, arm, model, ("sae",), units)
            for arm, model in models.items()
            if "linear" in model.parts
        ),
        *_under(NO_STANDARDISER, models, unit_standardiser(len(units.mean))),
        *_under(LINEAR_POOLING, _linearly_pooled(plain), units),
    ]
    for (arm, switch), of in trained.items():
        if switch != NO_SWITCH:
            is_alone = of.record["params"]["standardise_per"] == "row_group"
            here.extend(_under(switch, {arm: of.model}, None if is_alone else units))
    plan = {place: here}
    plan[Place(place.hook_point, "train")] = _under(TRAIN_SPLIT, models, units)
    if following is not None:
        plan[Place(following, place.split)] = _under(HOOK_OFF_BY_ONE, models, units)
    return plan


def _under(
    switch: str, models: Mapping[str, IntegratedModel], units: Standardiser | None
) -> list[Measurement]:
    return [Measurement(switch, arm, model, model.parts, units) for arm, model in models.items()]


def _linearly_pooled(trained: Mapping[str, Trained]) -> dict[str, IntegratedModel]:
    """The models that have an interaction, its MLP given the sum of single factors (W4)."""
    return {
        arm: with_pooling(of, "sum")
        for arm, of in trained.items()
        if "interaction" in of.model.parts
    }


def _measured(
    params: FidelityAuditStep, store: ActivationStore, lm: Any, pad_id: int, place: Place,
    measurements: list[Measurement],
) -> Iterator[pd.DataFrame]:  # fmt: skip
    """Sums of the windows of the split, or of as many of its first as hold the test split's tokens."""
    store.verify(place.split)
    n_left = store.n_tokens("test")
    for batch in window_batches(store, place.split, params.batch_windows, pad_id):
        if n_left <= 0:
            return
        scored = Scored(undisturbed(lm, place.hook_point, batch), MASKED)
        n_left -= len(scored.rows)
        for measurement in measurements:
            yield (
                _sums(scored, measurement)
                .assign(switch=measurement.switch, arm=measurement.arm, split=place.split)
                .drop(columns=["special_tokens", "condition", "ce", "n_next"])
            )


@torch.no_grad()
def _sums(scored: Scored, measurement: Measurement) -> pd.DataFrame:
    """Sums over each window; the error is in the units that the model was given its tokens in."""
    units = measurement.units or own_standardiser(scored.rows)
    z = units.standardise(scored.rows)
    z_hat = measurement.model(z, measurement.parts)
    found = scored.splice(units.restore(z_hat))
    found["error"] = scored.place(squared_error(z, z_hat))
    found["n_dimensions"] = scored.place(torch.full((len(z),), float(z.shape[1])))
    found["kl_squares"] = found["kl"].square()
    return scored.frame(parts_name(measurement.parts), "", found)
