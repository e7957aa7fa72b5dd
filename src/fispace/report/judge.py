"""From a claim's predicate and the study's quantities to its verdict.

Must not: define a test; those are in `measure.verdicts`.
"""

from typing import Any, NamedTuple

import numpy as np

from fispace.errors import ClaimsError
from fispace.report import verdicts
from fispace.report.claims_file import Claim, claim_name, judged_quantity
from fispace.report.verdicts import CONSTANT, Range, Reading, Rule, Sample, Values
from fispace.store.quantities import Frame
from fispace.study.config.report import ClaimsStep


class Numbers(NamedTuple):
    """What a study found, by quantity."""

    samples: dict[str, Sample]
    """Values by seed."""
    documents: dict[str, Range]
    """Intervals over documents, of the fidelity quantities."""
    few_documents: dict[str, Range]
    """The same over samples of a few documents."""


def numbers_of(quantities: Frame, documents: Frame) -> Numbers:
    """The numbers of the tables `quantities` and `documents` of the report chapter."""
    samples: dict[str, Sample] = {
        str(name): dict(zip(rows["seed"].astype(int), rows["value"].astype(float), strict=True))
        for name, rows in quantities.groupby("quantity")
    }
    found = documents.to_dict("records")
    return Numbers(
        samples,
        {row["quantity"]: Range(row["low"], row["high"]) for row in found},
        {row["quantity"]: Range(row["few_low"], row["few_high"]) for row in found},
    )


def judge(row: Claim, numbers: Numbers, params: ClaimsStep) -> Reading:
    """Verdict on one claim.

    Raises:
        ClaimsError: if fewer than two seeds have all quantities that the predicate compares.
    """
    rule = Rule(
        row["predicate"]["test"], row["predicate"].get("tolerance", 0.0),
        params.confidence, params.explained_share,
    )  # fmt: skip
    if rule.test == verdicts.ABSOLUTE:
        return verdicts.absolute()
    if rule.test == verdicts.AT_PAPER_SIZES:
        ours, printed = _constant(row, numbers, "published"), float(row["printed"])
        return verdicts.at_paper_sizes(rule, ours, printed)
    if rule.test == verdicts.NULL_AT_PAPER_SIZES:
        null, printed = _constant(row, numbers, "null"), float(row["printed"])
        return verdicts.null_at_paper_sizes(rule, null, printed)
    return _judge_over_seeds(row, rule, numbers)


def _judge_over_seeds(row: Claim, rule: Rule, numbers: Numbers) -> Reading:
    is_held = _holds(row, rule, numbers, "published", "reference")
    explanations: dict[str, bool | None] = {}
    for answer in row["predicate"].get("against", []):
        if answer == "null":
            ours, null = _differences(row, numbers, "reference", "published", "null")
            explanations["the null"] = verdicts.null_explains(rule, ours, null)
        else:
            own = "controlled_reference"
            key = own if own in row["predicate"] else "reference"
            is_left = _holds(row, rule, numbers, "controlled", key)
            explanations["the control"] = None if is_left is None else not is_left
    return verdicts.judged(is_held, explanations)


def _holds(row: Claim, rule: Rule, numbers: Numbers, answer: str, reference: str) -> bool | None:
    (differences,) = _differences(row, numbers, reference, answer)
    return verdicts.holds(rule, differences, _documents(row, numbers, answer, reference))


def _documents(row: Claim, numbers: Numbers, answer: str, reference: str) -> Range | None:
    """Interval over documents of an answer less its reference, where both have a meaning there."""
    of_few = row["predicate"].get("sample") == "few_documents"
    found = (numbers.few_documents if of_few else numbers.documents).get(
        judged_quantity(row, answer) or ""
    )
    level = row["predicate"][reference]
    if found is None or isinstance(level, str):
        return None
    return Range(found.low - level, found.high - level)


def _differences(row: Claim, numbers: Numbers, reference: str, *answers: str) -> list[Values]:
    """Answers less the reference on their common seeds."""
    level = row["predicate"][reference]
    samples = [numbers.samples[judged_quantity(row, answer) or ""] for answer in answers]
    samples.append(numbers.samples[level] if isinstance(level, str) else {CONSTANT: float(level)})
    *values, base = verdicts.aligned(*samples)
    found = [value - base for value in values]
    if len(base) < 2 and not any(np.isnan(value).any() for value in found):
        raise ClaimsError(_too_few_seeds(row, samples))
    return found


def _too_few_seeds(row: Claim, samples: list[Sample]) -> str:
    held = "; ".join(", ".join(map(str, sorted(of))) for of in samples if CONSTANT not in of)
    return (
        f"{claim_name(row)}: the quantities that its predicate compares share fewer than two seeds "
        f"(they have: {held or 'none'}), and a verdict needs an interval over seeds. Give train.seeds "
        "(of planted pairs: testbed.planted.worlds) at least two, and check that no training of these "
        "arms failed or was left out."
    )


def _constant(row: Claim, numbers: Numbers, answer: str) -> float:
    """The one value of a quantity that depends on no seed."""
    sample = numbers.samples[judged_quantity(row, answer) or ""]
    if CONSTANT not in sample:
        raise ClaimsError(
            f"{claim_name(row)}: predicate: {row['predicate']['test']} needs a number at the paper's "
            f"own sizes, but {judged_quantity(row, answer)!r} is one of our models'. Name a quantity "
            "that begins with 'paper.'."
        )
    return sample[CONSTANT]


def excess_over_null(row: Claim, numbers: Numbers) -> Values | None:
    """Paired differences of the row's published answer and its null; None without both."""
    names: list[Any] = [row["published"], row["null"]]
    if None in names:
        return None
    published, null = verdicts.aligned(*(numbers.samples[name] for name in names))
    return published - null
