"""Named quantities from the fidelity summary: levels, gains over a baseline, contributions of a part.

A condition is written `arm.parts`; `full` stands for all parts of the arm. Must not: know a claim.
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

import pandas as pd

from fispace.chapters.fidelity.document_sums import (
    CONDITION_KEY,
    EPSILON,
    MASKED,
    NO_ARM,
    RECONSTRUCTION,
    is_full,
)
from fispace.stats.gains import Number, gain
from fispace.store.metric_registry import unit_of
from fispace.store.origins import Cell, Derived, Rows, derive, unchanged
from fispace.store.quantities import Frame, Quantity, quantity

LOSSES = ("mse", "fvu", "kl", "ce", "excess_ce")
"""Levels that are compared; lower is better."""
SPLIT = "test"
FULL, SAE, SAE_BIAS = "full", "sae", "sae_bias"
BASELINE_ARMS = ("sae", SAE_BIAS, "joint_no_interaction")
"""Trained arms with which every set of parts is compared."""
ROW = [*CONDITION_KEY, "metric"]
"""Columns that identify a row of the summary."""
FIRST_ARMS = ("sae", "sae_bias", "joint_no_interaction", "joint_no_linear", "sequential", "joint")
"""Order of the known arms in figures; others follow by name."""

Conditions = dict[tuple[str, str], Cell]
"""Level by (arm, parts) of one seed: a value, or its draws under resampling."""
Levels = dict[str, Conditions]
"""Levels by metric."""
NamedValue = tuple[str, Derived]
"""Name and value of a quantity, before seed, unit and n are added."""
LAST_STEPS = {"interaction": "sae+linear+bias", "linear": "sae+bias+interaction"}
"""Parts of the arm before the last step, which adds the part of that name."""
SHARES = {"interaction": "sae+bias+interaction", "linear": "sae+linear+bias", "bias": "sae+bias"}
"""Parts whose gain over the SAE part is given as a share of the full model's gain over it.

Each set contains the bias, so the share of `interaction` is the share of SAE + bias + interaction. The
share of `bias` shows how much of it is due to the bias.
"""


class RatioParts(NamedTuple):
    """The two quantities, by name, from which a quantity that is a ratio is computed.

    ratio = neutral + difference / denominator
    """

    difference: str
    """In the unit of the denominator; zero if the ratio has its neutral value."""
    denominator: str
    neutral: float


def fidelity_quantities(summary: Frame) -> Iterator[Quantity]:
    """Every quantity of the summary's test split, per seed.

    metric.arm.parts                       the level itself
    metric_gain.arm.parts.over.arm.parts   1 - level / baseline's level. Baselines of any set of parts:
                                           the arm's own SAE part, and the arms of `BASELINE_ARMS`.
                                           Further baselines of a full arm: all other full arms
    metric_last_step.arm.part              (level without the part - level) / level of sae_bias
    metric_gain_share.arm.part             gain of the parts in `SHARES` over the SAE part, as a share
                                           of the full model's gain over the SAE part
    kl_over_epsilon.arm.parts              KL / KL of random errors of the condition's own norm
    kl_over_sae_epsilon.arm.parts          the same, with the norm of the arm's SAE part's error
    kl_epsilon.arm.parts                   KL of random errors of the condition's own norm

    Beside each ratio stands its numerator, in the unit of the level: metric_reduction beside
    metric_gain, metric_last_reduction beside metric_last_step, kl_above_epsilon and
    kl_above_sae_epsilon (KL - KL of random errors) beside the ratios of KL. `ratio_parts` names them.
    """
    rows = of_decoders(summary)
    rows["short_parts"] = short_parts(rows)
    for seed, of_seed in rows.groupby("seed"):
        levels, random = (_levels(of_seed, name) for name in (RECONSTRUCTION, EPSILON))
        n_tokens = int(of_seed["n_tokens"].max())
        for name, derived in named_quantities(levels, random):
            unit = unit_of(name.split(".")[0])
            yield quantity(name, int(str(seed)), derived, unit, n_tokens)


def ratio_parts(name: str, known: Collection[str]) -> RatioParts | None:
    """The parts of a ratio among the `known` quantities; None if it is not a ratio of two of them."""
    metric, _, place = name.partition(".")
    loss = next((of for of in LOSSES if metric.startswith(f"{of}_")), "")
    form = metric.removeprefix(f"{loss}_")
    arm, _, part = place.partition(".")
    if form == "gain":
        baseline = place.partition(".over.")[2]
        return RatioParts(f"{loss}_reduction.{place}", f"{loss}.{baseline}", 0.0)
    if form == "last_step":
        return RatioParts(f"{loss}_last_reduction.{place}", f"{loss}.{SAE_BIAS}.{FULL}", 0.0)
    if form == "gain_share" and part in SHARES:
        own, whole = (
            f"{loss}_reduction.{arm}.{of}.over.{arm}.{SAE}" for of in (SHARES[part], FULL)
        )
        return RatioParts(own, whole, 0.0)
    if metric == "kl_over_epsilon":
        return RatioParts(f"kl_above_epsilon.{place}", f"kl_epsilon.{place}", 1.0)
    if metric == "kl_over_sae_epsilon":
        of_sae = f"kl_epsilon.{arm}.{SAE}"
        denominator = of_sae if of_sae in known else f"kl_epsilon.{arm}.{FULL}"
        return RatioParts(f"kl_above_sae_epsilon.{place}", denominator, 1.0)
    return None


def of_decoders(summary: Frame) -> pd.DataFrame:
    """Rows of the test split, special tokens masked, whose parts contain a decoder."""
    has_decoder = summary["parts"].str.split("+").str[0].isin((SAE, ""))
    chosen = (summary["split"] == SPLIT) & (summary["special_tokens"] == MASKED)
    return summary[chosen & has_decoder & (summary["arm"] != NO_ARM)].copy()


def named_quantities(levels: Levels, random: Levels) -> Iterator[NamedValue]:
    """The quantities of one seed, from the levels of the arms and of their random errors."""
    yield from _level_quantities(levels)
    yield from _gains(levels)
    yield from _last_steps(levels)
    yield from _gain_shares(levels)
    yield from _over_epsilon(levels, random)


def short_parts(rows: Frame) -> pd.Series:
    """`full` for all parts of an arm, the names of the parts otherwise."""
    return rows["parts"].mask(is_full(rows), FULL)


def _levels(rows: Frame, condition: str) -> Levels:
    levels: Levels = {}
    for row in rows[rows["condition"] == condition].to_dict("records"):
        place = {name: row[name] for name in ROW}
        cell = Cell(float(row["value"]), Rows("fidelity", place, "value"))
        of_metric = levels.setdefault(str(row["metric"]), {})
        of_metric[str(row["arm"]), str(row["short_parts"])] = cell
    return levels


def _level_quantities(levels: Levels) -> Iterator[NamedValue]:
    for metric, by_condition in levels.items():
        for (arm, parts), level in by_condition.items():
            yield f"{metric}.{arm}.{parts}", derive(unchanged, value=level)


def reduction(baseline: Number, value: Number) -> Number:
    """Numerator of a gain, in the unit of the loss: baseline - value."""
    return baseline - value


def _gains(levels: Levels) -> Iterator[NamedValue]:
    for metric, by_condition in _losses(levels):
        for (arm, parts), level in by_condition.items():
            for base in by_condition:
                if base != (arm, parts) and _is_baseline(base, arm, parts):
                    place = f"{arm}.{parts}.over.{base[0]}.{base[1]}"
                    cells = {"baseline": by_condition[base], "value": level}
                    yield f"{metric}_gain.{place}", derive(gain, **cells)
                    yield f"{metric}_reduction.{place}", derive(reduction, **cells)


def _is_baseline(base: tuple[str, str], arm: str, parts: str) -> bool:
    if base == (arm, SAE):
        return True
    return base[1] == FULL and (parts == FULL or base[0] in BASELINE_ARMS)


def last_step(without: Number, whole: Number, control: Number) -> Number:
    """What a part removes as the last one, over the control's loss: (without - whole) / control."""
    return last_reduction(without, whole) / control


