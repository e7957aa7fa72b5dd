"""Verdicts on printed claims: does a test of our numbers hold, and does it hold against the controls?

A verdict is computed from intervals, never typed. Must not: read files, or know a claim.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from fispace.stats.intervals import Interval, t_interval

REPRODUCED = "reproduced"
EXPLAINED = "reproduced, explained by the null"
NOT_REPRODUCED = "not reproduced"
NOT_TESTABLE = "not testable at this scale"
VERDICTS = (REPRODUCED, EXPLAINED, NOT_REPRODUCED, NOT_TESTABLE)

DIRECTIONS = {"above": 1, "below": -1}
"""Tests of a mean: the interval lies entirely on that side of the reference."""
EVERY = {"every_above": 1, "every_below": -1}
"""Tests of numbers whose mean says nothing, such as p-values: every seed lies on that side."""
COVERS, AT_MOST, AT_PAPER_SIZES = "covers", "at_most", "at_paper_sizes"

Values = Float[np.ndarray, " seeds"]
Sample = Mapping[int, float]
"""Values by seed; a number that depends on no seed has the one key `CONSTANT`."""
CONSTANT = -1


@dataclass(frozen=True)
class Rule:
    """The test of a claim, and the settings of its verdict."""

    test: str
    """Name of the test, as in the claim's predicate."""
    tolerance: float
    """Largest |ours - printed| / |printed| of the tests at the paper's own sizes."""
    confidence: float
    """Of the intervals over seeds."""
    explained_share: float
    """A null that reaches this share of an effect explains it."""


class Range(NamedTuple):
    """Ends of an interval that was computed elsewhere, such as one over documents."""

    low: float
    high: float


class Reading(NamedTuple):
    """A verdict, and why."""

    verdict: str
    because: str
    """The test that decided, in one clause."""


def aligned(*samples: Sample) -> list[Values]:
    """Values of the samples on their common seeds, in order; a constant is repeated for every seed.

    Only constants: one value each. No common seed: empty arrays.
    """
    seeded = [set(sample) for sample in samples if CONSTANT not in sample]
    seeds = sorted(set.intersection(*seeded)) if seeded else [CONSTANT]
    return [
        np.array([sample[CONSTANT if CONSTANT in sample else seed] for seed in seeds])
        for sample in samples
    ]


def lies_beyond(interval: Interval | Range, direction: int) -> bool | None:
    """Whether an interval of differences lies on that side of zero; None if it has no ends."""
    if np.isnan(interval.low) or np.isnan(interval.high):
        return None
    return interval.low > 0 if direction > 0 else interval.high < 0


def covers_zero(interval: Interval | Range) -> bool | None:
    """Whether the interval contains zero; None if it has no ends."""
    if np.isnan(interval.low) or np.isnan(interval.high):
        return None
    return interval.low <= 0 <= interval.high


def all_beyond(differences: Values, direction: int) -> bool | None:
    """Whether every difference has that sign; None if there are none or one is undefined."""
    if len(differences) == 0 or np.isnan(differences).any():
        return None
    return bool((direction * differences > 0).all())


def holds(rule: Rule, differences: Values, documents: Range | None) -> bool | None:
    """Whether the test holds for differences from the reference, one per seed.

    A direction must hold over seeds, and over documents if there is such an interval. `covers` looks at
    the interval over documents, or over seeds if there is none. `at_most` fails if either interval lies
    above the reference.
    """
    if rule.test in EVERY:
        return all_beyond(differences, EVERY[rule.test])
    over_seeds = t_interval(differences, rule.confidence)
    if rule.test == COVERS:
        return covers_zero(documents if documents is not None else over_seeds)
    direction = 1 if rule.test == AT_MOST else DIRECTIONS[rule.test]
    found = [lies_beyond(over_seeds, direction)]
    if documents is not None:
        found.append(lies_beyond(documents, direction))
    if None in found:
        return None
    return not any(found) if rule.test == AT_MOST else all(found)


def null_explains(rule: Rule, differences: Values, of_null: Values) -> bool | None:
    """Whether a null explains an effect that holds.

    Both arguments are differences from the same reference, in order of the seeds. A null explains a
    direction if it reaches `explained_share` of the mean effect, or if the interval of the paired excess
    over it contains zero. It explains a test of every seed by passing the test too. None if undefined.
    """
    if rule.test in EVERY:
        return all_beyond(of_null, EVERY[rule.test])
    direction = DIRECTIONS[rule.test]
    excess = t_interval(differences - of_null, rule.confidence)
    is_beyond = lies_beyond(excess, direction)
    if is_beyond is None:
        return None
    reached = direction * of_null.mean() >= rule.explained_share * direction * differences.mean()
    return bool(reached) or not is_beyond


def is_close(value: float, printed: float, tolerance: float) -> bool:
    """Whether |value - printed| <= tolerance |printed|; False for an undefined value."""
    return bool(abs(value - printed) <= tolerance * abs(printed))


def at_paper_sizes(rule: Rule, value: float, printed: float) -> Reading:
    """Verdict on a number that needs only the paper's own sizes: ours must be the printed one."""
    if is_close(value, printed, rule.tolerance):
        return Reading(REPRODUCED, "the paper's own sizes give the printed number")
    return Reading(NOT_REPRODUCED, "the paper's own sizes give another number")


def null_at_paper_sizes(rule: Rule, null: float, printed: float) -> Reading:
    """Verdict on an absolute number whose null can be computed at the paper's own sizes."""
    if is_close(null, printed, rule.tolerance):
        return Reading(EXPLAINED, "a null at the paper's own sizes gives the printed number")
    return Reading(NOT_TESTABLE, "absolute, and the null at the paper's sizes is another number")


def absolute() -> Reading:
    """Verdict on an absolute number of another model."""
    return Reading(NOT_TESTABLE, "an absolute number of another model")


def without_denominator(quantity: str) -> Reading:
    """Verdict on a ratio whose denominator may be zero."""
    return Reading(
        NOT_TESTABLE, f"undefined: the interval of the denominator of {quantity} contains 0"
    )


def judged(is_held: bool | None, explanations: Mapping[str, bool | None]) -> Reading:
    """Verdict on a test of our own models.

    `explanations` says of each control whether it explains the effect. With an undefined control the
    claim is not testable rather than reproduced.
    """
    if is_held is None:
        return Reading(NOT_TESTABLE, "undefined in this study")
    if not is_held:
        return Reading(NOT_REPRODUCED, "the predicate does not hold")
    explaining = [name for name, explains in explanations.items() if explains]
    if explaining:
        return Reading(EXPLAINED, f"holds, but not beyond: {', '.join(explaining)}")
    undefined = [name for name, explains in explanations.items() if explains is None]
    if undefined:
        return Reading(NOT_TESTABLE, f"holds, but undefined in this study: {', '.join(undefined)}")
    if explanations:
        return Reading(REPRODUCED, f"holds, also beyond: {', '.join(explanations)}")
    return Reading(REPRODUCED, "holds; no control was asked for")
