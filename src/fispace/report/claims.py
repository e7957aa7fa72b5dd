"""`report claims`: each printed number beside ours, by the paper's definition, and the verdict.

Must not: hold a claim or a test; the claims are data in workflow/claims.yaml.
"""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from fispace.errors import ClaimsError
from fispace.report.claims_file import (
    ANSWERS,
    Claim,
    claim_name,
    of_target,
    read_claims,
    require_quantities,
)
from fispace.report.judge import Numbers, excess_over_null, judge, numbers_of
from fispace.report.tables import DOCUMENTS, LEDGER
from fispace.report.verdicts import VERDICTS, Reading
from fispace.stats.intervals import Interval, t_interval
from fispace.store.files import write_json
from fispace.store.tables import read_csv, read_table, write_csv
from fispace.study.config.report import ClaimsStep
from fispace.study.step import Reads, Writes, command

TEXT_COLUMNS = ("id", "item", "target", "statement", "printed", "unit", "where", "definition")
ENDS = ("mean", "low", "high", "n")


@command("report", "claims")
def write_claims(
    params: ClaimsStep, *, target: str, claims: Reads, schema: Reads, quantities: Reads,
    documents: Reads, ledger: Writes, metrics: Writes,
) -> None:  # fmt: skip
    """Write the ledger (CSV, one row a printed number) and the same numbers as nested JSON.

    Each answer is the mean over seeds with its t-interval, and the interval over documents where the
    quantity has one; `excess` is the paired difference published - null. The columns of a claim
    without an answer are empty. Nothing is written unless every claim has its verdict. `target` says
    whose ledger it is: that of `all` leaves out the claims that only `full` answers.

    Raises:
        ClaimsError: if the claims are malformed, point to a quantity that does not exist, or compare
            quantities with fewer than two seeds.
    """
    rows = of_target(read_claims(claims, schema), target)
    numbers = numbers_of(read_table(quantities), read_csv(documents, DOCUMENTS))
    require_quantities(rows, numbers.samples.keys(), claims)
    readings = [_judged(row, numbers, params, claims) for row in rows]
    lines = [
        _ledger_row(row, numbers, reading, params)
        for row, reading in zip(rows, readings, strict=True)
    ]
    metric = {claim_name(row): _metric(line) for row, line in zip(rows, lines, strict=True)}
    counts = Counter(reading.verdict for reading in readings)
    write_csv(ledger, LEDGER.frame(lines), LEDGER)
    write_json(metrics, metric | {"verdicts": {name: counts[name] for name in VERDICTS}})


def _judged(row: Claim, numbers: Numbers, params: ClaimsStep, claims: Path) -> Reading:
    try:
        return judge(row, numbers, params)
    except ClaimsError as error:
        raise ClaimsError(f"{claims}: {error}") from None


def _ledger_row(
    row: Claim, numbers: Numbers, reading: Reading, params: ClaimsStep
) -> dict[str, Any]:
    cells: dict[str, Any] = {name: row[name] for name in TEXT_COLUMNS}
    for answer in ANSWERS:
        name = row[answer]
        cells[f"{answer}_quantity"] = name
        cells |= _cells(answer, _interval(numbers, name, params.confidence))
        over_documents = numbers.documents.get(name)
        cells[f"{answer}_documents_low"] = over_documents and over_documents.low
        cells[f"{answer}_documents_high"] = over_documents and over_documents.high
    excess = excess_over_null(row, numbers)
    cells |= _cells("excess", None if excess is None else t_interval(excess, params.confidence))
    predicate = row["predicate"]
    reference = predicate.get("reference")  # a number, or the name of a quantity
    cells |= {"test": predicate["test"], "reference": None if reference is None else str(reference)}
    # a bare `null` would be read back from CSV as a missing value
    cells["against"] = ", ".join(f"the {name}" for name in predicate.get("against", [])) or None
    return cells | reading._asdict() | {"remark": row["remark"]}


def _interval(numbers: Numbers, name: str | None, confidence: float) -> Interval | None:
    if name is None:
        return None
    values = pd.Series(numbers.samples[name]).to_numpy(dtype=float)
    return t_interval(values, confidence)


def _cells(stem: str, interval: Interval | None) -> dict[str, float | int | None]:
    return {f"{stem}_{end}": interval and getattr(interval, end) for end in ENDS}


def _metric(line: dict[str, Any]) -> dict[str, Any]:
    """What DVC compares between runs: the printed number, the answers there are, the verdict."""
    answers = {
        answer: {end: _finite(line[f"{answer}_{end}"]) for end in ENDS}
        for answer in ANSWERS
        if line[f"{answer}_quantity"] is not None
    }
    return {"printed": line["printed"], **answers, "verdict": line["verdict"]}


def _finite(value: float | int) -> float | int | None:
    return value if math.isfinite(value) else None  # JSON has no NaN
