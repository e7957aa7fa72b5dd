"""`report claims` and `report claims-plot`: the ledger, and the numbers that its figure draws.

Each printed number stands beside ours, with the verdict. Must not: hold a claim or a test; claims are
data in workflow/claims.yaml.
"""

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fispace.errors import ClaimsError
from fispace.report.answers import numbers_of, over_seeds
from fispace.report.claims import Claims, of_target, read_claims, require_quantities
from fispace.report.judge import (
    Case,
    case_of,
    excess_over_null,
    judge,
    judged_documents,
    smallest_bound,
)
from fispace.report.markdown import value_text
from fispace.report.predicates import ANSWERS, Answer, OverSeeds
from fispace.report.tables import CLAIMS_PLOT, DOCUMENTS, ENDS, LEDGER
from fispace.report.verdicts import VERDICTS, Range, Reading
from fispace.stats.intervals import Interval, t_interval
from fispace.store.files import write_json
from fispace.store.tables import read_csv, read_table, write_csv
from fispace.study.config.report import ClaimsStep
from fispace.study.step import Reads, Writes, command

TEXT_COLUMNS = ("id", "item", "target", "statement", "printed", "unit", "where", "definition")
ENDS_AND_N = (*ENDS, "n")
LIMIT = 200.0
"""Ratios beyond it are drawn at the edge of the figure; the ledger has the number."""
ANSWER_LABELS = dict(
    zip(ANSWERS, ("published", "controlled", "on a null", "paper's sizes"), strict=True)
)
"""Answers as the figure's table has them; CSV readers take a bare `null` for a missing value."""
LedgerCells = dict[str, Any]
"""Cells of a row by column."""


@command("report", "claims")
def write_claims(
    params: ClaimsStep, *, target: str, claims: Reads, quantities: Reads, documents: Reads,
    ledger: Writes, metrics: Writes,
) -> None:  # fmt: skip
    """Write the ledger as CSV, one row per claim, and the same numbers as nested JSON.

    Each answer is the mean over seeds with its t-interval, and the interval over documents where the
    quantity has one. A number that is given as a difference has its ratio in the columns `*_ratio`,
    unless the ratio's denominator may be zero. `excess` is the paired difference answer - null, and
    `judged` is the number that the verdict rests on. Cells are empty where a claim has no such number.
    Nothing is written unless every claim has a verdict. The ledger of the target `all` leaves out the
    claims that only `full` answers.

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


def _ledger_row(case: Case, claims: Claims, reading: Reading, params: ClaimsStep) -> LedgerCells:
    claim, predicate = case.claim, case.claim.predicate
    cells: LedgerCells = {name: getattr(claim, name) for name in TEXT_COLUMNS}
    for answer in ANSWERS:
        cells |= _answer(answer, case, params.confidence)
        if answer == "controlled":
            key = claim.controlled_against
            cells["controlled_against"] = key and claims.comparisons[key].says
    excess = excess_over_null(case)
    cells |= _cells("excess", None if excess is None else t_interval(excess, params.confidence))
    reference = getattr(predicate, "reference", None)  # a number, or the name of a quantity
    cells |= {"test": predicate.test, "reference": None if reference is None else str(reference)}
    # CSV readers take a bare `null` for a missing value
    cells["against"] = ", ".join(f"the {name}" for name in claim.against) or None
    cells |= _judged_cells(case, params.confidence)
    bound = smallest_bound(case, params) if claim.has_bound else None
    cells |= {"smallest_effect": bound}
    return cells | reading._asdict() | {"remark": claim.remark}


def _answer(answer: Answer, case: Case, confidence: float) -> LedgerCells:
    """The cells of one answer."""
    name = case.claim.quantity(answer)
    given = None if name is None else case.given[name]
    quantity = None if given is None else given.quantity
    cells: LedgerCells = {f"{answer}_quantity": quantity}
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
    cells |= {f"{answer}_ratio_{end}": ratio and getattr(ratio, end) for end in ENDS}
    return cells | {f"{answer}_same_as": case.claim.same_as.get(answer)}


def _judged_cells(case: Case, confidence: float) -> LedgerCells:
    """The cells of the number that the verdict rests on; all empty if there is no such number."""
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


def _cells(stem: str, interval: Interval | None) -> LedgerCells:
    return {f"{stem}_{end}": interval and getattr(interval, end) for end in ENDS_AND_N}


def _documents_cells(stem: str, interval: Range | None) -> LedgerCells:
    ends = {"low": interval and interval.low, "high": interval and interval.high}
    return {f"{stem}_documents_{end}": value for end, value in ends.items()}


def _metric(line: LedgerCells) -> LedgerCells:
    """What DVC compares between runs: the printed number, the claim's answers, and the verdict."""
    answers = {
        answer: {end: _finite(line[f"{answer}_{end}"]) for end in ENDS_AND_N}
        for answer in ANSWERS
        if line[f"{answer}_quantity"] is not None
    }
    return {"printed": line["printed"], **answers, "verdict": line["verdict"]}


def _finite(value: float | int) -> float | int | None:
    return value if math.isfinite(value) else None  # JSON has no NaN


@command("report", "claims-plot")
def write_claims_plot(*, ledger: Reads, claims: Writes) -> None:
    """Write one row per claim and answer: our number over the printed one, with its interval.

    Columns: order, claim, printed, answer, ratio, low, high, is_off, limit, verdict. A claim printed
    as zero has no ratio. Where the ledger gives a number as a difference, the ratio that the difference
    stands for is taken, if there is one.

    Raises:
        ArtifactError: if the ledger is missing or damaged.
    """
    rows = _plotted(read_csv(ledger, LEDGER).to_dict("records"))
    write_csv(claims, CLAIMS_PLOT.frame(rows), CLAIMS_PLOT)


def _plotted(ledger: list[dict[Any, Any]]) -> Iterator[dict[str, Any]]:
    for order, row in enumerate(ledger):
        name = f"{row['id']} {row['item'].replace('_', ' ')} ({value_text(row['printed'], row['unit'])})"
        for answer in ANSWERS:
            is_difference = isinstance(row.get(f"{answer}_ratio"), str)
            stem = f"{answer}_ratio" if is_difference else answer
            ends = np.array([row[f"{stem}_{end}"] for end in ENDS], dtype=float)
            if np.isnan(ends[0]) or row["printed"] == 0:
                ends = np.full(3, np.nan)
            ratios = ends / (row["printed"] or np.nan)
            shown = np.clip(ratios, -LIMIT, LIMIT)
            yield {
                "order": order, "claim": name, "printed": row["printed"],
                "answer": ANSWER_LABELS[answer],
                "ratio": shown[0], "low": shown[1:].min(), "high": shown[1:].max(),
                "is_off": bool(abs(ratios[0]) > LIMIT), "limit": LIMIT, "verdict": row["verdict"],
            }  # fmt: skip
