"""Predicates: what our numbers must show for a claim to be reproduced.

A predicate says which of our numbers is tested, against what, and by which test. Must not: compute a test,
or know a claim.
"""

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from fispace.study.config.base import Distinct, Entry, NonEmpty, Refusal

Answer = Literal["published", "controlled", "null", "paper_sizes"]
"""Which number of ours stands beside the printed one: a group of columns of the ledger."""
ANSWERS: tuple[Answer, ...] = get_args(Answer)
Level = float | str
"""A number, or the name of a quantity, paired by seed."""
QuantityName = NonEmpty
"""Name of a quantity, as in quantities.csv."""


class Predicate(Entry):
    """What our numbers must show for the claim to be reproduced."""

    TESTS: ClassVar[tuple[str, ...]]
    """Names of the tests that this class declares."""

    test: str
    """One of `TESTS`."""


class Absolute(Predicate):
    """An absolute number of another model, which is not testable here."""

    TESTS = ("absolute",)


class AtPaperSizes(Predicate):
    """A number that needs only the paper's sizes must be the printed one.

    `at_paper_sizes`: the number itself. `null_at_paper_sizes`: a null of the number; if it is the
    printed number, it explains it, and otherwise the claim is not testable.
    """

    TESTS = ("at_paper_sizes", "null_at_paper_sizes")

    tolerance: Annotated[float, Field(ge=0)]
    """Largest relative difference from the printed number."""


class OverSeeds(Predicate):
    """A test of our own models over their seeds."""

    reference: Level
    """What the numbers are compared with."""
    controlled_reference: Level | None = None
    """The reference of `controlled`, if it differs."""
    against: Distinct[Literal["null", "controlled"]]
    """What must hold as well; otherwise the claim is explained by the null. `null`: our effect exceeds
    the null's. `controlled`: the controlled number passes the same test."""
    sample: Literal["few_documents"] | None = None
    """Judge the interval over samples of `report.few_documents` documents."""
    published: QuantityName | None = None
    """Quantity judged in place of the claim's own."""
    controlled: QuantityName | None = None
    """Quantity judged in place of the claim's own."""
    null: QuantityName | None = None
    """Quantity judged in place of the claim's own."""

    def reference_of(self, answer: Answer) -> Level:
        """Reference of this answer."""
        own = self.controlled_reference if answer == "controlled" else None
        return self.reference if own is None else own


DIRECTIONS = ("above", "below")
"""Tests of a mean on one side of the reference."""


class Direction(OverSeeds):
    """Our numbers lie on one side of the reference.

    `above`, `below`: the interval over seeds and documents does, by more than the smallest effect of interest.
    `every_above`, `every_below`: every seed does; for numbers that should not be averaged, such as p-values.
    """

    TESTS = ("above", "below", "every_above", "every_below")


class NoEffect(OverSeeds):
    """Our numbers do not differ from the reference.

    `covers`: the interval lies within the smallest effect of interest on both sides. `at_most`: it does on
    the upper side.
    """

    TESTS = ("covers", "at_most")

    @model_validator(mode="after")
    def _has_no_excess(self) -> "NoEffect":
        if "null" in self.against:
            raise Refusal("against", "a test of no effect cannot ask for more than a null's effect")
        return self


PREDICATES: dict[str, type[Predicate]] = {
    test: kind for kind in (Direction, NoEffect, AtPaperSizes, Absolute) for test in kind.TESTS
}
"""Class of predicate by its test."""


def _by_test(values: object) -> object:
    """The predicate whose test is named; a value that is not a mapping is left to be refused."""
    if not isinstance(values, dict):
        return values
    test = values.get("test")
    if not isinstance(test, str) or test not in PREDICATES:
        raise Refusal("test", f"expected one of {', '.join(PREDICATES)}, got {test!r:.200}")
    return PREDICATES[test].checked(values)


Tested = Annotated[Predicate, BeforeValidator(_by_test)]
"""A predicate of the class that its test belongs to."""
