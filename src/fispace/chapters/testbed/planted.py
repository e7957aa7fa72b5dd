"""`testbed planted`: how well the arms recover the planted pairs and their variance, in one world.

Must not: define a model, a score, or an interval.
"""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from fispace.chapters.testbed.planted_arms import Tokens, TrainedArm, train_arms, world_tokens
from fispace.devices import prepare
from fispace.models.pair_scores import all_pairs, factor_scores, functional_scores
from fispace.models.sparse import to_dense
from fispace.stats.gains import gain
from fispace.stats.recovery import (
    auc,
    beyond_linear,
    captured_share,
    match_features,
    net_captured_share,
)
from fispace.store.tables import write_table
from fispace.study.config.planted import SCORES, PlantedStep
from fispace.study.step import Writes, command
from fispace.testbed.planted import World, plant

log = logging.getLogger(__name__)


@command("testbed", "planted", target="full")
def measure_world(params: PlantedStep, *, world: int, metrics: Writes, pairs: Writes) -> None:
    """Write the metrics of one world at every share, and the scores of all its pairs of features.

    `metrics` is long: arm, share, metric, value. The metrics are

    auc_factor, auc_functional      AUC of the planted pairs among all pairs, by each score
    captured_interaction, _all      share of the planted non-linear variance in the interaction's
                                    output, or in the whole reconstruction
    net_captured_interaction        the same, minus the rest of the interaction's output
    gain                            1 - error / error of the best linear readout of the same codes
    fvu, match                      FVU of the reconstruction; median correlation of matched latents

    Raises:
        DivergedError: if a loss becomes non-finite.
    """
    prepare(params.threads)
    rows: list[dict[str, Any]] = []
    scores: list[pd.DataFrame] = []
    for share in params.planted.shares:
        planted = plant(params.planted.world, share, params.root_seed, world)
        train, heldout = world_tokens(params, planted, world)
        for arm, found in train_arms(params, world, train, heldout):
            key = {"world": world, "share": share, "arm": arm}
            scored = _scored(found, heldout, planted)
            values = _measured(found, heldout) | _aucs(scored)
            rows += [key | {"metric": name, "value": value} for name, value in values.items()]
            scores.append(scored.assign(**key))
            log.info("world %d, share %g, %s: %s", world, share, arm, values)
    recipe = params.plain() | {"step": "testbed planted", "world": world}
    write_table(metrics, pd.DataFrame(rows), recipe)
    write_table(pairs, pd.concat(scores, ignore_index=True), recipe)


def _measured(found: TrainedArm, heldout: Tokens) -> dict[str, Any]:
    features = heldout.features.cpu().numpy()
    planted = beyond_linear(features, heldout.planted.cpu().numpy())
    whole = beyond_linear(features, found.z_hat.cpu().numpy())
    error, linear, variance = (
        _squares(heldout.z - of) for of in (found.z_hat, found.linear, heldout.z.mean(0))
    )
    values: dict[str, Any] = {
        "captured_all": captured_share(planted, whole),
        "gain": np.asarray(gain(linear, error)).item(),
        "fvu": (error / variance).item(),
    }
    if found.output is not None:
        own = beyond_linear(features, found.output.cpu().numpy())
        values["captured_interaction"] = captured_share(planted, own)
        values["net_captured_interaction"] = net_captured_share(planted, own)
    return values


def _squares(rows: Tensor) -> np.ndarray:
    """Sum of squares, as an array of one number: in the precision of the rows."""
    return rows.square().sum().reshape(1).cpu().numpy()


def _scored(found: TrainedArm, heldout: Tokens, world: World) -> pd.DataFrame:
    """Scores of all pairs of features, computed from the latents matched to them."""
    n_latents = found.model.config.n_latents
    activations = to_dense(found.codes, n_latents).cpu().numpy()
    matched = match_features(heldout.features.cpu().numpy(), activations)
    first, second = np.triu_indices(len(matched.latents), 1)
    is_planted = np.zeros((len(matched.latents),) * 2, dtype=np.bool_)
    is_planted[world.pairs[:, 0], world.pairs[:, 1]] = True
    columns: dict[str, Any] = {
        "first": first,
        "second": second,
        "is_planted": is_planted[first, second],
    }
    for name, values in _scores(found, matched.latents):
        columns[name] = values
    frame = pd.DataFrame(columns)
    frame.attrs["match"] = float(np.median(matched.correlations))
    return frame


def _scores(found: TrainedArm, latents: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    if found.output is None:
        return
    if found.model.interaction.no_pair_weights is None:
        yield "factor", factor_scores(found.model, found.codes, all_pairs(latents))
    yield "functional", functional_scores(found.model, found.codes, latents)


def _aucs(scored: pd.DataFrame) -> dict[str, Any]:
    planted = scored["is_planted"].to_numpy()
    found = {
        f"auc_{name}": auc(scored[name].to_numpy(), planted) for name in SCORES if name in scored
    }
    return found | {"match": scored.attrs["match"]}
