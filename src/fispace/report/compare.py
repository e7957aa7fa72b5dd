"""Ledgers of whole runs: `fispace bands` and `fispace compare OURS THEIRS`.

A ledger's intervals are over seeds that share one language model. Another machine rounds differently
and so trains another language model, which moves all seeds together. `bands` therefore computes from
several whole runs where one more run should lie, and `compare` names the numbers of a run that lie
elsewhere. Must not: judge a claim, or read anything but ledgers.
"""

import logging
from collections.abc import Hashable, Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from fispace.errors import ArtifactError
from fispace.report.predicates import ANSWERS
from fispace.report.tables import BANDS, CLAIM_KEY, CLAIM_NUMBERS, ENDS, N_RUNS, STATED
from fispace.stats.intervals import prediction_interval
from fispace.store.tables import read_csv, write_csv
from fispace.study.step import tool

log = logging.getLogger(__name__)

LEVEL = 0.99
"""Of a band, a prediction interval."""
LEAST_RUNS = 3
SLACK = 1e-6
"""Share of a bound by which a number may lie beyond it: the last digits differ between machines."""
ALLOWED_SHARE = 0.05
"""Share of the numbers that may lie outside. Many numbers depend on one quantity and leave together."""
EITHER = " or "
"""Between the verdicts of a claim on which the runs do not agree."""


def read_ledger(path: Path, *, may_be_bands: bool = False) -> pd.DataFrame:
    """Claims of a ledger with verdicts, numbers and intervals; one row each, no claim twice.

    Raises:
        ArtifactError: if the file is missing, not readable or no ledger, or holds bands where
            `may_be_bands` is false.
    """
    if not path.is_file():
        raise ArtifactError(
            f"{path} does not exist; expected the claims.csv of a run (`snakemake` makes it)"
            f"{' or bands (`fispace bands` makes them)' if may_be_bands else ''}."
        )
    frame = read_csv(path, STATED)
    if N_RUNS in frame.columns and not may_be_bands:
        raise ArtifactError(
            f"{path} holds the bands of several runs; expected the claims.csv of one run."
        )
    texts = frame[[*CLAIM_KEY, "verdict"]]
    if frame.empty or bool(texts.isna().to_numpy().any()):
        raise _no_ledger(path, "a claim has no id, item or verdict, or there is none")
    if bool(frame.duplicated(CLAIM_KEY).any()):
        raise _no_ledger(
            path, f"{name_of(frame[frame.duplicated(CLAIM_KEY)].iloc[0])} is there twice"
        )
    return frame[[name for name in BANDS.columns if name != N_RUNS]]


def require_same_claims(
    ours: Path, our_ledger: pd.DataFrame, theirs: Path, their_ledger: pd.DataFrame
) -> None:
    """Check that two ledgers hold the same claims.

    Raises:
        ArtifactError: if they do not; the message names the claims that only one of them has.
    """
    ledgers = (our_ledger, their_ledger)
    claims = [set(zip(*(of[name] for name in CLAIM_KEY), strict=True)) for of in ledgers]
    if claims[0] != claims[1]:
        alone = sorted(f"{number} {item}" for number, item in claims[0] ^ claims[1])
        raise ArtifactError(
            f"{ours} and {theirs} hold different claims: only one of them has {', '.join(alone)}. "
            "Both must be of one target (report/claims.csv, or report/full/claims.csv, or bands of "
            "such) and of the same workflow/claims.yaml."
        )


def name_of(row: "Mapping[Hashable, object] | pd.Series") -> str:
    """Name of a claim in messages."""
    return f"{row['id']} {row['item']}"


def _no_ledger(path: Path, why: str) -> ArtifactError:
    return ArtifactError(
        f"{path}: this is not a ledger: {why}; expected a claims.csv as `fispace report claims` writes it. "
        "If it was edited, run the workflow again."
    )


@tool("bands")
def write_bands(*, ledgers: list[Path], bands: Path) -> None:
    """Write, from several runs of one study, where another machine's numbers should lie.

    LEDGERS are claims.csv files of at least three runs. A band is the 99 % prediction interval for
    one more run, mean +- t_(n-1) s sqrt(1 + 1/n), if runs are draws from one normal distribution. On
    average one number in a hundred leaves its band; with few runs, a band whose runs happen to agree is
    left more often. A number has no band where a run lacks it, or where runs state different
    quantities. Columns: the columns of a ledger that `fispace compare` reads, and `n_runs`.

    Raises:
        ArtifactError: if there are fewer than three ledgers, two of them are the same run, one of them
            is not a ledger, or their claims differ.
    """
    if len(ledgers) < LEAST_RUNS:
        raise ArtifactError(
            f"--ledgers: {len(ledgers)} given, but the spread of runs needs at least {LEAST_RUNS}. Run "
            "the study on other machines, or with a change that matters to rounding alone."
        )
    frames = [read_ledger(path).set_index(CLAIM_KEY, drop=False) for path in ledgers]
    for path, frame in zip(ledgers[1:], frames[1:], strict=True):
        require_same_claims(path, frame, ledgers[0], frames[0])
    frames = [frame.loc[frames[0].index] for frame in frames]
    _require_different_runs(dict(zip(ledgers, frames, strict=True)), len(ledgers))
    rows = [_band([frame.iloc[place] for frame in frames]) for place in range(len(frames[0]))]
    found = BANDS.frame(rows)
    write_csv(bands, found, BANDS)
    for row in found.to_dict("records"):
        if EITHER in row["verdict"]:
            log.info("verdict  %s: %s", name_of(row), row["verdict"])
    lows, highs = (found[[f"{answer}_{end}" for answer in ANSWERS]].to_numpy() for end in ENDS[1:])
    log.info(
        "%s: bands of %d numbers from %d runs, %d of them without width.",
        bands, np.isfinite(lows).sum(), len(ledgers), (lows == highs).sum(),
    )  # fmt: skip


