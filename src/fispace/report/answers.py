"""The numbers that answer a claim, and whether the ledger gives them as ratios or as differences.

A ratio is undefined if its denominator may be zero, and hard to read beyond 100 %. Such numbers are given
and judged as differences, in the unit of the numerator. Must not: judge.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fispace.chapters.fidelity.quantities import RatioParts, ratio_parts
from fispace.report.claims import Claim
from fispace.report.predicates import ANSWERS, Answer, OverSeeds
from fispace.report.verdicts import Range, Sample, covers_zero
from fispace.stats.intervals import Interval, t_interval
from fispace.store.metric_registry import FRACTION
from fispace.store.quantities import Frame

LARGEST_SHARE = 1.0
"""A larger share, above 100 %, is given as a difference."""


@dataclass(frozen=True)
class Numbers:
    """The numbers of a study, by quantity."""

    samples: Mapping[str, Sample]
    """Values by seed."""
    units: Mapping[str, str]
    documents: Mapping[str, Range]
    """Intervals over documents; only fidelity quantities have them."""
    few_documents: Mapping[str, Range]
    """Intervals over samples of a few documents."""


class Given(NamedTuple):
    """One quantity in the form that the ledger gives it in."""

    quantity: str
    """Name of the quantity, or of the difference that stands for it."""
    sample: Sample
    neutral: float
    """Subtracted from a reference of the quantity: a difference is 0 where its ratio is `neutral`."""
    stands_for: str | None
    """Name of the ratio that a difference stands for."""
    ratio: Sample | None
    """Values of that ratio; None if its denominator may be zero."""
    scale: float
    """What an effect in the unit of the claim is multiplied by: 1, or the mean size of what the ratio is
    divided by where a difference stands for it."""
    is_undefined: bool
    """Whether it is a ratio whose denominator may be zero and that no difference can stand for."""


def numbers_of(quantities: Frame, documents: Frame) -> Numbers:
    """The numbers in the tables that `report quantities` and `report documents` write."""
    samples: dict[str, Sample] = {
        str(name): dict(zip(rows["seed"].astype(int), rows["value"].astype(float), strict=True))
        for name, rows in quantities.groupby("quantity")
    }
    found = documents.to_dict("records")
    return Numbers(
        samples,
        dict(zip(quantities["quantity"], quantities["unit"], strict=True)),
        {row["quantity"]: Range(row["low"], row["high"]) for row in found},
        {row["quantity"]: Range(row["few_low"], row["few_high"]) for row in found},
    )


def over_seeds(sample: Sample, confidence: float) -> Interval:
    """Mean and t-interval of a sample."""
    return t_interval(np.array(list(sample.values()), dtype=np.float64), confidence)


def has_no_denominator(name: str, numbers: Numbers, confidence: float) -> bool:
    """Whether a quantity is a ratio whose denominator has an interval that contains zero."""
    parts = _parts(name, numbers)
    if parts is None:
        return False
    of_documents = numbers.documents.get(parts.denominator)
    found = [over_seeds(numbers.samples[parts.denominator], confidence), of_documents]
    return any(interval is not None and bool(covers_zero(interval)) for interval in found)


def given_numbers(claim: Claim, numbers: Numbers, confidence: float) -> dict[str, Given]:
    """Every quantity that the claim shows, judges or refers to, by name.

    The two quantities that the verdict compares are either both ratios or both differences.
    """
    names = list(dict.fromkeys(_names(claim)))
    undefined = {name for name in names if has_no_denominator(name, numbers, confidence)}
    parts = {name: of for name in names if (of := _convertible(claim, name, numbers)) is not None}
    replaced = undefined | {name for name in parts if _is_beyond_whole(name, numbers)}
    if not replaced & parts.keys():
        parts = {}
    compared = _compared(claim)
    if len(compared & parts.keys()) < len(compared):  # a ratio cannot be compared with a difference
        parts = {name: of for name, of in parts.items() if name not in compared}
    return {name: _given(name, parts.get(name), name in undefined, numbers) for name in names}


def _given(name: str, parts: RatioParts | None, is_undefined: bool, numbers: Numbers) -> Given:
    sample = numbers.samples[name]
    if parts is not None:
        own = numbers.samples[parts.difference]
        ratio = None if is_undefined else sample
        divided = np.array(list(numbers.samples[parts.denominator].values()), dtype=np.float64)
        scale = float(np.abs(divided).mean())
        return Given(parts.difference, own, parts.neutral, name, ratio, scale, is_undefined=False)
    if is_undefined:
        sample = dict.fromkeys(sample, float("nan"))
    return Given(name, sample, 0.0, None, None, 1.0, is_undefined)


def _names(claim: Claim) -> Iterator[str]:
    for answer in ANSWERS:
        for name in (claim.quantity(answer), claim.judged_quantity(answer)):
            if name is not None:
                yield name
    if isinstance(claim.predicate, OverSeeds):
        for level in (claim.predicate.reference, claim.predicate.controlled_reference):
            if isinstance(level, str):
                yield level


def _parts(name: str, numbers: Numbers) -> RatioParts | None:
    """Parts of a ratio, if the study has its difference and its denominator."""
    parts = ratio_parts(name, numbers.samples)
    known = numbers.samples.keys()
    return parts if parts and {parts.difference, parts.denominator} <= known else None


def _convertible(claim: Claim, name: str, numbers: Numbers) -> RatioParts | None:
    """Parts of a ratio, if a difference can stand for it.

    A judged ratio is replaced only if its reference is its neutral value. The ratio then exceeds the
    reference exactly where the difference exceeds zero; with another reference, the two can disagree.
    """
    parts = _parts(name, numbers)
    if parts is None or not isinstance(claim.predicate, OverSeeds):
        return parts
    judged: list[Answer] = [
        answer for answer in claim.needed if claim.judged_quantity(answer) == name
    ]
    levels = {claim.predicate.reference_of(answer) for answer in judged}
    return parts if levels <= {parts.neutral} else None


def _compared(claim: Claim) -> set[str]:
    """The two quantities that the claim compares with each other; empty if it compares none."""
    if "null" not in claim.needed:
        return set()
    pair = (claim.judged_quantity(answer) for answer in (claim.answered_by, "null"))
    return {name for name in pair if name is not None}


def _is_beyond_whole(name: str, numbers: Numbers) -> bool:
    values = np.array(list(numbers.samples[name].values()), dtype=np.float64)
    return numbers.units[name] == FRACTION and bool(abs(values.mean()) > LARGEST_SHARE)
