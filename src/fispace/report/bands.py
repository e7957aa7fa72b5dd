"""`fispace bands`: where the numbers of one more run of a study should lie, from several runs of it.

The intervals of a ledger are over seeds, whose trainings share one language model. Another machine
rounds otherwise and so trains another language model, which moves all seeds together; only runs that
differ in it say how far. Must not: judge a run, or read anything but ledgers.
"""

import logging
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from fispace.errors import ArtifactError
from fispace.report.ledger import (
    BANDS,
    EITHER,
    ENDS,
    KEY,
    N_RUNS,
    NUMBERS,
    name_of,
    read_ledger,
    require_same_claims,
)
from fispace.report.predicate import ANSWERS
from fispace.stats.intervals import prediction_interval
from fispace.store.tables import write_csv
from fispace.study.step import tool

log = logging.getLogger(__name__)

LEVEL = 0.99
LEAST_RUNS = 3


@tool("bands")
def write_bands(*, ledgers: list[Path], bands: Path) -> None:
    """Write, from several runs of one study, where another machine's numbers should lie.

    LEDGERS are claims.csv files of at least three runs. A band is the 99 % prediction interval for
    one more run, mean +- t_(n-1) s sqrt(1 + 1/n), for runs from one normal distribution. On average
    over such bands one number in a hundred leaves its own; of few runs, one whose values happen to
    agree is left more often. A number that a run does not have, or that is not of the same quantity
    in all, gets none. Columns: those of a ledger that `fispace compare` reads, and `n_runs`.

    Raises:
        ArtifactError: if there are fewer than three, two of them are the same run, one of them is no
            ledger, or their claims differ.
    """
    if len(ledgers) < LEAST_RUNS:
        raise ArtifactError(
            f"--ledgers: {len(ledgers)} given, but the spread of runs needs at least {LEAST_RUNS}. Run "
            "the study on other machines, or with a change that matters to rounding alone."
        )
    frames = [read_ledger(path).set_index(KEY, drop=False) for path in ledgers]
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
    """The same run twice has no spread, and would make bands that nothing else stays in."""
    if len(frames) < n_given:
        raise ArtifactError("--ledgers: a file is given twice; give each run's ledger once.")
    for (one, numbers), (other, others) in combinations(frames.items(), 2):
        if numbers[list(NUMBERS)].equals(others[list(NUMBERS)]):
            raise ArtifactError(
                f"{one} and {other} hold the same numbers: they are one run, or two that rounded alike. "
                "Bands need runs that differ in more than where they were made."
            )


def _band(runs: list[pd.Series]) -> dict[str, object]:
    """One claim's verdicts, and the bands of its numbers."""
    cells: dict[str, object] = {name: runs[0][name] for name in KEY}
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
