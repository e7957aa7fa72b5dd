"""`fispace compare OURS THEIRS`: do the numbers of one ledger lie within the intervals of another?

The same study made again on another machine has other last digits, and trainings that part ways from
there; its numbers should still lie where the first ledger says that such numbers lie. Must not:
compare files, or judge claims.
"""

import logging
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from fispace.errors import ArtifactError
from fispace.steps.report.claims_file import ANSWERS
from fispace.store.tables import read_csv

log = logging.getLogger(__name__)

KEY = ["id", "item"]
ENDS = ("mean", "low", "high")
SLACK = 1e-6
"""Of a bound's own size: an interval of no width holds a number that differs in its last digits."""


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


def compare_ledgers(ours: Path, theirs: Path, /) -> None:
    """Say which numbers of OURS, a claims.csv, leave the intervals of THEIRS, another run's claims.csv.

    The bands are the intervals over seeds that THEIRS states; numbers for which it states none (one
    seed, or no seeds at all) are counted apart. Verdicts that differ are named: they turn where an
    interval ends near its reference.

    Raises:
        ArtifactError: if a number is outside, or the two ledgers hold different claims.
    """
    both = _joined(ours, theirs)
    places = list(numbers_of(both))
    outside = [place for place in places if not place.is_inside]
    for place in outside:
        log.info("outside  %s: %.6g, not in [%.6g, %.6g]", *place)
    for row in both[both["verdict"] != both["verdict_theirs"]].to_dict("records"):
        log.info("verdict  %s: %s, was %s", _name(row), row["verdict"], row["verdict_theirs"])
    n_alone = sum(both[f"{answer}_mean"].notna().sum() for answer in ANSWERS) - len(places)
    counts = (
        f"{len(places) - len(outside)} of {len(places)} numbers lie within the intervals of "
        f"{theirs}; it states none for {n_alone} more"
    )
    if outside:
        raise ArtifactError(
            f"{ours}: only {counts}. Those outside are listed above. If one commit made both runs with "
            "the same parameters (`fispace verify`), the machine or the seeds matter more than the "
            "intervals say."
        )
    log.info("%s: %s.", ours, counts)


def numbers_of(both: pd.DataFrame) -> Iterator[Place]:
    """Every number of the first ledger for which the second has an interval."""
    for row in both.to_dict("records"):
        for answer in ANSWERS:
            stated = [row[f"{answer}_{end}_theirs"] for end in ENDS[1:]]
            if not any(map(pd.isna, stated)):
                yield Place(f"{_name(row)}, {answer}", row[f"{answer}_mean"], *stated)


def _name(row: Mapping[Hashable, object]) -> str:
    return f"{row['id']} {row['item']}"


def _joined(ours: Path, theirs: Path) -> pd.DataFrame:
    """Both ledgers side by side, by claim."""
    frames = [_ledger(path) for path in (ours, theirs)]
    claims = [set(zip(*(frame[name] for name in KEY), strict=True)) for frame in frames]
    if claims[0] != claims[1]:
        alone = sorted(f"{number} {item}" for number, item in claims[0] ^ claims[1])
        raise ArtifactError(
            f"{ours} and {theirs} hold different claims: only one of them has {', '.join(alone)}. "
            "Compare ledgers of the same target (report/claims.csv or report/full/claims.csv) and "
            "of the same workflow/claims.yaml."
        )
    return frames[0].merge(frames[1], on=KEY, suffixes=("", "_theirs"), validate="1:1")


def _ledger(path: Path) -> pd.DataFrame:
    frame = read_csv(path)
    wanted = [*KEY, "verdict", *(f"{answer}_{end}" for answer in ANSWERS for end in ENDS)]
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise ArtifactError(
            f"{path}: this is no ledger, it has no column {missing[0]!r}; expected a claims.csv that "
            "`fispace report claims` wrote."
        )
    return frame[wanted]
