"""`fidelity audit`: the headline arms measured again with one published weakness switched on at a time.

Weaknesses of training come with their trained models; weaknesses of measuring are switched on here.
Must not: train, or compute a gain.
"""

import json
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from fispace.chapters.fidelity.document_sums import MASKED
from fispace.chapters.fidelity.spliced_evaluation import Scored, unchanged_pass
from fispace.devices import CPU, prepare
from fispace.errors import ArtifactMismatchError
from fispace.lm.hooks import following_block
from fispace.lm.window_batches import load_extracted_lm, window_batches
from fispace.lm.windows import pad_id_of
from fispace.models.integrated import IntegratedModel, parts_name
from fispace.models.trained import Trained, load_trained, with_pooling
from fispace.stats.metrics import squared_error
from fispace.store.activations import ActivationStore
from fispace.store.checkpoint import data_record
from fispace.store.standardiser import (
    Standardiser,
    load_standardiser,
    own_standardiser,
    unit_standardiser,
)
from fispace.store.tables import write_table
from fispace.study.config.audit import (
    HOOK_OFF_BY_ONE,
    LINEAR_POOLING,
    NO_STANDARDISER,
    NO_SWITCH,
    TRAIN_SPLIT,
    AuditConfig,
)
from fispace.study.config.fidelity import FidelityAuditStep
from fispace.study.config.parts import Part
from fispace.study.config.train import InitialWeights
from fispace.study.step import Reads, ReadsFolder, Writes, command

AUDIT_KEY = ["switch", "arm", "parts", "split", "document_id"]


@dataclass(frozen=True)
class SwitchMeasurement:
    """Some parts of one model, measured under one switch."""

    switch: str
    arm: str
    model: IntegratedModel
    parts: tuple[Part, ...]
    units: Standardiser | None
    """None: every token is standardised by the moments of the row group in which it is stored."""


@dataclass(frozen=True)
class HookedSplit:
    """The hook point at which activations are read and replaced, and the split of the documents."""

    hook_point: int | str
    split: str


Plan = dict[HookedSplit, list[SwitchMeasurement]]


@command("fidelity", "audit", target="full")
def measure_audit(
    params: FidelityAuditStep, *, audit: str, seed: int, arm_weights: Reads,
    arm_switched: list[Reads], baseline_weights: Reads, baseline_switched: list[Reads],
    manifest: Reads, standardiser: Reads, lm_folder: ReadsFolder | None, documents: Writes,
) -> None:  # fmt: skip
    """Write sums per document of arm and baseline, without a switch and under every switch.

    `audit` is the section `train.audit` as JSON; `arm_switched` and `baseline_switched` are the
    trainings of its switches, in order. Columns: switch arm parts split document_id, the sums error,
    n_dimensions, kl, kl_squares, n_tokens, and seed. If no block follows the hook point, the switch
    `hook_off_by_one` has no rows.

    Raises:
        ArtifactError, ArtifactMismatchError: if checkpoints, shards, or LM do not belong together, or
            a checkpoint does not differ from the plain one by exactly its switch.
        ParamsError: if `audit` is not such a section.
    """
    device = prepare(params.threads, params.device)
    store, units = ActivationStore(manifest), load_standardiser(standardiser, device)
    expected = {"seed": seed} | data_record(manifest, standardiser)
    lm, tokenizer = load_extracted_lm(params.lm, lm_folder, store, device)
    settings = AuditConfig.read(json.loads(audit), "train.audit")
    switches = [(NO_SWITCH, {}), *settings.switches.items()]
    trained: dict[tuple[str, str], Trained] = {}
    for arm, paths in (
        (settings.arm, [arm_weights, *arm_switched]),
        (settings.baseline, [baseline_weights, *baseline_switched]),
    ):
        for (switch, changed), path in zip(switches, paths, strict=True):
            trained[arm, switch] = load_trained(path, expected | {"arm": arm}, device)
            _require_switch(trained[arm, NO_SWITCH], trained[arm, switch], changed, path)
    following = following_block(lm, params.lm.hook_point)
    plan = planned(trained, units, HookedSplit(params.lm.hook_point, "test"), following)
    found = [
        frame
        for place, measurements in plan.items()
        for frame in _measured(params, store, lm, pad_id_of(tokenizer), place, measurements)
    ]
    record = {"step": "fidelity audit", "seed": seed, "audit": settings.plain()}
    rows = pd.concat(found).groupby(AUDIT_KEY).sum().reset_index()
    write_table(documents, rows.assign(seed=seed), record)


def _require_switch(plain: Trained, switched: Trained, changed: dict[str, Any], path: Path) -> None:
    """Refuse a training that does not differ from the plain one by exactly its switch.

    Without tuning, the initial weights and the dropout are the study's, whatever the tuned arm has.
    """
    of_tuning = InitialWeights.model_fields if changed.get("tuned") is False else ()
    ours, theirs = (each.record.params.plain() for each in (switched, plain))
    if _without(ours, of_tuning) != _without(theirs | changed, of_tuning):
        raise ArtifactMismatchError(
            f"The parameters of {path} must differ from the plain training by exactly {changed or 'nothing'}, "
            "and they do not. Give the weights in the order of train.audit.switches, or train them again "
            "with the rule train_arm."
        )


