"""The claim: one printed number, the quantities that answer it, and the predicate that judges it.

Must not: read a file, or know a quantity's value.
"""

from collections import Counter
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from fispace.report.predicate import (
    ANSWERS,
    Absolute,
    Answer,
    AtPaperSizes,
    OverSeeds,
    Quantity,
    Tested,
)
from fispace.store.metric_registry import UNITS
from fispace.study.config.base import Entry, ListOf, NonEmpty, Refusal

Target = Literal["all", "full"]


class Comparison(Entry):
    """What a controlled number is compared with."""

    says: NonEmpty
    """The comparison, as a phrase of the ledger's column `controlled_against`."""
    quantities: Annotated[ListOf[NonEmpty], Field(min_length=1)]
    """Patterns of the quantities that make it; `*` stands for anything."""

    def is_made_by(self, quantity: str) -> bool:
        """Whether the quantity compares with this."""
        return any(fnmatchcase(quantity, pattern) for pattern in self.quantities)


def _known_unit(unit: str) -> str:
    if unit not in UNITS:
        raise ValueError(f"{unit!r} is no unit; there are {', '.join(UNITS)}")
    return unit


class Claim(Entry):
    """One printed number, or one question that the paper did not ask."""

    id: Annotated[str, Field(pattern="^(N([1-9]|1[0-9]|20)|P[1-3])$")]
    """Number of the claim in the inventory of the paper, N1 to N20; P1 to P3 are recovery, gain and false
    positives on planted pairs, for which the paper has no number."""
    item: Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
    """Name of this number within its claim."""
    target: Target
    """Who answers it: `all` is the default run, `full` the target full alone, whose ledger has both."""
    statement: NonEmpty
    """What the number is said to show, in the paper's terms."""
    printed: float | None
    """The printed value; null where the paper has no such number."""
    unit: Annotated[str, AfterValidator(_known_unit)]
    """Unit of the printed number and of every answer to it."""
    where: NonEmpty
    """Where it was printed, and the author's script that computes it; see workflow/weaknesses.yaml."""
    definition: NonEmpty
    """How the paper computes it."""
    published: Quantity | None
    """Our models, by the paper's own definition; null where the paper has no such number."""
    controlled: Quantity | None
    """The claim's question, asked against the comparison that `controlled_against` names."""
    controlled_against: Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")] | None = None
    """Key of `comparisons`: what `controlled` compares with."""
    null: Quantity | None
    """The same quantity where the effect cannot exist: initial weights, a bias alone."""
    paper_sizes: Quantity | None = None
    """The same from the paper's own sizes alone; no model of ours enters."""
    same_as: Annotated[dict[Answer, str], Field(default_factory=dict)]
    """Answers that are another claim's number as well, by that claim's name."""
    predicate: Tested
    """What our numbers must show; the verdict is computed from it."""
    remark: NonEmpty | None
    """What to know when reading the row."""

    @property
    def name(self) -> str:
        """As in `N5.gain`."""
        return f"{self.id}.{self.item}"

    @property
    def answered_by(self) -> Answer:
        """The answer that the predicate tests first."""
        if isinstance(self.predicate, AtPaperSizes):
            return "paper_sizes"
        return "controlled" if self.published is None else "published"

    def quantity(self, answer: Answer) -> str | None:
        """Quantity of one answer, as the ledger shows it."""
        return getattr(self, answer)

    def judged_quantity(self, answer: Answer) -> str | None:
        """Quantity that the verdict rests on: the predicate's own, or else the claim's answer."""
        own = getattr(self.predicate, answer, None)
        return self.quantity(answer) if own is None else own

    @property
    def against(self) -> tuple[Answer, ...]:
        """Answers that the first one is held against."""
        return self.predicate.against if isinstance(self.predicate, OverSeeds) else ()

    @model_validator(mode="after")
    def _is_asked_and_answered(self) -> "Claim":
        if (self.controlled is None) != (self.controlled_against is None):
            says = "names what `controlled` is compared with: give both, or neither"
            raise Refusal("controlled_against", says)
        if self.printed is None and self.published is not None:
            raise Refusal(
                "published",
                "the paper has no such number (printed is null), so that nothing is as published; "
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
                f"{self.answered_by!r} is the number that is judged, and no control of itself",
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
            raise Refusal("claims", "there is none")
        counts = Counter(claim.name for claim in self.claims)
        first: dict[tuple[Answer, str], Claim] = {}
        for place, claim in enumerate(self.claims):
            if counts[claim.name] > 1:
                says = f"{claim.name} stands there twice; give the second another item"
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
            says = f"{key!r} is no comparison; there are {known}"
            raise Refusal(("claims", place, "controlled_against"), says)
        if not self.comparisons[key].is_made_by(quantity):
            says = f"{quantity} is not compared with {key!r} ({self.comparisons[key].says})"
            raise Refusal(("claims", place, "controlled"), says)


def _check_shared(place: int, claim: Claim, answer: Answer, first: Claim) -> None:
    """Two claims are two questions: one number answers both only if the second says so."""
    said = claim.same_as.get(answer)
    expected = None if first is claim else first.name
    if said != expected:
        keys = ("claims", place, "same_as" if expected is None else answer)
        says = (
            f"{answer} is not the number of {said}" if expected is None
            else f"{claim.quantity(answer)} answers {expected} already. Another question needs another "
            f"quantity; if the two are one number, say so: `same_as: {{{answer}: {expected}}}`"
        )  # fmt: skip
        raise Refusal(keys, says)
