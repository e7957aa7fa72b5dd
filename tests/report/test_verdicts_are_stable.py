"""No verdict of the reference moves between reproduced and not reproduced with seeds or with rounding."""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tables import RUN_OF_BANDS

from fispace.errors import ClaimsError
from fispace.report import verdicts
from fispace.report.answers import Numbers, numbers_of
from fispace.report.claims import Claim, of_target, read_claims
from fispace.report.judge import case_of, judge
from fispace.report.predicates import Direction
from fispace.report.tables import DOCUMENTS, LEDGER, QUANTITIES
from fispace.report.verdicts import (
    DIRECTIONS,
    EXPLAINED,
    NOT_REPRODUCED,
    REPRODUCED,
    Decision,
    Range,
)
from fispace.seeds import numpy_stream
from fispace.store.tables import read_csv
from fispace.study.config.report import ClaimsStep

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results/reference"
CLAIMS = read_claims(ROOT / "workflow/claims.yaml")
PARAMS = ClaimsStep(confidence=0.95, smallest_share=0.1, explained_share=0.9)
N_RESAMPLES = 10
SEEDS = {"all": (0, 1, 2), "full": (0, 1, 2, 3, 4)}
OF_EVERY_ARM = {0, 1, 2}
"""Seeds that every arm is trained with."""
FOLDERS = {"all": "report", "full": "report/full"}


def resampled(numbers: Numbers, seeds: Sequence[int]) -> Numbers:
    """The numbers with these seeds, drawn with replacement, in place of their own."""
    samples = {
        name: of if verdicts.CONSTANT in of
        else {place: of[seed] for place, seed in enumerate(seeds) if seed in of}
        for name, of in numbers.samples.items()
    }  # fmt: skip
    return dataclasses.replace(numbers, samples=samples)


def draws(target: str) -> list[list[int]]:
    """Resamples of seeds with two different ones of every arm, for an interval needs two."""
    stream, found = numpy_stream(0, "resamples", target), []
    while len(found) < N_RESAMPLES:
        seeds = [int(seed) for seed in stream.choice(SEEDS[target], len(SEEDS[target]))]
        if len(OF_EVERY_ARM & set(seeds)) >= 2:
            found.append(seeds)
    return found


def verdict_of(claim: Claim, numbers: Numbers) -> str:
    try:
        return judge(case_of(claim, numbers, PARAMS), PARAMS).verdict
    except ClaimsError as error:  # of one arm's seeds only one was drawn
        assert "fewer than two seeds" in str(error)
        return "too few seeds"


@pytest.mark.parametrize("target", FOLDERS)
@pytest.mark.parametrize("study", ["testbed", "stories260k"])
def test_no_verdict_turns_over_with_the_seeds(study: str, target: str) -> None:
    folder = REFERENCE / study / FOLDERS[target]
    tables = [(folder / "quantities.csv", QUANTITIES), (folder / "documents.csv", DOCUMENTS)]
    numbers = numbers_of(*(read_csv(path, table) for path, table in tables))
    committed = read_csv(folder / "claims.csv", LEDGER).set_index(["id", "item"])["verdict"]
    found: Mapping[str, set[str]] = defaultdict(set)
    for seeds in draws(target):
        for claim in of_target(CLAIMS, target):
            found[claim.name].add(verdict_of(claim, resampled(numbers, seeds)))
    for claim in of_target(CLAIMS, target):
        of_claim = found[claim.name] | {committed[claim.id, claim.item]}
        assert not {REPRODUCED, NOT_REPRODUCED} <= of_claim, claim.name


def verdict_of_run(claim: Claim, row: pd.Series, predicate: Direction) -> str:
    """Verdict from the intervals over seeds that a ledger holds; the null is not paired."""
    first, direction = claim.answered_by, DIRECTIONS[predicate.test]
    reference = float(predicate.reference)
    smallest = claim.smallest_effect or PARAMS.smallest_share * (claim.printed_effect or np.nan)

    def beyond(low: float, high: float, bound: float) -> verdicts.Outcome:
        return verdicts.beyond(Range(low, high), direction, bound)

    controls = {}
    for answer in claim.against:
        if answer == "null":
            excess = row[f"{first}_mean"] - row["null_mean"]
            half = np.hypot(
                *(row[f"{name}_high"] - row[f"{name}_mean"] for name in (first, "null"))
            )
            rest = (1 - PARAMS.explained_share) * abs(row[f"{first}_mean"] - reference)
            controls[answer] = beyond(excess - half, excess + half, max(smallest, rest))
        else:
            ends = (row[f"controlled_{end}"] - reference for end in ("low", "high"))
            controls[answer] = beyond(*ends, smallest)
    ends = (row[f"{first}_{end}"] - reference for end in ("low", "high"))
    return verdicts.judged(Decision(beyond(*ends, smallest)), controls, None).verdict


def test_no_verdict_turns_over_between_language_models_that_differ_by_rounding() -> None:
    paths = sorted((REFERENCE / "bands/runs").glob("*.csv"))
    runs = [read_csv(path, RUN_OF_BANDS) for path in paths]
    rows = [run.set_index(["id", "item"]) for run in runs]
    n_judged = 0
    for claim in of_target(CLAIMS, "all"):
        predicate = claim.predicate
        if not isinstance(predicate, Direction) or predicate.test not in DIRECTIONS:
            continue
        if isinstance(predicate.reference, str) or predicate.published is not None:
            continue
        of_runs = [run.loc[(claim.id, claim.item)] for run in rows]
        names = {row[f"{claim.answered_by}_quantity"] for row in of_runs}
        if names != {claim.quantity(claim.answered_by)}:
            continue  # given as a difference, whose bound needs what it is divided by
        found = {verdict_of_run(claim, row, predicate) for row in of_runs}
        n_judged += 1
        assert not (NOT_REPRODUCED in found and found & {REPRODUCED, EXPLAINED}), claim.name
    assert len(runs) == 4 and n_judged >= 15
