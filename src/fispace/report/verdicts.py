"""Verdicts on printed claims: decisions with a region of indifference, and how controls change them.

An effect is the difference of our number from the claim's reference. Effects smaller than the claim's
smallest effect of interest count as none, so a verdict needs an interval that lies wholly beyond that
bound or wholly inside it. Otherwise it is undecided. A verdict is computed from intervals, never typed.
Must not: read files, or know a claim.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from fispace.stats.intervals import (
    Interval,
    detectable_effect,
    joined_interval,
    repetitions_to_decide,
    t_interval,
)

REPRODUCED = "reproduced"
EXPLAINED = "reproduced, explained by the null"
NOT_REPRODUCED = "not reproduced"
UNDECIDED = "undecided"
UNDERPOWERED = "underpowered"
NOT_TESTABLE = "not testable at this scale"
VERDICTS = (REPRODUCED, EXPLAINED, NOT_REPRODUCED, UNDECIDED, UNDERPOWERED, NOT_TESTABLE)

DIRECTIONS = {"above": 1, "below": -1}
"""Tests of a mean: our number lies on that side of the reference."""
EVERY = {"every_above": 1, "every_below": -1}
"""Tests of numbers that should not be averaged, such as p-values: every seed lies on that side."""
COVERS, AT_MOST, AT_PAPER_SIZES = "covers", "at_most", "at_paper_sizes"

POWER = 0.8
"""Power of the smallest effect that counts as detectable."""

Values = Float[np.ndarray, " seeds"]
Sample = Mapping[int, float]
"""Values by seed; a number that depends on no seed has the one key `CONSTANT`."""
CONSTANT = -1
Outcome = Literal["holds", "fails", "undecided", "undefined"]
"""Whether a test holds: its interval lies on the one side, on the other, on both; or there is none."""


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


class Decision(NamedTuple):
    """Whether a test holds, and how sure that is."""

    outcome: Outcome
    bound: float | None = None
    """Effects beyond this are excluded, where the test of a direction fails; in the test's direction."""
    detectable: float | None = None
    """Smallest effect that these seeds show with power .8; None if the test has no interval."""
    n_seeds: int | None = None
    """Seeds that would decide an undecided test, if their mean and spread stay as they are; None if it
    is decided, or if the documents are too few for any number of seeds."""

    def in_units_of(self, scale: float) -> "Decision":
        """The same with effects divided by `scale`."""
        bound, detectable = (
            None if value is None else value / scale for value in (self.bound, self.detectable)
        )
        return self._replace(bound=bound, detectable=detectable)


class Reading(NamedTuple):
    """A verdict, and why."""

    verdict: str
    because: str
    """The test that decided, in one clause."""
    excluded_above: float | None = None
    """Of a claim that is not reproduced: effects larger than this are excluded, in the unit of the claim."""
    detectable: float | None = None
    """Smallest effect that the seeds of this study show with power .8, in the unit of the claim."""
    seeds_to_decide: int | None = None
    """Of an undecided claim: how many seeds would decide it."""


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


def has_no_ends(interval: Interval | Range) -> bool:
    """Whether an end is not defined."""
    return bool(np.isnan(interval.low) or np.isnan(interval.high))


def covers_zero(interval: Interval | Range) -> bool | None:
    """Whether the interval contains zero; None if it has no ends."""
    return None if has_no_ends(interval) else interval.low <= 0 <= interval.high


def beyond(interval: Interval | Range, direction: int, smallest: float) -> Outcome:
    """Whether effects of that direction exceed `smallest`.

    holds: the whole interval does. fails: no part of it does. undecided: a part of it does.
    """
    if has_no_ends(interval):
        return "undefined"
    low, high = sorted((direction * interval.low, direction * interval.high))
    if low > smallest:
        return "holds"
    return "fails" if high < smallest else "undecided"


def within(interval: Interval | Range, smallest: float) -> Outcome:
    """Whether effects of either direction are at most `smallest` in size (an equivalence test)."""
    if has_no_ends(interval):
        return "undefined"
    if -smallest <= interval.low and interval.high <= smallest:
        return "holds"
    return "fails" if interval.low > smallest or interval.high < -smallest else "undecided"


def every_seed(differences: Values, direction: int) -> Outcome:
    """Whether every difference has that sign (holds), none has it (fails), or some (undecided)."""
    if len(differences) == 0 or np.isnan(differences).any():
        return "undefined"
    on_side = direction * differences > 0
    if on_side.all():
        return "holds"
    return "undecided" if on_side.any() else "fails"


