"""The file of claims: read, checked, and held against the quantities of a study.

Must not: compute an answer or a verdict.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import get_args

from fispace.errors import ClaimsError, ParamsError
from fispace.report.claim import Claim, Claims, Target
from fispace.report.predicate import ANSWERS, OverSeeds
from fispace.study.config.base import Keys, Refusal
from fispace.study.strict_yaml import read_yaml_mapping


def read_claims(claims: Path) -> Claims:
    """The claims of the file, in its order.

    Raises:
        ClaimsError: if the file is missing, not plain YAML, or breaks a rule of `fispace.report.claim`.
    """
    try:
        content = read_yaml_mapping(claims)
    except ParamsError as error:
        raise ClaimsError(str(error)) from None
    try:
        return Claims.checked(content)
    except Refusal as refusal:
        place = _place(content, refusal.keys)
        raise ClaimsError(f"{claims}: {place}{refusal.says:.600}.") from None


def of_target(claims: Claims, target: str) -> list[Claim]:
    """The claims that a target's ledger holds: all of them in `full`.

    Raises:
        ClaimsError: if there is no such target.
    """
    targets = get_args(Target)
    if target not in targets:
        raise ClaimsError(f"--target {target}: no such target; there are {' and '.join(targets)}.")
    return [claim for claim in claims.claims if target in (claim.target, "full")]


def require_quantities(
    claims: list[Claim], units: Mapping[str, str], where: Path
) -> None:  # fmt: skip
    """Check that every quantity a claim names exists, and that the answers are in the claim's unit.

    Args:
        claims: claims of one target.
        units: unit of every quantity of the study, by name.
        where: the file of claims, for messages.

    Raises:
        ClaimsError: with the claim, the key and what stands near.
    """
    for claim in claims:
        for key, name in _named(claim):
            if name not in units:
                raise ClaimsError(_missing_quantity(where, claim, key, name, units.keys()))
        for answer in ANSWERS:
            name = claim.quantity(answer)
            if name is not None and units[name] != claim.unit:
                raise ClaimsError(
                    f"{where}: {claim.name}: {answer}: {name} is in {units[name]!r}, but the claim in "
                    f"{claim.unit!r}. A number of another unit answers another question: name another "
                    "quantity, or give it a claim of its own."
                )


def _named(claim: Claim) -> Iterator[tuple[str, str]]:
    """Every quantity that the claim names, with the key it stands under."""
    for answer in ANSWERS:
        name = claim.quantity(answer)
        if name is not None:
            yield answer, name
    if isinstance(claim.predicate, OverSeeds):
        for key in ("published", "controlled", "null", "reference", "controlled_reference"):
            name = getattr(claim.predicate, key)
            if isinstance(name, str):
                yield f"predicate: {key}", name


def _missing_quantity(
    where: Path, claim: Claim, key: str, name: str, known: Collection[str]
) -> str:
    stem = name.split(".", maxsplit=1)[0]
    near = ", ".join(sorted(other for other in known if other.split(".")[0] == stem)[:6])
    return (
        f"{where}: {claim.name}: {key}: the quantity {name!r} does not exist in this study. "
        f"Near it: {near or 'no quantity of this metric'}. An arm that was dropped or failed has no "
        "quantities; all names are in quantities.csv beside the ledger."
    )


def _place(content: object, keys: Keys) -> str:
    """The offending claim by its name where it has one, else by its position; then the key."""
    if len(keys) < 2 or keys[0] != "claims" or not isinstance(content, dict):
        return ".".join(map(str, keys))
    row = content["claims"][keys[1]]
    is_named = isinstance(row, dict) and "id" in row
    first = f"{row['id']}.{row.get('item', '?')}" if is_named else f"claim {int(keys[1]) + 1}"
    return ": ".join([first, *map(str, keys[2:])])
