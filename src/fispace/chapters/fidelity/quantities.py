"""Named quantities from the fidelity summary: levels, gains over a baseline, what a part adds.

A condition is written `arm.parts`; `full` stands for all parts of the arm. Must not: know a claim.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pandas as pd

from fispace.chapters.fidelity.document_sums import (
    EPSILON,
    KEY,
    MASKED,
    NO_ARM,
    RECONSTRUCTION,
    is_full,
)
from fispace.stats.published import Number, improvement
from fispace.store.origins import Cell, Derived, Rows, derive, unchanged
from fispace.store.quantities import Frame, Quantity, quantity

LOSSES = {"mse": "z2", "fvu": "fraction", "kl": "nats", "ce": "nats", "excess_ce": "nats"}
"""Metrics of which less is better, with their units."""
SPLIT = "test"
FULL, SAE, CONTROL = "full", "sae", "sae_bias"
BASELINE_ARMS = ("sae", CONTROL, "joint_no_interaction")
"""Arms that parts of an arm are compared with as well."""
ROW = [*KEY, "metric"]
"""Columns that name a row of the summary."""
FIRST_ARMS = ("sae", "sae_bias", "joint_no_interaction", "joint_no_linear", "sequential", "joint")
"""Order of the known arms in figures; others follow by name."""

Conditions = dict[tuple[str, str], Cell]
"""Level by condition (arm, parts) of one seed, a value or its draws under resampling."""
Levels = dict[str, Conditions]
"""Levels by metric."""


class Named(NamedTuple):
    """A quantity before seed and n are added."""

    name: str
    derived: Derived
    unit: str


def fidelity_quantities(summary: Frame) -> Iterator[Quantity]:
    """Every quantity that the test split of the summary gives, per seed.

    metric.arm.parts                       the level itself
    metric_gain.arm.parts.over.arm.parts   1 - level / baseline's level; baselines are the arm's own
                                           SAE part and the trained arms of `BASELINE_ARMS`; of all
                                           parts of an arm, all parts of every other
    metric_last_step.arm.part              (level without the part - level) / level of sae_bias
    metric_gain_share.arm.part             gain of SAE + bias + part over the SAE part, as a share
                                           of the full model's gain; part `bias`: the bias alone
    kl_over_epsilon.arm.parts              KL / KL of random errors of the condition's own norm
    kl_over_sae_epsilon.arm.parts          the same, with the norm of the arm's SAE part's error
    """
    rows = of_decoders(summary)
    rows["short_parts"] = short_parts(rows)
    for seed, of_seed in rows.groupby("seed"):
        levels, random = (_levels(of_seed, name) for name in (RECONSTRUCTION, EPSILON))
        n_tokens = int(of_seed["n_tokens"].max())
        for name, derived, unit in named_quantities(levels, random):
            yield quantity(name, int(str(seed)), derived, unit, n_tokens)


def of_decoders(summary: Frame) -> pd.DataFrame:
    """Rows of the test split with special tokens masked whose parts hold a decoder."""
    has_decoder = summary["parts"].str.split("+").str[0].isin((SAE, ""))
    chosen = (summary["split"] == SPLIT) & (summary["special_tokens"] == MASKED)
    return summary[chosen & has_decoder & (summary["arm"] != NO_ARM)].copy()


def named_quantities(levels: Levels, random: Levels) -> Iterator[Named]:
    """The quantities of one seed, from the levels of the arms and of random errors beside them."""
    yield from _level_quantities(levels)
    yield from _gains(levels)
    yield from _last_steps(levels)
    yield from _gain_shares(levels)
    yield from _over_epsilon(levels, random)


def short_parts(rows: Frame) -> pd.Series:
    """`full` for all parts of an arm, the parts' own name for fewer."""
    return rows["parts"].mask(is_full(rows), FULL)