def decide(
    rule: Rule, differences: Values, documents: Range | None, smallest: float, of_few: bool = False
) -> Decision:
    """Whether the test holds for differences from the reference, one per seed.

    The interval joins seeds and documents (`joined_interval`). With `of_few`, `covers` asks what the
    paper asked: is the difference significant in a small sample of documents? That is not an
    equivalence test, and the interval over such samples alone answers it.
    """
    if rule.test in EVERY:
        return Decision(every_seed(differences, EVERY[rule.test]))
    over_seeds = t_interval(differences, rule.confidence)
    if rule.test == COVERS and of_few:
        is_covered = covers_zero(over_seeds if documents is None else documents)
        return Decision("undefined" if is_covered is None else "holds" if is_covered else "fails")
    joined = over_seeds
    if documents is not None:
        joined = joined_interval(over_seeds, documents.low, documents.high)
    direction = DIRECTIONS.get(rule.test, 1)
    if rule.test == COVERS:
        outcome = within(joined, smallest)
    elif rule.test == AT_MOST:
        outcome = _opposite(beyond(joined, 1, smallest))
    else:
        outcome = beyond(joined, direction, smallest)
    is_direction = rule.test in DIRECTIONS
    bound = max(direction * joined.low, direction * joined.high)
    return Decision(
        outcome,
        bound if is_direction and outcome == "fails" else None,
        detectable_effect(joined, rule.confidence, POWER),
        repetitions_to_decide(over_seeds, joined, smallest, rule.confidence)
        if outcome == "undecided"
        else None,
    )


def _opposite(outcome: Outcome) -> Outcome:
    swapped: dict[Outcome, Outcome] = {"holds": "fails", "fails": "holds"}
    return swapped.get(outcome, outcome)


def exceeds_null(rule: Rule, differences: Values, of_null: Values, smallest: float) -> Outcome:
    """Whether an effect that holds exceeds its null; `fails` if the null explains it.

    Both arguments are differences from the same reference, in order of the seeds. The paired excess must
    exceed both the smallest effect of interest and the share 1 - `explained_share` of the mean effect.
    For a test of every seed, the null must not pass the test too.
    """
    if rule.test in EVERY:
        return _opposite(every_seed(of_null, EVERY[rule.test]))
    rest = (1 - rule.explained_share) * abs(float(differences.mean()))
    excess = t_interval(differences - of_null, rule.confidence)
    return beyond(excess, DIRECTIONS[rule.test], max(smallest, rest))


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


def judged(
    first: Decision, controls: Mapping[str, Outcome], printed_effect: float | None
) -> Reading:
    """Verdict on a test of our own models.

    `first` is the decision on the claim's own test. `controls` says of each control whether the effect
    exceeds it. `printed_effect` is the size of the printed effect; an undecided test that would not
    show it is underpowered.
    """
    verdict, because = _verdict(first, controls)
    detectable = first.detectable
    is_weak = None not in (detectable, printed_effect) and detectable > printed_effect  # type: ignore[operator]
    if verdict == UNDECIDED and is_weak:
        verdict, because = UNDERPOWERED, f"{because}; the printed effect would not be seen"
    return Reading(
        verdict,
        because,
        first.bound if verdict == NOT_REPRODUCED else None,
        detectable,
        first.n_seeds if verdict in (UNDECIDED, UNDERPOWERED) else None,
    )


def _verdict(first: Decision, controls: Mapping[str, Outcome]) -> tuple[str, str]:
    if first.outcome == "undefined":
        return NOT_TESTABLE, "undefined in this study"
    if first.outcome == "fails":
        return NOT_REPRODUCED, "the predicate does not hold"
    if first.outcome == "undecided":
        is_of_every_seed = first.detectable is None
        return UNDECIDED, (
            "some seeds pass and others do not" if is_of_every_seed
            else "the interval contains the smallest effect of interest"
        )  # fmt: skip
    for outcome, verdict, says in (
        ("fails", EXPLAINED, "holds, but not beyond"),
        ("undefined", NOT_TESTABLE, "holds, but undefined in this study"),
        ("undecided", UNDECIDED, "holds, but it is open whether beyond"),
    ):
        named = [name for name, found in controls.items() if found == outcome]
        if named:
            return verdict, f"{says}: {', '.join(named)}"
    if controls:
        return REPRODUCED, f"holds, also beyond: {', '.join(controls)}"
    return REPRODUCED, "holds; no control was asked for"
