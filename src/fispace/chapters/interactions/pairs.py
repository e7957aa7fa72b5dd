"""`interactions pairs`: which pairs of latents of one arm and seed combine, and what else looks as if.

Must not: define a statistic or a verdict.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from fispace.chapters.interactions.codes import TestedTokens, encode_split
from fispace.chapters.interactions.judged import judged_pairs
from fispace.chapters.interactions.pair_statistics import PairMeasurement
from fispace.chapters.interactions.verdicts import VERDICTS
from fispace.devices import prepare
from fispace.models.trained import load_trained
from fispace.store.checkpoint import data_record
from fispace.store.metric_registry import with_units
from fispace.store.tables import of_training, write_table
from fispace.study.config.interactions import InteractionsPairsStep
from fispace.study.step import Reads, Writes, command


@command("interactions", "pairs")
def measure_pairs(
    params: InteractionsPairsStep, *, seed: int, weights: Reads, manifest: Reads,
    standardiser: Reads, pairs: Writes, summary: Writes,
) -> None:  # fmt: skip
    """Write all pairs of latents that fire together, with their statistics and verdicts, and a summary.

    `pairs` has the columns of `PairMeasurement.table` and of `judged`, and arm and seed; `group_first` and
    `group_second` are the numbers of latents that stand behind each of the two. `summary` is long: arm,
    seed, metric, unit, value.

    Raises:
        ArtifactError: if the checkpoint or a shard is missing or altered, no pair fires together often
            enough, or there are fewer documents than blocks.
        ArtifactMismatchError: if the checkpoint is of another arm, seed or store.
        RefitError: if the refit of a token does not converge.
    """
    device = prepare(params.threads, params.device)
    expected = {"arm": params.arm, "seed": seed} | data_record(manifest, standardiser)
    model = load_trained(weights, expected, device).model
    tested = encode_split(params, model, manifest, standardiser)
    measurement, triples, table = judged_pairs(params, tested)
    sizes = np.bincount(tested.groups, minlength=len(tested.groups))
    table["group_first"], table["group_second"] = sizes[table["first"]], sizes[table["second"]]
    recipe = {"step": "interactions pairs", "arm": params.arm, "seed": seed}
    rows = pd.DataFrame(_summary(tested, measurement, triples, table))
    write_table(pairs, of_training(table, params.arm, seed), recipe)
    write_table(summary, of_training(with_units(rows), params.arm, seed), recipe)


def _summary(
    tested: TestedTokens, measurement: PairMeasurement, triples: pd.DataFrame, table: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    """What the pairs were tested on, and how many of each verdict there are."""
    left = float(np.square(tested.residual, dtype=np.float64).sum())
    own = float(np.square(measurement.fit.residual, dtype=np.float64).sum())
    fires = np.unique(tested.codes.indices)
    values: dict[str, float] = {
        "tested_tokens": tested.codes.shape[0],
        "tested_documents": len(np.unique(tested.documents)),
        "fvu_encoder": tested.fvu_encoder,
        "fvu_refit": tested.fvu,
        "own_terms_share": 1 - own / left if left > 0 else float("nan"),
        "own_terms_gradient": measurement.fit.gradient,
        "firing_latents": len(fires),
        "joined_latents": int((tested.groups != np.arange(len(tested.groups))).sum()),
        "reliability_median": float(np.median(measurement.reliability[fires])),
        "cofiring_pairs": len(table),
        "tested_pairs": int(table["q"].notna().sum()),
        "tested_triples": len(triples),
    }
    values |= {
        f"pairs_{verdict.replace(' ', '_')}": int((table["verdict"] == verdict).sum())
        for verdict in VERDICTS
    }
    for metric, value in values.items():
        yield {"metric": metric, "value": float(value)}
