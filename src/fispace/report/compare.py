"""`fispace compare OURS THEIRS`: do the numbers of a run lie where bands, or another ledger, say?

The same study made again on another machine has other last digits, and trainings that part ways from
there; its numbers should still lie where the bands of several runs (`fispace bands`) are. Must not:
compare files, or judge claims.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from fispace.errors import ArtifactError
from fispace.report.ledger import EITHER, ENDS, KEY, name_of, read_ledger, require_same_claims
from fispace.report.predicate import ANSWERS
from fispace.study.step import tool

log = logging.getLogger(__name__)

SLACK = 1e-6
"""Of a bound's own size: an interval of no width holds a number that differs in its last digits."""

ALLOWED_SHARE = 0.05
"""Of the numbers may lie outside; many are of one quantity or one language model, and leave together."""


class Place(NamedTuple):
    """One number of our ledger, beside the interval that theirs states for it."""

    name: str
    mean: float
    low: float
    high: float

    @property
    def is_inside(self) -> bool:
        """Whether the number lies in the interval, ends included."""
        return (
            self.low - SLACK * abs(self.low) <= self.mean <= self.high + SLACK * abs(self.high)
        )  # false for NaN


@tool("compare")
def compare_ledgers(ours: Path, theirs: Path, /) -> None:
    """Compare the claims of two runs, and name the numbers that differ by more than chance.

    OURS is a run's claims.csv; named is what leaves the intervals of THEIRS.

    THEIRS are the bands of several runs, or another run's claims.csv, whose intervals are over seeds
    on one language model. Numbers for which it states none are counted apart: of a claims.csv those of
    one seed or of none, and those that one run gives as a ratio and the other as a difference. Verdicts
    that differ are named: they turn where an interval ends near its reference. One number in twenty may
    lie outside.

    Raises:
        ArtifactError: if more are outside, or the two ledgers hold different claims.
    """
    both = _joined(ours, theirs)
    places = list(numbers_of(both))
    outside = [place for place in places if not place.is_inside]
    for place in outside:
        log.info("outside  %s: %.6g, not in [%.6g, %.6g]", *place)
    for row in both.to_dict("records"):
        if row["verdict"] not in row["verdict_theirs"].split(EITHER):
            log.info("verdict  %s: %s, was %s", name_of(row), row["verdict"], row["verdict_theirs"])
    n_alone = sum(both[f"{answer}_mean"].notna().sum() for answer in ANSWERS) - len(places)
    counts = (
        f"{len(places) - len(outside)} of {len(places)} numbers lie within the intervals of "
        f"{theirs}; it states none for {n_alone} more"
    )
    if len(outside) > ALLOWED_SHARE * len(places):
        raise ArtifactError(
            f"{ours}: only {counts}. Those outside are listed above; up to {ALLOWED_SHARE:.0%} are "
            "taken for chance. The intervals of a claims.csv do not hold on another machine, which "
            "trains another language model; those of bands should. Else code or parameters may "
            "have changed: compare the commits of both, and run `fispace verify` on yours."
        )
    log.info("%s: %s.", ours, counts)


def numbers_of(both: pd.DataFrame) -> Iterator[Place]:
    """Every number of the first ledger for which the second has an interval of the same quantity."""
    for row in both.to_dict("records"):
        for answer in ANSWERS:
            stated = [row[f"{answer}_{end}_theirs"] for end in ENDS[1:]]
            ours, theirs = row[f"{answer}_quantity"], row[f"{answer}_quantity_theirs"]
            if ours == theirs and not any(map(pd.isna, stated)):
                yield Place(f"{name_of(row)}, {answer}", row[f"{answer}_mean"], *stated)


def _joined(ours: Path, theirs: Path) -> pd.DataFrame:
    """Both ledgers side by side, by claim."""
    our_ledger, their_ledger = read_ledger(ours), read_ledger(theirs, may_be_bands=True)
    require_same_claims(ours, our_ledger, theirs, their_ledger)
    return our_ledger.merge(their_ledger, on=KEY, suffixes=("", "_theirs"), validate="1:1")
