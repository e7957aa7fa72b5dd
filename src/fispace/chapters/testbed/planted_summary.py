"""`testbed planted-summary` and `planted-plots`: recovery of planted pairs over worlds.

Means and intervals stand beside their null and control. Must not: train, or score a pair.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from fispace.chapters.testbed.tables import PLANTED_PAIRS, PLANTED_PAIRS_PLOT
from fispace.stats.intervals import over_repetitions
from fispace.stats.recovery import null_threshold, share_above
from fispace.store.quantities import Frame
from fispace.store.tables import read_table, write_csv, write_table
from fispace.study.config.planted import FIRST_ORDER, ORACLE, SCORES, PlantedSummaryStep
from fispace.study.step import Reads, Writes, command

WORLD_KEY = ["world", "share", "arm"]
PLOTTED_METRICS = (
    "auc_factor", "auc_functional", "found_functional", "captured_interaction", "captured_all", "gain",
)  # fmt: skip
FALSE_PAIRS = "false_functional"
"""Plotted only where no pair is planted, so that every pair found is false."""


@command("testbed", "planted-summary", sections=("testbed.planted",), target="full")
def summarise_worlds(
    params: PlantedSummaryStep, *, metrics: list[Reads], pairs: list[Reads], summary: Writes,
    table: Writes,
) -> None:  # fmt: skip
    """Write means and t intervals over worlds; `table` holds the value of every world as well.

    These metrics are derived from the measured ones within each world:

    of_oracle_*       (AUC - 1/2) / (AUC of the oracle - 1/2)
    excess_null       gain - gain of the same arm where no pair is planted
    excess_control    gain - gain of the first-order control in the same world, at the same share
    excess            (gain - control's gain) - the same difference where no pair is planted
    found_*           share of the planted pairs above the threshold of the null
    false_*           share of all other pairs above it; where none is planted, of all pairs

    In a world without planted pairs, the (1 - alpha) quantile of a score over all pairs is taken for
    each arm. The threshold is the largest of these quantiles over the *other* worlds. So no world is
    judged by its own scores, and differences between worlds do not raise the share of false pairs
    above alpha.
    """
    measured: Frame = pd.concat([read_table(path) for path in metrics], ignore_index=True)
    scored: Frame = pd.concat([read_table(path) for path in pairs], ignore_index=True)
    derived = [*_against_oracle(measured), *_excesses(measured), *_found(scored, params.alpha)]
    every: Frame = pd.concat([measured, pd.DataFrame(derived)], ignore_index=True)
    means = over_repetitions(every, ["share", "arm", "metric"], params.confidence)
    write_csv(summary, means, PLANTED_PAIRS)
    each = every.rename(columns={"value": "mean"}).dropna(subset=["mean"])
    both: Frame = pd.concat([means, each], ignore_index=True)
    write_table(table, both, params.plain() | {"step": "testbed planted-summary"})


def _values(measured: Frame, metric: str) -> dict[tuple[int, float, str], float]:
    own = measured[measured["metric"] == metric].dropna(subset=["value"])
    return {(r["world"], r["share"], r["arm"]): r["value"] for r in own.to_dict("records")}


def _row(key: tuple[int, float, str], metric: str, value: float) -> dict[str, Any]:
    return dict(zip(WORLD_KEY, key, strict=True)) | {"metric": metric, "value": value}


def _against_oracle(measured: Frame) -> Iterator[dict[str, Any]]:
    for score in SCORES:
        values = _values(measured, f"auc_{score}")
        for (world, share, arm), value in values.items():
            of_oracle = (value - 0.5) / (values[world, share, ORACLE] - 0.5)
            yield _row((world, share, arm), f"of_oracle_{score}", of_oracle)


def _excesses(measured: Frame) -> Iterator[dict[str, Any]]:
    gains = _values(measured, "gain")
    for (world, share, arm), gain in gains.items():
        null = gains[world, 0.0, arm]
        yield _row((world, share, arm), "excess_null", gain - null)
        control = gains.get((world, share, arm + FIRST_ORDER))
        if control is not None:
            null -= gains[world, 0.0, arm + FIRST_ORDER]
            yield _row((world, share, arm), "excess_control", gain - control)
            yield _row((world, share, arm), "excess", gain - control - null)


def _found(scored: Frame, alpha: float) -> Iterator[dict[str, Any]]:
    for arm, of_arm in scored.groupby("arm", sort=False):
        for score in SCORES:
            own = of_arm.dropna(subset=[score]) if score in of_arm else of_arm.iloc[:0]
            null = own[own["share"] == 0]
            for (world, share), rows in own.groupby(["world", "share"]):
                others = null[null["world"] != world].groupby("world")[score]
                threshold = max(null_threshold(other.to_numpy(), alpha) for _, other in others)
                values, planted = rows[score].to_numpy(), rows["is_planted"].to_numpy(np.bool_)
                key = (world, share, str(arm))
                yield _row(key, f"found_{score}", share_above(values[planted], threshold))
                yield _row(key, f"false_{score}", share_above(values[~planted], threshold))


@command("testbed", "planted-plots", target="full")
def write_planted_plots(*, table: Reads, planted: Writes) -> None:
    """Write the rows that the figure draws: means over worlds with intervals, and every world (`world`)."""
    rows: Frame = read_table(table)
    is_null = (rows["metric"] == FALSE_PAIRS) & (rows["share"] == 0)
    shown = rows[rows["metric"].isin(PLOTTED_METRICS) | is_null]
    write_csv(planted, shown[list(PLANTED_PAIRS_PLOT.columns)], PLANTED_PAIRS_PLOT)
