"""`report claims`: each printed number beside ours, by the paper's definition, and the verdict.

Must not: hold a claim or a test; the claims are data in workflow/claims.yaml.
"""

import math
from collections import Counter
from pathlib import Path
from typing import Any

from fispace.errors import ClaimsError
from fispace.report.answers import numbers_of, over_seeds
from fispace.report.claim import Claims
from fispace.report.claims_file import of_target, read_claims, require_quantities
from fispace.report.judge import Case, case_of, excess_over_null, judge, judged_documents
from fispace.report.predicate import ANSWERS, Answer, OverSeeds
from fispace.report.tables import DOCUMENTS, LEDGER
from fispace.report.verdicts import VERDICTS, Range, Reading
from fispace.stats.intervals import Interval, t_interval
from fispace.store.files import write_json
from fispace.store.tables import read_csv, read_table, write_csv
from fispace.study.config.report import ClaimsStep
from fispace.study.step import Reads, Writes, command

TEXT_COLUMNS = ("id", "item", "target", "statement", "printed", "unit", "where", "definition")
ENDS = ("mean", "low", "high", "n")
RATIO_ENDS = ENDS[:3]
Cells = dict[str, Any]


@command("report", "claims")
def write_claims(
    params: ClaimsStep, *, target: str, claims: Reads, quantities: Reads, documents: Reads,
    ledger: Writes, metrics: Writes,
) -> None:  # fmt: skip
    """Write the ledger (CSV, one row a claim) and the same numbers as nested JSON.

    Each answer is the mean over seeds with its t-interval, and the interval over documents where the
    quantity has one. A number that is given as a difference has its ratio in the columns `*_ratio`,
    unless the ratio's denominator may be zero. `excess` is the paired difference answer - null,
    `judged` the number that the verdict rests on. Cells of what a claim has not are empty. Nothing is
    written unless every claim has its verdict. `target` says whose ledger it is: that of `all` leaves
    out the claims that only `full` answers.

    Raises:
        ClaimsError: if the claims are malformed, point to a quantity that does not exist or has
            another unit, or compare quantities with fewer than two seeds.
    """
    found = read_claims(claims)
    rows = of_target(found, target)
    numbers = numbers_of(read_table(quantities), read_csv(documents, DOCUMENTS))
    require_quantities(rows, numbers.units, claims)
    cases = [case_of(claim, numbers, params) for claim in rows]
    readings = [_judged(case, params, claims) for case in cases]
    lines = [
        _ledger_row(case, found, reading, params)
        for case, reading in zip(cases, readings, strict=True)
    ]
    metric = {claim.name: _metric(line) for claim, line in zip(rows, lines, strict=True)}
    counts = Counter(reading.verdict for reading in readings)
    write_csv(ledger, LEDGER.frame(lines), LEDGER)
    write_json(metrics, metric | {"verdicts": {name: counts[name] for name in VERDICTS}})


def _judged(case: Case, params: ClaimsStep, claims: Path) -> Reading:
    try:
        return judge(case, params)
    except ClaimsError as error:
        raise ClaimsError(f"{claims}: {error}") from None


def _ledger_row(case: Case, claims: Claims, reading: Reading, params: ClaimsStep) -> Cells:
    claim, predicate = case.claim, case.claim.predicate
    cells: Cells = {name: getattr(claim, name) for name in TEXT_COLUMNS}
    for answer in ANSWERS:
        cells |= _answer(answer, case, params.confidence)
        if answer == "controlled":
            key = claim.controlled_against
            cells["controlled_against"] = key and claims.comparisons[key].says
    excess = excess_over_null(case)
    cells |= _cells("excess", None if excess is None else t_interval(excess, params.confidence))
    reference = getattr(predicate, "reference", None)  # a number, or the name of a quantity
    cells |= {"test": predicate.test, "reference": None if reference is None else str(reference)}
    # a bare `null` would be read back from CSV as a missing value
    cells["against"] = ", ".join(f"the {name}" for name in claim.against) or None
    cells |= _judged_cells(case, params.confidence)
    return cells | reading._asdict() | {"remark": claim.remark}


def _answer(answer: Answer, case: Case, confidence: float) -> Cells:
    """The cells of one answer."""
    name = case.claim.quantity(answer)
    given = None if name is None else case.given[name]
    quantity = None if given is None else given.quantity
    cells: Cells = {f"{answer}_quantity": quantity}
    cells |= {f"{answer}_unit": quantity and case.numbers.units[quantity]}
    cells |= _cells(answer, given and over_seeds(given.sample, confidence))
    if answer == "paper_sizes":
        return cells
    is_number = given is not None and not given.is_undefined
    cells |= _documents_cells(
        answer, case.numbers.documents.get(quantity or "") if is_number else None
    )
    ratio = None if given is None or given.ratio is None else over_seeds(given.ratio, confidence)
    cells[f"{answer}_ratio"] = given and given.stands_for
    cells |= {f"{answer}_ratio_{end}": ratio and getattr(ratio, end) for end in RATIO_ENDS}
    return cells | {f"{answer}_same_as": case.claim.same_as.get(answer)}


def _judged_cells(case: Case, confidence: float) -> Cells:
    """The cells of the number that the verdict rests on; empty if it rests on none."""
    needed, predicate = case.claim.needed, case.claim.predicate
    given = case.of(needed[0]) if needed else None
    documents = None
    if isinstance(predicate, OverSeeds):
        documents = judged_documents(case, predicate, needed[0])
    return {
        "judged_quantity": given and given.quantity,
        "judged_unit": given and case.numbers.units[given.quantity],
        **_cells("judged", given and over_seeds(given.sample, confidence)),
        **_documents_cells("judged", documents),
    }


def _cells(stem: str, interval: Interval | None) -> Cells:
    return {f"{stem}_{end}": interval and getattr(interval, end) for end in ENDS}


def _documents_cells(stem: str, interval: Range | None) -> Cells:
    ends = {"low": interval and interval.low, "high": interval and interval.high}
    return {f"{stem}_documents_{end}": value for end, value in ends.items()}


def _metric(line: Cells) -> Cells:
    """What DVC compares between runs: the printed number, the answers there are, the verdict."""
    answers = {
        answer: {end: _finite(line[f"{answer}_{end}"]) for end in ENDS}
        for answer in ANSWERS
        if line[f"{answer}_quantity"] is not None
    }
    return {"printed": line["printed"], **answers, "verdict": line["verdict"]}


def _finite(value: float | int) -> float | int | None:
    return value if math.isfinite(value) else None  # JSON has no NaN