def _levels(rows: Frame, condition: str) -> Levels:
    levels: Levels = {}
    for row in rows[rows["condition"] == condition].to_dict("records"):
        place = {name: row[name] for name in ROW}
        cell = Cell(float(row["value"]), Rows("fidelity", place, "value"))
        of_metric = levels.setdefault(str(row["metric"]), {})
        of_metric[str(row["arm"]), str(row["short_parts"])] = cell
    return levels


def _level_quantities(levels: Levels) -> Iterator[Named]:
    for metric, by_condition in levels.items():
        for (arm, parts), level in by_condition.items():
            unit = LOSSES.get(metric, "1")
            yield Named(f"{metric}.{arm}.{parts}", derive(unchanged, value=level), unit)


def _gains(levels: Levels) -> Iterator[Named]:
    for metric, by_condition in _losses(levels):
        for (arm, parts), level in by_condition.items():
            for base in by_condition:
                if base != (arm, parts) and _is_baseline(base, arm, parts):
                    gain = derive(improvement, baseline=by_condition[base], value=level)
                    name = f"{metric}_gain.{arm}.{parts}.over.{base[0]}.{base[1]}"
                    yield Named(name, gain, "fraction")


def _is_baseline(base: tuple[str, str], arm: str, parts: str) -> bool:
    if base == (arm, SAE):
        return True
    return base[1] == FULL and (parts == FULL or base[0] in BASELINE_ARMS)


def added_last(without: Number, whole: Number, control: Number) -> Number:
    """What a part removes as the last one, over the control's loss: (without - whole) / control."""
    return (without - whole) / control


def _last_steps(levels: Levels) -> Iterator[Named]:
    for metric, by_condition in _losses(levels):
        if (CONTROL, FULL) not in by_condition:
            continue
        control = by_condition[CONTROL, FULL]
        for (arm, parts), without in by_condition.items():
            for part, rest in (
                ("interaction", "sae+linear+bias"),
                ("linear", "sae+bias+interaction"),
            ):
                if parts == rest and (arm, FULL) in by_condition:
                    whole = by_condition[arm, FULL]
                    added = derive(added_last, without=without, whole=whole, control=control)
                    yield Named(f"{metric}_last_step.{arm}.{part}", added, "fraction")


def share_of_gain(baseline: Number, value: Number, whole: Number) -> Number:
    """A gain as a share of the full model's: (1 - value / baseline) / (1 - whole / baseline)."""
    return improvement(baseline, value) / improvement(baseline, whole)


def _gain_shares(levels: Levels) -> Iterator[Named]:
    for metric, by_condition in _losses(levels):
        for (arm, parts), level in by_condition.items():
            for part, own in (
                ("interaction", "sae+bias+interaction"),
                ("linear", "sae+linear+bias"),
                ("bias", "sae+bias"),
            ):
                if parts == own and {(arm, SAE), (arm, FULL)} <= set(by_condition):
                    base, whole = by_condition[arm, SAE], by_condition[arm, FULL]
                    share = derive(share_of_gain, baseline=base, value=level, whole=whole)
                    yield Named(f"{metric}_gain_share.{arm}.{part}", share, "fraction")


def over_random(value: Number, random: Number) -> Number:
    """A loss over that of random errors: value / random."""
    return value / random


def _over_epsilon(levels: Levels, random: Levels) -> Iterator[Named]:
    of_random = random.get("kl", {})
    for (arm, parts), level in levels.get("kl", {}).items():
        own_sae = (arm, SAE) if (arm, SAE) in of_random else (arm, FULL)
        for stem, condition in (("epsilon", (arm, parts)), ("sae_epsilon", own_sae)):
            if condition in of_random:
                ratio = derive(over_random, value=level, random=of_random[condition])
                yield Named(f"kl_over_{stem}.{arm}.{parts}", ratio, "ratio")


def _losses(levels: Levels) -> Iterator[tuple[str, Conditions]]:
    return ((metric, by_condition) for metric, by_condition in levels.items() if metric in LOSSES)