def _require_different_runs(frames: dict[Path, pd.DataFrame], n_given: int) -> None:
    """Refuse the same run twice: it has no spread, so its bands would hold no other run."""
    if len(frames) < n_given:
        raise ArtifactError("--ledgers: a file is given twice; give each run's ledger once.")
    for (one, numbers), (other, others) in combinations(frames.items(), 2):
        if numbers[CLAIM_NUMBERS].equals(others[CLAIM_NUMBERS]):
            raise ArtifactError(
                f"{one} and {other} hold the same numbers: they are one run, or two that rounded alike. "
                "Bands need runs whose numbers differ."
            )


def _band(runs: list[pd.Series]) -> dict[str, object]:
    """Verdicts of one claim over the runs, and the bands of its numbers."""
    cells: dict[str, object] = {name: runs[0][name] for name in CLAIM_KEY}
    cells["verdict"] = EITHER.join(sorted({row["verdict"] for row in runs}))
    for answer in ANSWERS:
        values = np.array([row[f"{answer}_{ENDS[0]}"] for row in runs], dtype=np.float64)
        names = [row[f"{answer}_quantity"] for row in runs]
        quantities = {name for name in names if isinstance(name, str)}
        if len(quantities) > 1:
            values = np.full(len(runs), np.nan)
        cells[f"{answer}_quantity"] = quantities.pop() if len(quantities) == 1 else None
        interval = prediction_interval(values, LEVEL)
        cells |= {f"{answer}_{end}": getattr(interval, end) for end in ENDS}
    return cells | {N_RUNS: len(runs)}


class ComparedNumber(NamedTuple):
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

    OURS is a run's claims.csv. The command names its numbers that lie outside the intervals of THEIRS,
    and its verdicts that differ.

    THEIRS are the bands of several runs, or another run's claims.csv, whose intervals are over seeds
    on one language model. Numbers without an interval in THEIRS are counted apart: in a claims.csv
    those with one seed or none, and those that one run gives as a ratio and the other as a difference.
    A verdict whose interval ends near its reference is sensitive to rounding. One number in twenty may
    lie outside.

    Raises:
        ArtifactError: if more lie outside, or the two ledgers hold different claims.
    """
    both = _joined(ours, theirs)
    numbers = list(_compared_numbers(both))
    outside = [number for number in numbers if not number.is_inside]
    for number in outside:
        log.info("outside  %s: %.6g, not in [%.6g, %.6g]", *number)
    for row in both.to_dict("records"):
        if row["verdict"] not in row["verdict_theirs"].split(EITHER):
            log.info("verdict  %s: %s, was %s", name_of(row), row["verdict"], row["verdict_theirs"])
    n_alone = sum(both[f"{answer}_mean"].notna().sum() for answer in ANSWERS) - len(numbers)
    counts = (
        f"{len(numbers) - len(outside)} of {len(numbers)} numbers lie within the intervals of "
        f"{theirs}; it states none for {n_alone} more"
    )
    if len(outside) > ALLOWED_SHARE * len(numbers):
        raise ArtifactError(
            f"{ours}: only {counts}. Those outside are listed above; up to {ALLOWED_SHARE:.0%} are "
            "taken for chance. The intervals of a claims.csv do not hold on another machine, which "
            "trains another language model; those of bands should. Otherwise code or parameters may "
            "have changed: compare the commits of both, and run `fispace verify` on yours."
        )
    log.info("%s: %s.", ours, counts)


def _compared_numbers(both: pd.DataFrame) -> Iterator[ComparedNumber]:
    """Every number of the first ledger for which the second has an interval of the same quantity."""
    for row in both.to_dict("records"):
        for answer in ANSWERS:
            stated = [row[f"{answer}_{end}_theirs"] for end in ENDS[1:]]
            ours, theirs = row[f"{answer}_quantity"], row[f"{answer}_quantity_theirs"]
            if ours == theirs and not any(map(pd.isna, stated)):
                yield ComparedNumber(f"{name_of(row)}, {answer}", row[f"{answer}_mean"], *stated)


def _joined(ours: Path, theirs: Path) -> pd.DataFrame:
    """Both ledgers side by side, by claim."""
    our_ledger, their_ledger = read_ledger(ours), read_ledger(theirs, may_be_bands=True)
    require_same_claims(ours, our_ledger, theirs, their_ledger)
    return our_ledger.merge(their_ledger, on=CLAIM_KEY, suffixes=("", "_theirs"), validate="1:1")
