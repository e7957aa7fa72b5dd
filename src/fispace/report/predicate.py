"""Predicates: what our numbers must show for a claim to be reproduced.

Must not: know a quantity's value, or reach a verdict.
"""

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import BeforeValidator, Field, model_validator

from fispace.study.config.base import Distinct, Entry, NonEmpty, Refusal

Answer = Literal["published", "controlled", "null", "paper_sizes"]
"""Which number of ours stands beside the printed one; the columns of the ledger."""
ANSWERS: tuple[Answer, ...] = get_args(Answer)
Level = float | str
"""A number, or the name of a quantity, paired by seed."""
Quantity = NonEmpty
"""Name of a row of quantities.csv."""


class Predicate(Entry):
    """What our numbers must show."""

    TESTS: ClassVar[tuple[str, ...]]
    """Tests of this kind."""

    test: str
    """One of the kind's."""


class Absolute(Predicate):
    """An absolute number of another model: not testable."""

    TESTS = ("absolute",)


class AtPaperSizes(Predicate):
    """What needs only the paper's sizes must be the printed number.

    `at_paper_sizes`: the number itself. `null_at_paper_sizes`: its null there, which then explains it;
    else it is not testable.
    """

    TESTS = ("at_paper_sizes", "null_at_paper_sizes")

    tolerance: Annotated[float, Field(ge=0)]
    """Largest relative difference from the printed number."""


class OverSeeds(Predicate):
    """What our own models must show."""

    reference: Level
    """What the numbers are compared with."""
    controlled_reference: Level | None = None
    """The reference of `controlled`, where it is another one."""
    against: Distinct[Literal["null", "controlled"]]
    """What else must hold, else the claim is explained by the null. `null`: our effect exceeds that of
    the null. `controlled`: the controlled number passes the same test."""
    sample: Literal["few_documents"] | None = None
    """Judge the interval over samples of `report.few_documents` documents."""
    published: Quantity | None = None
    """Quantity judged in place of the claim's own."""
    controlled: Quantity | None = None
    """Quantity judged in place of the claim's own."""
    null: Quantity | None = None
    """Quantity judged in place of the claim's own."""

    def reference_of(self, answer: Answer) -> Level:
        """What this answer is compared with."""
        own = self.controlled_reference if answer == "controlled" else None
        return self.reference if own is None else own


class Direction(OverSeeds):
    """Our numbers lie on one side of the reference.

    `above`, `below`: their intervals over seeds and, where there is one, over documents.
    `every_above`, `every_below`: each seed's, for numbers whose mean says nothing, such as p-values.
    """

    TESTS = ("above", "below", "every_above", "every_below")


class NoEffect(OverSeeds):
    """No difference from the reference is seen.

    `covers`: the interval covers it. `at_most`: no interval lies above it.
    """

    TESTS = ("covers", "at_most")

    @model_validator(mode="after")
    def _has_no_excess(self) -> "NoEffect":
        if "null" in self.against:
            raise Refusal("against", "what claims no effect has none that could exceed a null's")
        return self


KINDS: tuple[type[Predicate], ...] = (Direction, NoEffect, AtPaperSizes, Absolute)
PREDICATES = {test: kind for kind in KINDS for test in kind.TESTS}
"""Kind of predicate by its test."""


def _by_test(values: object) -> object:
    """The predicate whose test is named; what is no mapping is left to be refused."""
    if not isinstance(values, dict):
        return values
    test = values.get("test")
    if not isinstance(test, str) or test not in PREDICATES:
        raise Refusal("test", f"expected one of {', '.join(PREDICATES)}, got {test!r:.200}")
    return PREDICATES[test].checked(values)


Tested = Annotated[Predicate, BeforeValidator(_by_test)]
"""A predicate of the kind that its test says."""
