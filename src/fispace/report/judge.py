"""The verdict on a claim, from its predicate and the study's quantities.

Must not: define a test; tests are in `fispace.report.verdicts`.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from fispace.errors import ClaimsError
from fispace.report import verdicts
from fispace.report.answers import Given, Numbers, given_numbers
from fispace.report.claims import Claim
from fispace.report.predicates import Absolute, Answer, AtPaperSizes, OverSeeds
from fispace.report.verdicts import (
    CONSTANT,
    Decision,
    Outcome,
    Range,
    Reading,
    Rule,
    Values,
)
from fispace.study.config.report import ClaimsStep


class Case(NamedTuple):
    """A claim with its numbers."""

    claim: Claim
    given: Mapping[str, Given]
    """The quantities that the claim names, as they are shown and judged."""
    numbers: Numbers

    def of(self, answer: Answer) -> Given:
        """The number that the verdict rests on, for an answer that the predicate tests."""
        return self.given[self.claim.judged_quantity(answer) or ""]


def case_of(claim: Claim, numbers: Numbers, params: ClaimsStep) -> Case:
    """The claim with its numbers."""
    return Case(claim, given_numbers(claim, numbers, params.confidence), numbers)


def judge(case: Case, params: ClaimsStep) -> Reading:
    """Verdict on one claim.

    Raises:
        ClaimsError: if fewer than two seeds have all quantities that the predicate compares.
    """
    predicate = case.claim.predicate
    if isinstance(predicate, Absolute):
        return verdicts.absolute()
    tolerance = predicate.tolerance if isinstance(predicate, AtPaperSizes) else 0.0
    rule = Rule(predicate.test, tolerance, params.confidence, params.explained_share)
    if not isinstance(predicate, OverSeeds):
        return _judge_at_paper_sizes(case, rule)
    first = case.of(case.claim.answered_by)
    if first.is_undefined:
        return verdicts.without_denominator(first.quantity)
    return _judge_over_seeds(case, predicate, rule, params)


def _judge_at_paper_sizes(case: Case, rule: Rule) -> Reading:
    found = case.of("paper_sizes")
    printed = case.claim.printed
    if CONSTANT not in found.sample or printed is None:
        raise ClaimsError(
            f"{case.claim.name}: predicate: {rule.test} needs a number at the paper's own sizes, but "
            f"{found.quantity!r} is one of our models'. Name a quantity that begins with 'paper.'."
        )
    test = (
        verdicts.at_paper_sizes
        if rule.test == verdicts.AT_PAPER_SIZES
        else verdicts.null_at_paper_sizes
    )
    return test(rule, found.sample[CONSTANT], printed)


def smallest_bound(case: Case, params: ClaimsStep) -> float:
    """Smallest effect of interest: the claim's own, or a share of the printed effect; NaN if there is none."""
    own, printed = case.claim.smallest_effect, case.claim.printed_effect
    return own if own is not None else params.smallest_share * (printed or np.nan)


def _judge_over_seeds(case: Case, predicate: OverSeeds, rule: Rule, params: ClaimsStep) -> Reading:
    first = case.claim.answered_by
    scale = case.of(first).scale
    smallest = smallest_bound(case, params) * scale
    controls: dict[str, Outcome] = {}
    for answer in predicate.against:
        if answer == "null":
            ours, null = _differences(case, predicate, first, first, "null")
            controls["the null"] = verdicts.exceeds_null(rule, ours, null, smallest)
        else:
            decided = _decide(case, predicate, rule, "controlled", params)
            controls["the control"] = decided.outcome
    decision = _decide(case, predicate, rule, first, params).in_units_of(scale)
    return verdicts.judged(decision, controls, case.claim.printed_effect)


def _decide(
    case: Case, predicate: OverSeeds, rule: Rule, answer: Answer, params: ClaimsStep
) -> Decision:
    (differences,) = _differences(case, predicate, answer, answer)
    level, found = predicate.reference_of(answer), judged_documents(case, predicate, answer)
    smallest = smallest_bound(case, params) * case.of(answer).scale
    of_few = predicate.sample == "few_documents"
    if found is not None and not isinstance(level, str):
        base = level - case.of(answer).neutral
        found = Range(found.low - base, found.high - base)
    return verdicts.decide(rule, differences, found, smallest, of_few)


def judged_documents(case: Case, predicate: OverSeeds, answer: Answer) -> Range | None:
    """Interval over documents that the verdict on an answer rests on; None if it rests on none."""
    of_few = predicate.sample == "few_documents"
    given = case.of(answer)
    if given.is_undefined or isinstance(predicate.reference_of(answer), str):
        return None
    return (case.numbers.few_documents if of_few else case.numbers.documents).get(given.quantity)


def _differences(case: Case, predicate: OverSeeds, like: Answer, *answers: Answer) -> list[Values]:
    """Answers minus the reference of the answer `like`, on their common seeds."""
    level, neutral = predicate.reference_of(like), case.of(like).neutral
    samples = [case.of(answer).sample for answer in answers]
    samples.append(
        case.given[level].sample if isinstance(level, str) else {CONSTANT: float(level) - neutral}
    )
    *values, base = verdicts.aligned(*samples)
    found = [value - base for value in values]
    if len(base) < 2 and not any(np.isnan(value).any() for value in found):
        raise ClaimsError(_too_few_seeds(case.claim, samples))
    return found


def _too_few_seeds(claim: Claim, samples: list[verdicts.Sample]) -> str:
    held = "; ".join(", ".join(map(str, sorted(of))) for of in samples if CONSTANT not in of)
    return (
        f"{claim.name}: the quantities that its predicate compares share fewer than two seeds "
        f"(they have: {held or 'none'}), and a verdict needs an interval over seeds. Give train.seeds "
        "(of planted pairs: testbed.planted.worlds) at least two, and check that no training of these "
        "arms failed or was left out."
    )


def excess_over_null(case: Case) -> Values | None:
    """Paired differences of our models' number and its null; None if one is missing or units differ.

    A number at the paper's sizes is not compared with this null, which has the sizes of our models.
    """
    names = [case.claim.quantity(answer) for answer in (case.claim.answered_by_us, "null")]
    pair = [case.given[name] for name in names if name is not None]
    units = {case.numbers.units[of.quantity] for of in pair}
    if len(pair) < 2 or len(units) > 1:
        return None
    ours, null = verdicts.aligned(*(of.sample for of in pair))
    return ours - null