def last_reduction(without: Number, whole: Number) -> Number:
    """What a part removes as the last one, in the unit of the loss: without - whole."""
    return without - whole


def _last_steps(levels: Levels) -> Iterator[NamedValue]:
    for metric, by_condition in _losses(levels):
        if (SAE_BIAS, FULL) not in by_condition:
            continue
        control = by_condition[SAE_BIAS, FULL]
        for (arm, parts), without in by_condition.items():
            for part, rest in LAST_STEPS.items():
                if parts == rest and (arm, FULL) in by_condition:
                    cells = {"without": without, "whole": by_condition[arm, FULL]}
                    step = derive(last_step, **cells, control=control)
                    yield f"{metric}_last_step.{arm}.{part}", step
                    yield f"{metric}_last_reduction.{arm}.{part}", derive(last_reduction, **cells)


def share_of_gain(baseline: Number, value: Number, whole: Number) -> Number:
    """A gain as a share of the full model's: (1 - value / baseline) / (1 - whole / baseline)."""
    return gain(baseline, value) / gain(baseline, whole)


def _gain_shares(levels: Levels) -> Iterator[NamedValue]:
    for metric, by_condition in _losses(levels):
        for (arm, parts), level in by_condition.items():
            for part, own in SHARES.items():
                if parts == own and {(arm, SAE), (arm, FULL)} <= set(by_condition):
                    cells = {"baseline": by_condition[arm, SAE], "whole": by_condition[arm, FULL]}
                    share = derive(share_of_gain, value=level, **cells)
                    yield f"{metric}_gain_share.{arm}.{part}", share


def over_random(value: Number, random: Number) -> Number:
    """Loss of a reconstruction over loss of random errors: value / random."""
    return value / random


def above_random(value: Number, random: Number) -> Number:
    """Loss of a reconstruction minus loss of random errors: value - random."""
    return value - random


def _over_epsilon(levels: Levels, random: Levels) -> Iterator[NamedValue]:
    of_random = random.get("kl", {})
    for (arm, parts), level in levels.get("kl", {}).items():
        if (arm, parts) in of_random:
            yield f"kl_epsilon.{arm}.{parts}", derive(unchanged, value=of_random[arm, parts])
        own_sae = (arm, SAE) if (arm, SAE) in of_random else (arm, FULL)
        for stem, condition in (("epsilon", (arm, parts)), ("sae_epsilon", own_sae)):
            if condition in of_random:
                cells = {"value": level, "random": of_random[condition]}
                yield f"kl_over_{stem}.{arm}.{parts}", derive(over_random, **cells)
                yield f"kl_above_{stem}.{arm}.{parts}", derive(above_random, **cells)


def _losses(levels: Levels) -> Iterator[tuple[str, Conditions]]:
    return ((metric, by_condition) for metric, by_condition in levels.items() if metric in LOSSES)
