"""The file of claims, workflow/claims.yaml: what it declares, and reading it.

A claim is one printed number, the quantities that answer it, and the predicate (`report.predicates`) that
judges it. Must not: know a quantity's value, or reach a verdict.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, model_validator

from fispace.errors import ClaimsError, ParamsError
from fispace.report.predicates import (
    ANSWERS,
    DIRECTIONS,
    Absolute,
    Answer,
    AtPaperSizes,
    Direction,
    NoEffect,
    OverSeeds,
    QuantityName,
    Tested,
)
from fispace.store.metric_registry import UNITS
from fispace.study.config.base import Entry, Keys, ListOf, NonEmpty, Refusal
from fispace.study.strict_yaml import read_yaml_mapping

StudyTarget = Literal["all", "full"]
"""Target of the workflow whose ledger has the claim."""


class Comparison(Entry):
    """What a controlled number is compared with."""

    says: NonEmpty
    """The comparison, as a phrase of the ledger's column `controlled_against`."""
    quantities: Annotated[ListOf[NonEmpty], Field(min_length=1)]
    """Patterns of the quantities that make this comparison; `*` stands for anything."""

    def is_made_by(self, quantity: str) -> bool:
        """Whether the quantity makes this comparison."""
        return any(fnmatchcase(quantity, pattern) for pattern in self.quantities)


def _known_unit(unit: str) -> str:
    if unit not in UNITS:
        raise ValueError(f"{unit!r} is not a unit; the units are {', '.join(UNITS)}")
    return unit


class Claim(Entry):
    """One printed number, or one question that the paper did not ask."""

    id: Annotated[str, Field(pattern="^(N([1-9]|1[0-9]|20)|P[1-3])$")]
    """Number of the claim in the inventory of the paper, N1 to N20; P1 to P3 are recovery, gain and false
    positives on planted pairs, for which the paper has no number."""
    item: Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
    """Name of this number within its claim."""
    target: StudyTarget
    """Target that answers it: `all`, the default run, or `full` alone, whose ledger has both."""
    statement: NonEmpty
    """What the paper takes the number to show, in the paper's terms."""
    printed: float | None
    """The printed value; null where the paper has no such number."""
    unit: Annotated[str, AfterValidator(_known_unit)]
    """Unit of the printed number and of every answer to it."""
    where: NonEmpty
    """Where it was printed, and the author's script that computes it; see workflow/weaknesses.yaml."""
    definition: NonEmpty
    """How the paper computes it."""
    published: QuantityName | None
    """Our models, by the paper's own definition; null where the paper has no such number."""
    controlled: QuantityName | None
    """The claim's question, asked against the comparison that `controlled_against` names."""
    controlled_against: Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")] | None = None
    """Key of `comparisons`: what `controlled` compares with."""
    null: QuantityName | None
    """The same quantity where the effect cannot exist: initial weights, a bias alone."""
    paper_sizes: QuantityName | None = None
    """The same quantity from the paper's own sizes alone; no model of ours enters."""
    same_as: Annotated[dict[Answer, str], Field(default_factory=dict)]
    """For each answer that is another claim's number as well: the name of that claim."""
    smallest_effect: Annotated[float, Field(gt=0)] | None = None
    """Effects smaller than this, in the unit of the judged number, count as none; null = the share
    `report.smallest_share` of the printed effect. Needed where there is no printed effect."""
    predicate: Tested
    """What our numbers must show; the verdict is computed from it."""
    remark: NonEmpty | None
    """What to know when reading the row."""

    @property
    def name(self) -> str:
        """Name of the claim, such as `N5.gain`."""
        return f"{self.id}.{self.item}"

    @property
    def answered_by(self) -> Answer:
        """The answer that the predicate tests first."""
        if isinstance(self.predicate, AtPaperSizes):
            return "paper_sizes"
        return self.answered_by_us

    @property
    def answered_by_us(self) -> Answer:
        """The answer on our models, by the paper's definition if there is one."""
        return "controlled" if self.published is None else "published"

    def quantity(self, answer: Answer) -> str | None:
        """Quantity of one answer, as the ledger shows it."""
        return getattr(self, answer)

    def judged_quantity(self, answer: Answer) -> str | None:
        """Quantity that the verdict rests on: the predicate's, or else the claim's own answer."""
        own = getattr(self.predicate, answer, None)
        return self.quantity(answer) if own is None else own

    @property
    def against(self) -> tuple[Answer, ...]:
        """Answers that the tested one must hold against."""
        return self.predicate.against if isinstance(self.predicate, OverSeeds) else ()

    @model_validator(mode="after")
    def _is_asked_and_answered(self) -> "Claim":
        if (self.controlled is None) != (self.controlled_against is None):
            says = "names what `controlled` is compared with: give both, or neither"
            raise Refusal("controlled_against", says)
        if self.printed is None and self.published is not None:
            raise Refusal(
                "published",
                "the paper has no such number (printed is null), so nothing can be as published; "
                "the answer belongs under `controlled`",
            )
        if isinstance(self.predicate, AtPaperSizes) and self.printed is None:
            raise Refusal("printed", f"{self.predicate.test} compares with a printed number")
        for answer in self.needed:
            if self.judged_quantity(answer) is None:
                says = f"it tests the answer {answer!r}, but the claim has none"
                raise Refusal("predicate", f"{says}. Name a quantity under {answer!r}")
        if self.answered_by in self.against:
            raise Refusal(
                ("predicate", "against"),
                f"{self.answered_by!r} is the number that is judged, so it cannot be its own control",
            )
        return self

    @property
    def printed_effect(self) -> float | None:
        """|printed number - reference|; None if the judged number is not the printed one, or is not an effect.

        A test of no effect has none, and tests of every seed have no bound.
        """
        predicate = self.predicate
        if not isinstance(predicate, Direction) or self.printed is None:
            return None
        is_other = isinstance(predicate.reference, str) or predicate.published is not None
        if is_other or predicate.test not in DIRECTIONS:
            return None
        return abs(self.printed - float(predicate.reference)) or None

    @property
    def has_bound(self) -> bool:
        """Whether the verdict needs a smallest effect of interest."""
        predicate = self.predicate
        return isinstance(predicate, OverSeeds) and (
            predicate.test in DIRECTIONS
            or (isinstance(predicate, NoEffect) and predicate.sample is None)
        )

    @model_validator(mode="after")
    def _has_a_smallest_effect(self) -> "Claim":
        if self.has_bound and self.smallest_effect is None and self.printed_effect is None:
            raise Refusal(
                "smallest_effect",
                f"is missing: the test {self.predicate.test!r} of this claim has no printed effect to take a "
                "share of. Give the smallest effect that matters, in the unit of the judged number",
            )
        if not self.has_bound and self.smallest_effect is not None:
            raise Refusal(
                "smallest_effect",
                f"the test {self.predicate.test!r} has no use for it; leave it out",
            )
        return self

    @property
    def needed(self) -> tuple[Answer, ...]:
        """Answers that the predicate tests."""
        if isinstance(self.predicate, Absolute):
            return ()
        return (self.answered_by, *self.against)


