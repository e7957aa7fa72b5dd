"""The file of claims: read, checked against its schema, and against the quantities of a study.

Must not: compute an answer or a verdict.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import jsonschema
from jsonschema.exceptions import best_match

from fispace.errors import ClaimsError, ParamsError
from fispace.study.strict_yaml import read_yaml_mapping

ANSWERS = ("published", "controlled", "null")
ALL, FULL = "all", "full"
"""Targets: a claim that `all` answers stands in the ledger of `full` as well."""
Claim = dict[str, Any]


def read_claims(claims: Path, schema: Path) -> list[Claim]:
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
            f"{claims}: {_place(content, list(error.absolute_path))}: {error.message:.300}. What every "
            f"claim must have, its predicate included, stands in {schema}."
        )
    rows: list[Claim] = content["claims"]
    names = [claim_name(row) for row in rows]
    for name in names:
        if names.count(name) > 1:
            raise ClaimsError(f"{claims}: {name} stands there twice; give the second another item.")
    return rows


def of_target(rows: list[Claim], target: str) -> list[Claim]:
    """The rows that a target's ledger holds: all of them in `full`.

    Raises:
        ClaimsError: if there is no such target.
    """
    if target not in (ALL, FULL):
        raise ClaimsError(f"--target {target}: no such target; there are {ALL} and {FULL}.")
    return [row for row in rows if target in (row["target"], FULL)]


def claim_name(row: Claim) -> str:
    """`N5.gain`."""
    return f"{row['id']}.{row['item']}"


def judged_quantity(row: Claim, answer: str) -> str | None:
    """Quantity that the verdict rests on: the predicate's own, or else the row's answer."""
    return row["predicate"].get(answer, row[answer])


def require_quantities(rows: list[Claim], known: Collection[str], claims: Path) -> None:
    """Check that every quantity a claim names exists, and that its predicate has what it tests.

    Raises:
        ClaimsError: with the claim, the key and what stands near.
    """
    for row in rows:
        for key, name in _named(row):
            if name not in known:
                raise ClaimsError(_missing_quantity(claims, row, key, name, known))
        for answer in _needed(row):
            if judged_quantity(row, answer) is None:
                raise ClaimsError(
                    f"{claims}: {claim_name(row)}: predicate: it tests the answer {answer!r}, but the "
                    f"claim has none. Name a quantity under {answer!r}, or change the predicate."
                )


def _named(row: Claim) -> Iterator[tuple[str, str]]:
    """Every quantity that the claim names, with the key it stands under."""
    for answer in ANSWERS:
        if row[answer] is not None:
            yield answer, row[answer]
    for key in (*ANSWERS, "reference", "controlled_reference"):
        name = row["predicate"].get(key)
        if isinstance(name, str):
            yield f"predicate: {key}", name


def _needed(row: Claim) -> list[str]:
    test = row["predicate"]["test"]
    if test == "absolute":
        return []
    first = "null" if test == "null_at_paper_sizes" else "published"
    return [first, *row["predicate"].get("against", [])]


def _missing_quantity(claims: Path, row: Claim, key: str, name: str, known: Collection[str]) -> str:
    stem = name.split(".", maxsplit=1)[0]
    near = ", ".join(sorted(other for other in known if other.split(".")[0] == stem)[:6])
    return (
        f"{claims}: {claim_name(row)}: {key}: the quantity {name!r} does not exist in this study. "
        f"Near it: {near or 'no quantity of this metric'}. An arm that was dropped or failed has no "
        "quantities; all names are in quantities.csv beside the ledger."
    )


def _place(content: dict[str, Any], keys: list[Any]) -> str:
    """The offending claim by its id where it has one, else by its position; then the key."""
    if len(keys) < 2:
        return ".".join(map(str, keys)) or "top level"
    row = content["claims"][keys[1]]
    named = isinstance(row, dict) and "id" in row
    first = f"{row['id']}.{row.get('item', '?')}" if named else f"claim {keys[1] + 1}"
    return ": ".join([first, *map(str, keys[2:])])
