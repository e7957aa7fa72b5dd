"""Ledgers as files: what tools about whole runs read of a claims.csv, or of the bands of several.

Must not: judge, or compute a number.
"""

from collections.abc import Hashable, Mapping
from pathlib import Path

import pandas as pd

from fispace.errors import ArtifactError
from fispace.report.predicate import ANSWERS
from fispace.store.columns import INTEGER, NUMBER, TEXT, Column, Table, optional
from fispace.store.tables import read_csv

KEY = ["id", "item"]
ENDS = ("mean", "low", "high")
CLAIM: dict[str, Column] = {"id": TEXT, "item": TEXT, "verdict": TEXT}
QUANTITIES: dict[str, Column] = {f"{answer}_quantity": optional(TEXT) for answer in ANSWERS}
"""Whose numbers they are: a ratio, or the difference that a run gives in its place."""
NUMBERS: dict[str, Column] = {
    f"{answer}_{end}": optional(NUMBER) for answer in ANSWERS for end in ENDS
}
STATED = Table(
    "of a ledger, or of bands",
    {**{name: optional(TEXT) for name in CLAIM}, **QUANTITIES, **NUMBERS, "n_runs": INTEGER},
    key=("id", "item"),
    may_lack=("n_runs",),
    others_ignored=True,
)
"""What a ledger and the bands of several runs have in common; bands alone have the number of runs."""
BANDS = Table("bands", {**CLAIM, **QUANTITIES, **NUMBERS, "n_runs": INTEGER}, key=("id", "item"))
N_RUNS = "n_runs"
"""The column that bands have and a run's ledger has not."""
EITHER = " or "
"""Between the verdicts of a claim on which the runs behind bands do not agree."""


def read_ledger(path: Path, *, may_be_bands: bool = False) -> pd.DataFrame:
    """Claims, verdicts, numbers and their intervals; a row each, no claim twice.

    Raises:
        ArtifactError: if the file is missing, not readable, no ledger, or bands where a run's ledger
            is wanted.
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
    texts = frame[[*KEY, "verdict"]]
    if frame.empty or bool(texts.isna().to_numpy().any()):
        raise _no_ledger(path, "a claim has no id, item or verdict, or there is none")
    if bool(frame.duplicated(KEY).any()):
        raise _no_ledger(path, f"{name_of(frame[frame.duplicated(KEY)].iloc[0])} stands twice")
    return frame[[*KEY, "verdict", *QUANTITIES, *NUMBERS]]


def require_same_claims(
    ours: Path, our_ledger: pd.DataFrame, theirs: Path, their_ledger: pd.DataFrame
) -> None:
    """Two ledgers can only be set side by side where they hold the same claims.

    Raises:
        ArtifactError: if they do not; the message names those that only one of them has.
    """
    claims = [
        set(zip(*(frame[name] for name in KEY), strict=True))
        for frame in (our_ledger, their_ledger)
    ]
    if claims[0] != claims[1]:
        alone = sorted(f"{number} {item}" for number, item in claims[0] ^ claims[1])
        raise ArtifactError(
            f"{ours} and {theirs} hold different claims: only one of them has {', '.join(alone)}. "
            "Both must be of one target (report/claims.csv, or report/full/claims.csv, or bands of "
            "such) and of the same workflow/claims.yaml."
        )


def name_of(row: "Mapping[Hashable, object] | pd.Series") -> str:
    """How messages call a claim."""
    return f"{row['id']} {row['item']}"


def _no_ledger(path: Path, why: str) -> ArtifactError:
    return ArtifactError(
        f"{path}: this is no ledger, {why}; expected a claims.csv as `fispace report claims` writes it. "
        "If it was edited, run the workflow again."
    )
