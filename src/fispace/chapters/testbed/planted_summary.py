"""`testbed planted-summary`: what is found over worlds, with intervals, beside null and control.

Must not: train, or score a pair.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from fispace.chapters.testbed.tables import PLANTED_PAIRS
from fispace.stats.intervals import t_interval
from fispace.stats.recovery import null_threshold, share_above
from fispace.store.tables import read_table, write_csv, write_table
from fispace.study.config.planted import FIRST_ORDER, ORACLE, SCORES, PlantedSummaryStep
from fispace.study.step import Reads, Writes, command

Frame = Any  # pandas ships no types
Row = dict[str, Any]

KEYS = ["world", "share", "arm"]


@command("testbed", "planted-summary", sections=("testbed.planted",), target="full")
def summarise_worlds(
    params: PlantedSummaryStep, *, metrics: list[Reads], pairs: list[Reads], summary: Writes,
    table: Writes,
) -> None:  # fmt: skip
    """Write means and t intervals over worlds; `table` holds every world beside them.

    To the measured metrics come, each within a world,

    of_oracle_*       (AUC - 1/2) / (AUC of the oracle - 1/2)
    excess_null       gain less the same arm's gain where no pair is planted
    excess_control    gain less the first-order control's gain in the same world and share
    excess            gain less both: (gain - control) less the same where no pair is planted
    found_*           share of the planted pairs above the threshold of the null
    false_*           share of all other pairs above it; where none is planted, of all pairs

    The threshold of an arm and score is the (1 - alpha) quantile of that score over all pairs of a
    world without planted pairs, the largest of those of the *other* worlds: no world is judged by
    its own scores, and worlds may differ without more than alpha of the pairs being false.
    """
    measured: Frame = pd.concat([read_table(path) for path in metrics], ignore_index=True)
    scored: Frame = pd.concat([read_table(path) for path in pairs], ignore_index=True)
    derived = [*_against_oracle(measured), *_excesses(measured), *_found(scored, params.alpha)]
    every: Frame = pd.concat([measured, pd.DataFrame(derived)], ignore_index=True)
    means = _over_worlds(every, params.confidence)
    write_csv(summary, means, PLANTED_PAIRS)
    each = every.rename(columns={"value": "mean"}).dropna(subset=["mean"])
    both: Frame = pd.concat([means, each], ignore_index=True)
    write_table(table, both, params.plain() | {"step": "testbed planted-summary"})


def _values(measured: Frame, metric: str) -> dict[tuple[int, float, str], float]:
    own = measured[measured["metric"] == metric].dropna(subset=["value"])
    return {(r["world"], r["share"], r["arm"]): r["value"] for r in own.to_dict("records")}


def _row(key: tuple[int, float, str], metric: str, value: float) -> Row:
    return dict(zip(KEYS, key, strict=True)) | {"metric": metric, "value": value}


def _against_oracle(measured: Frame) -> Iterator[Row]:
    for score in SCORES:
        values = _values(measured, f"auc_{score}")
        for (world, share, arm), value in values.items():
            of_oracle = (value - 0.5) / (values[world, share, ORACLE] - 0.5)
            yield _row((world, share, arm), f"of_oracle_{score}", of_oracle)


def _excesses(measured: Frame) -> Iterator[Row]:
    gains = _values(measured, "gain")
    for (world, share, arm), gain in gains.items():
        null = gains[world, 0.0, arm]
        yield _row((world, share, arm), "excess_null", gain - null)
        control = gains.get((world, share, arm + FIRST_ORDER))
        if control is not None:
            null -= gains[world, 0.0, arm + FIRST_ORDER]
            yield _row((world, share, arm), "excess_control", gain - control)
            yield _row((world, share, arm), "excess", gain - control - null)


def _found(scored: Frame, alpha: float) -> Iterator[Row]:
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


def _over_worlds(every: Frame, confidence: float) -> Frame:
    rows: list[Row] = []
    for (share, arm, metric), own in every.groupby(["share", "arm", "metric"], sort=False):
        values = own["value"].dropna().to_numpy(np.float64)
        if len(values):
            found = t_interval(values, confidence)
            rows.append({"share": share, "arm": arm, "metric": metric, **found._asdict()})
    return pd.DataFrame(rows)