class Claims(Entry):
    """The file of claims."""

    comparisons: dict[str, Comparison]
    """What controlled numbers are compared with, by key."""
    claims: ListOf[Claim]
    """Every printed number that the study answers, in the order of the ledger."""

    @model_validator(mode="after")
    def _are_told_apart(self) -> "Claims":
        if not self.claims:
            raise Refusal("claims", "there are none")
        counts = Counter(claim.name for claim in self.claims)
        first: dict[tuple[Answer, str], Claim] = {}
        for place, claim in enumerate(self.claims):
            if counts[claim.name] > 1:
                says = f"{claim.name} is there twice; give the second another item"
                raise Refusal(("claims", place, "item"), says)
            self._check_comparison(place, claim)
            for answer in ANSWERS:
                quantity = claim.quantity(answer)
                if quantity is not None:
                    _check_shared(place, claim, answer, first.setdefault((answer, quantity), claim))
                elif answer in claim.same_as:
                    raise Refusal(("claims", place, "same_as"), f"there is no answer {answer!r}")
        return self

    def _check_comparison(self, place: int, claim: Claim) -> None:
        key, quantity = claim.controlled_against, claim.controlled
        if key is None or quantity is None:
            return
        if key not in self.comparisons:
            known = ", ".join(sorted(self.comparisons))
            says = f"{key!r} is not a comparison; there are {known}"
            raise Refusal(("claims", place, "controlled_against"), says)
        if not self.comparisons[key].is_made_by(quantity):
            says = f"{quantity} does not compare with {key!r} ({self.comparisons[key].says})"
            raise Refusal(("claims", place, "controlled"), says)


def _check_shared(place: int, claim: Claim, answer: Answer, first: Claim) -> None:
    """Refuse a number that answers two claims unless the second claim says so."""
    said = claim.same_as.get(answer)
    expected = None if first is claim else first.name
    if said != expected:
        keys = ("claims", place, "same_as" if expected is None else answer)
        says = (
            f"{answer} is not the number of {said}" if expected is None
            else f"{claim.quantity(answer)} answers {expected} already. Name another quantity, or, if one "
            f"number answers both, say so: `same_as: {{{answer}: {expected}}}`"
        )  # fmt: skip
        raise Refusal(keys, says)


def read_claims(claims: Path) -> Claims:
    """The claims of the file, in its order.

    Raises:
        ClaimsError: if the file is missing, not plain YAML, or breaks a rule of this module.
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
    """The claims that a target's ledger holds; the ledger of `full` holds all of them.

    Raises:
        ClaimsError: if there is no such target.
    """
    targets = get_args(StudyTarget)
    if target not in targets:
        raise ClaimsError(f"--target {target}: no such target; there are {' and '.join(targets)}.")
    return [claim for claim in claims.claims if target in (claim.target, "full")]


def require_quantities(claims: list[Claim], units: Mapping[str, str], where: Path) -> None:
    """Check that every quantity that a claim names exists, and that its answers are in its unit.

    Args:
        claims: claims of one target.
        units: unit of every quantity of the study, by name.
        where: the file of claims, for messages.

    Raises:
        ClaimsError: names the claim and the key, and similar quantities.
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
                    f"{claim.unit!r}. A number in another unit answers another question: name another "
                    "quantity, or give it a claim of its own."
                )


def _named(claim: Claim) -> Iterator[tuple[str, str]]:
    """Every key of the claim that names a quantity, and the quantity."""
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
        "quantities. All names are in quantities.csv beside the ledger."
    )


def _place(content: object, keys: Keys) -> str:
    """The wrong claim by its name, or by its position if it has no name; then the key."""
    if len(keys) < 2 or keys[0] != "claims" or not isinstance(content, dict):
        return ".".join(map(str, keys))
    row = content["claims"][keys[1]]
    is_named = isinstance(row, dict) and "id" in row
    first = f"{row['id']}.{row.get('item', '?')}" if is_named else f"claim {int(keys[1]) + 1}"
    return ": ".join([first, *map(str, keys[2:])])
