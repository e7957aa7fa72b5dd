"""`report claims`: each printed number beside ours, by the paper's definition and under control.

Must not: hold a claim or judge one; the claims are data in workflow/claims.yaml.
"""

import math
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
from jsonschema.exceptions import best_match

from fispace.config.report import ClaimsStep
from fispace.errors import ClaimsError, ParamsError
from fispace.measure.intervals import t_interval
from fispace.steps.report.long_table import Frame
from fispace.store.files import write_json
from fispace.store.tables import read_table, write_csv
from fispace.strict_yaml import read_yaml_mapping

ANSWERS = ("published", "controlled", "null")
TEXT_COLUMNS = ("id", "item", "statement", "printed", "unit", "where", "definition", "remark")


def write_claims(
    params: ClaimsStep, *, claims: Path, schema: Path, quantities: Path, ledger: Path, metrics: Path
) -> None:
    """Write the ledger (CSV, one row a printed number) and the same numbers as nested JSON.

    Each answer is the mean over seeds with its t-interval; the columns of a claim without an answer
    are empty.

    Raises:
        ClaimsError: if the claims are malformed, or point to a quantity that does not exist.
    """
    rows = read_claims(claims, schema)
    answers = _answers(read_table(quantities), params.confidence)
    _require_answers(rows, answers, claims)
    frame = pd.DataFrame([_ledger_row(row, answers) for row in rows])
    write_csv(ledger, frame)
    write_json(metrics, {f"{row['id']}.{row['item']}": _metric(row, answers) for row in rows})


def read_claims(claims: Path, schema: Path) -> list[dict[str, Any]]:
    """Claims of the file, checked against the schema.

    Raises:
        ClaimsError: if the file is missing, not plain YAML, breaks the schema, or names an item twice.
    """
    try:
        content, rules = read_yaml_mapping(claims), read_yaml_mapping(schema)
    except ParamsError as error:
        raise ClaimsError(str(error)) from None
    error = best_match(jsonschema.Draft202012Validator(rules).iter_errors(content))
    if error is not None:
        raise ClaimsError(
            f"{claims}: {_place(content, list(error.absolute_path))}: {error.message:.300}."
        )
    rows: list[dict[str, Any]] = content["claims"]
    names = [f"{row['id']}.{row['item']}" for row in rows]
    for name in names:
        if names.count(name) > 1:
            raise ClaimsError(f"{claims}: {name} stands there twice; give the second another item.")
    return rows


def _place(content: dict[str, Any], keys: list[Any]) -> str:
    """The offending claim by its id where it has one, else by its position; then the key."""
    if len(keys) < 2:
        return ".".join(map(str, keys)) or "top level"
    row = content["claims"][keys[1]]
    named = isinstance(row, dict) and "id" in row
    first = f"{row['id']}.{row.get('item', '?')}" if named else f"claim {keys[1] + 1}"
    return ": ".join([first, *map(str, keys[2:])])


def _answers(quantities: Frame, confidence: float) -> dict[str, dict[str, float | int]]:
    return {
        str(name): t_interval(rows["value"].to_numpy(dtype=float), confidence)._asdict()
        for name, rows in quantities.groupby("quantity")
    }


def _require_answers(
    rows: list[dict[str, Any]], answers: dict[str, dict[str, float | int]], claims: Path
) -> None:
    for row in rows:
        for answer in ANSWERS:
            name = row[answer]
            if name is not None and name not in answers:
                stem = name.split(".")[0]
                near = sorted(known for known in answers if known.split(".")[0] == stem)
                known = ", ".join(near[:6]) or "no quantity of this metric"
                raise ClaimsError(
                    f"{claims}: {row['id']}.{row['item']}: {answer}: the quantity {name!r} does not "
                    f"exist in this study. Near it: {known}. An arm that was dropped or failed has "
                    "no quantities; all names are in report/quantities.csv."
                )


def _ledger_row(row: dict[str, Any], answers: dict[str, dict[str, float | int]]) -> dict[str, Any]:
    cells = {name: row[name] for name in TEXT_COLUMNS[:-1]}
    for answer in ANSWERS:
        found = answers.get(row[answer] or "", {})
        cells[f"{answer}_quantity"] = row[answer]
        cells |= {f"{answer}_{name}": found.get(name) for name in ("mean", "low", "high", "n")}
    return cells | {"remark": row["remark"]}


def _metric(row: dict[str, Any], answers: dict[str, dict[str, float | int]]) -> dict[str, Any]:
    return {"printed": row["printed"]} | {
        answer: {name: _finite(value) for name, value in answers[row[answer]].items()}
        for answer in ANSWERS
        if row[answer] is not None
    }


def _finite(value: float | int) -> float | int | None:
    return value if math.isfinite(value) else None  # JSON has no NaN