def _without(values: dict[str, Any], left_out: Container[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in left_out}


def planned(
    trained: Mapping[tuple[str, str], Trained], units: Standardiser, place: HookedSplit,
    following: int | None,
) -> Plan:  # fmt: skip
    """The measurements at each hook point and split; `trained` is by arm and switch."""
    plain = {arm: of for (arm, switch), of in trained.items() if switch == NO_SWITCH}
    models = {arm: of.model for arm, of in plain.items()}
    here = [
        *_under(NO_SWITCH, models, units),
        *(
            SwitchMeasurement(NO_SWITCH, arm, model, ("sae",), units)
            for arm, model in models.items()
            if "linear" in model.parts
        ),
        *_under(NO_STANDARDISER, models, unit_standardiser(len(units.mean)).to(units.device)),
        *_under(LINEAR_POOLING, _linearly_pooled(plain), units),
    ]
    for (arm, switch), of in trained.items():
        if switch != NO_SWITCH:
            is_alone = of.record.params.standardise_per == "row_group"
            here.extend(_under(switch, {arm: of.model}, None if is_alone else units))
    plan = {place: here}
    plan[HookedSplit(place.hook_point, "train")] = _under(TRAIN_SPLIT, models, units)
    if following is not None:
        plan[HookedSplit(following, place.split)] = _under(HOOK_OFF_BY_ONE, models, units)
    return plan


def _under(
    switch: str, models: Mapping[str, IntegratedModel], units: Standardiser | None
) -> list[SwitchMeasurement]:
    return [
        SwitchMeasurement(switch, arm, model, model.parts, units) for arm, model in models.items()
    ]


def _linearly_pooled(trained: Mapping[str, Trained]) -> dict[str, IntegratedModel]:
    """The models with an interaction, whose MLP now reads the sum of single factors (W4)."""
    return {
        arm: with_pooling(of, "sum")
        for arm, of in trained.items()
        if "interaction" in of.model.parts
    }


def _measured(
    params: FidelityAuditStep, store: ActivationStore, lm: Any, pad_id: int, place: HookedSplit,
    measurements: list[SwitchMeasurement],
) -> Iterator[pd.DataFrame]:  # fmt: skip
    """Sums of the split's windows, of the first ones only if it has more tokens than the test split."""
    store.verify(place.split)
    n_done, n_wanted = 0, store.n_tokens("test")
    is_alone = any(measurement.units is None for measurement in measurements)
    device = measurements[0].model.device
    own = own_units(store, place.split, device) if is_alone else None
    for batch in window_batches(store, place.split, params.batch_windows, pad_id):
        if n_done >= n_wanted:
            return
        scored = Scored(unchanged_pass(lm, place.hook_point, batch), MASKED)
        of_batch = None if own is None else own.of_tokens(n_done, n_done + len(scored.rows))
        n_done += len(scored.rows)
        for measurement in measurements:
            units = measurement.units or of_batch
            assert units is not None
            yield (
                _sums(scored, measurement, units)
                .assign(switch=measurement.switch, arm=measurement.arm, split=place.split)
                .drop(columns=["special_tokens", "condition", "ce", "n_next"])
            )


@dataclass(frozen=True)
class TokenStandardiser(Standardiser):
    """Standardises every token with its own mean and deviation."""

    mean: Float[Tensor, "tokens d_model"]
    std: Float[Tensor, "tokens d_model"]

    def of_tokens(self, first: int, last: int) -> "TokenStandardiser":
        """The standardiser of the tokens `first` to `last` - 1."""
        return TokenStandardiser(self.mean[first:last], self.std[first:last])


def own_units(store: ActivationStore, split: str, device: torch.device = CPU) -> TokenStandardiser:
    """Mean and deviation of each token's row group, in the order in which tokens are stored."""
    groups = [torch.from_numpy(group) for group in store.groups(split) if len(group)]
    units = [own_standardiser(group) for group in groups]
    sizes = torch.tensor([len(group) for group in groups])
    mean, std = (torch.stack([getattr(of, name) for of in units]) for name in ("mean", "std"))
    mean, std = (each.repeat_interleave(sizes, 0).to(device) for each in (mean, std))
    return TokenStandardiser(mean, std)


@torch.no_grad()
def _sums(scored: Scored, measurement: SwitchMeasurement, units: Standardiser) -> pd.DataFrame:
    """Sums over each window; the error is in the units of the model's input."""
    z = units.standardise(scored.rows)
    z_hat = measurement.model(z, measurement.parts)
    found = scored.splice(units.restore(z_hat))
    found["error"] = scored.place(squared_error(z, z_hat))
    found["n_dimensions"] = scored.place(z.new_full((len(z),), z.shape[1]))
    found["kl_squares"] = found["kl"].square()
    return scored.frame(parts_name(measurement.parts), "", found)
