"""Ratios that say nothing are differences, and judged as such; every ratio is the sum of its parts."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from report.synthetic import fidelity_summary

from fispace.chapters.fidelity.quantities import fidelity_quantities, ratio_parts
from fispace.report.answers import Numbers, given_numbers, has_no_denominator, numbers_of
from fispace.report.claims import Claim
from fispace.report.judge import case_of, excess_over_null, judge
from fispace.report.verdicts import (
    EXPLAINED,
    NOT_REPRODUCED,
    NOT_TESTABLE,
    REPRODUCED,
    UNDERPOWERED,
    Range,
)
from fispace.store.quantities import quantity_frame
from fispace.study.config.report import ClaimsStep

ROOT = Path(__file__).parents[2]
PARAMS = ClaimsStep(confidence=0.95, smallest_share=0.1, explained_share=0.9)
GAIN = "excess_ce_gain.joint.full.over.sae_bias.full"
REDUCTION = "excess_ce_reduction.joint.full.over.sae_bias.full"
DENOMINATOR = "excess_ce.sae_bias.full"
NULL_GAIN = "excess_ce_gain.sae.full.over.sae_bias.full"
NULL_REDUCTION = "excess_ce_reduction.sae.full.over.sae_bias.full"


def claim(predicate: Mapping[str, Any] | None = None, **change: Any) -> Claim:
    default = {"test": "above", "reference": 0, "against": []}
    return Claim.checked(
        {
            "id": "N8", "item": "ce_full", "target": "all", "statement": "less CE", "printed": 0.262,
            "unit": "fraction", "where": "text", "definition": "1 - a / b", "published": GAIN,
            "controlled": None, "null": None, "remark": None, "predicate": predicate or default,
        } | change
    )  # fmt: skip


def numbers(
    denominator: list[float], reduction: list[float], documents: Mapping[str, Range] | None = None,
    **more: list[float],
) -> Numbers:  # fmt: skip
    """A ratio with its parts, by seed; `more` are further quantities in nats."""
    values = {DENOMINATOR: denominator, REDUCTION: reduction} | more
    values[GAIN] = [
        r / d if d else float("nan") for r, d in zip(reduction, denominator, strict=True)
    ]
    if NULL_REDUCTION in more:
        pairs = zip(more[NULL_REDUCTION], denominator, strict=True)
        values[NULL_GAIN] = [r / d for r, d in pairs]
    samples = {name: dict(enumerate(of)) for name, of in values.items()}
    units = {name: "fraction" if "gain" in name else "nats" for name in samples}
    return Numbers(samples, units, documents or {}, {})


CLEAR = [2.0, 2.1, 1.9]
THROUGH_ZERO = [1e-4, -2e-4, 1.5e-4]
SAVED = [0.5, 0.52, 0.48]


def test_a_ratio_over_what_is_not_zero_is_a_ratio() -> None:
    found = numbers(CLEAR, SAVED)
    assert not has_no_denominator(GAIN, found, 0.95)
    assert given_numbers(claim(), found, 0.95)[GAIN].quantity == GAIN


@pytest.mark.parametrize(
    ("denominator", "documents"),
    [
        (THROUGH_ZERO, {}),  # over seeds
        (CLEAR, {DENOMINATOR: Range(-0.1, 4.0)}),  # over documents alone
        ([2.0, 0.0, -2.0], {DENOMINATOR: Range(1.0, 2.0)}),  # over seeds alone
    ],
)
def test_a_ratio_whose_denominators_interval_holds_zero_is_refused(
    denominator: list[float], documents: dict[str, Range]
) -> None:
    found = numbers(denominator, SAVED, documents)
    assert has_no_denominator(GAIN, found, 0.95)
    given = given_numbers(claim(), found, 0.95)[GAIN]
    assert (given.quantity, given.stands_for) == (REDUCTION, GAIN)
    assert given.ratio is None
    assert judge(case_of(claim(), found, PARAMS), PARAMS).verdict == REPRODUCED


def test_which_numbers_are_differences_depends_on_the_numbers_alone() -> None:
    # the same claim, two studies
    for denominator, expected in ((CLEAR, GAIN), (THROUGH_ZERO, REDUCTION)):
        found = given_numbers(claim(), numbers(denominator, SAVED), 0.95)
        assert found[GAIN].quantity == expected


def test_a_ratio_without_its_difference_is_no_number_and_not_testable() -> None:
    found = numbers(THROUGH_ZERO, SAVED)
    kept = {name: of for name, of in found.samples.items() if name != REDUCTION}
    lacking = Numbers(kept, found.units, {}, {})
    # without its parts the study does not know that it is a ratio of the two
    assert not has_no_denominator(GAIN, lacking, 0.95)
    # a reference that is not its neutral value has no difference that could stand for it
    asked = claim({"test": "above", "reference": 0.1, "against": []})
    given = given_numbers(asked, found, 0.95)[GAIN]
    assert given.is_undefined and all(map(math.isnan, given.sample.values()))
    reading = judge(case_of(asked, found, PARAMS), PARAMS)
    assert reading.verdict == NOT_TESTABLE and GAIN in reading.because


def test_a_share_beyond_the_whole_is_a_difference_with_its_ratio_beside_it() -> None:
    found = numbers(CLEAR, [-8.0, -8.4, -7.6])  # 400 % more, not less
    given = given_numbers(claim(), found, 0.95)[GAIN]
    assert given.quantity == REDUCTION
    assert given.ratio == pytest.approx({0: -4.0, 1: -4.0, 2: -4.0})
    assert judge(case_of(claim(), found, PARAMS), PARAMS).verdict == NOT_REPRODUCED


def test_what_is_compared_is_in_one_form() -> None:
    null = {NULL_REDUCTION: [-8.0, -8.4, -7.6]}
    found = numbers(CLEAR, SAVED, **null)
    asked = claim({"test": "above", "reference": 0, "against": ["null"]}, null=NULL_GAIN)
    given = given_numbers(asked, found, 0.95)
    assert given[GAIN].quantity == REDUCTION and given[NULL_GAIN].quantity == NULL_REDUCTION
    case = case_of(asked, found, PARAMS)
    assert judge(case, PARAMS).verdict == REPRODUCED
    excess = excess_over_null(case)
    assert excess is not None and excess.tolist() == pytest.approx([8.5, 8.92, 8.08])


def test_a_null_that_reaches_the_difference_explains_it() -> None:
    found = numbers(THROUGH_ZERO, SAVED, **{NULL_REDUCTION: SAVED})
    asked = claim({"test": "above", "reference": 0, "against": ["null"]}, null=NULL_GAIN)
    assert judge(case_of(asked, found, PARAMS), PARAMS).verdict == EXPLAINED


def test_a_number_and_a_null_that_cannot_be_in_one_unit_are_not_compared() -> None:
    share = {"mean_output_share_linear.joint.initial": [0.1, 0.1, 0.1]}
    found = numbers(CLEAR, SAVED, **share)
    found = Numbers(found.samples, {**found.units, next(iter(share)): "1"}, {}, {})
    asked = claim(null=next(iter(share)))
    assert excess_over_null(case_of(asked, found, PARAMS)) is None


def test_the_difference_must_hold_over_documents_too() -> None:
    documents = {DENOMINATOR: Range(-0.1, 4.0), REDUCTION: Range(-0.2, 1.0)}
    found = numbers(CLEAR, SAVED, documents)
    assert judge(case_of(claim(), found, PARAMS), PARAMS).verdict == UNDERPOWERED


def test_a_ratio_of_kl_is_no_percentage_and_stays_one_beyond_the_whole() -> None:
    ratio, above = "kl_over_epsilon.joint.full", "kl_above_epsilon.joint.full"
    samples = {ratio: dict.fromkeys(range(3), 4.0), above: dict.fromkeys(range(3), 3.0)}
    samples["kl_epsilon.joint.full"] = {0: 1.0, 1: 1.0, 2: 1.0}
    units = {name: "ratio" if name == ratio else "nats" for name in samples}
    asked = claim({"test": "above", "reference": 1, "against": []}, published=ratio, unit="ratio")
    found = Numbers(samples, units, {}, {})
    assert given_numbers(asked, found, 0.95)[ratio].quantity == ratio
    # over zero it is KL less KL, compared with none
    samples["kl_epsilon.joint.full"] = {0: 1.0, 1: -1.0, 2: 0.0}
    assert given_numbers(asked, found, 0.95)[ratio].quantity == above
    assert judge(case_of(asked, found, PARAMS), PARAMS).verdict == REPRODUCED


def require_parts(table: Mapping[str, Mapping[int, float]]) -> int:
    """Check ratio = neutral + difference / denominator for every ratio; returns their number."""
    count = 0
    for name, values in table.items():
        parts = ratio_parts(name, table)
        if parts is None:
            continue
        for seed, value in values.items():
            below = table[parts.denominator][seed]
            if below and not math.isnan(value):
                expected = parts.neutral + table[parts.difference][seed] / below
                assert value == pytest.approx(expected, rel=1e-6, abs=1e-9), name
                count += 1
    return count


def test_every_ratio_is_its_neutral_value_plus_difference_over_denominator() -> None:
    frame = quantity_frame(fidelity_quantities(fidelity_summary()))
    found = numbers_of(frame, pd.DataFrame())
    assert require_parts(found.samples) > 150
    gains = [name for name in found.samples if "_gain." in name or "_share." in name]
    others = [name for name in found.samples if "_over_" in name or "_last_step." in name]
    assert all(ratio_parts(name, found.samples) for name in [*gains, *others])


@pytest.mark.parametrize("study", ["testbed", "stories260k"])
def test_so_it_is_in_the_reference(study: str) -> None:
    table: dict[str, dict[int, float]] = {}
    path = ROOT / f"results/reference/{study}/report/quantities.csv"
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            value = float(row["value"] or "nan")
            table.setdefault(row["quantity"], {})[int(row["seed"])] = value
    assert require_parts(table) > 1500


def test_levels_and_counts_are_no_ratios() -> None:
    for name in ("mse.joint.full", "dead_fraction.sae.full", "n_parameters.joint", "cut_gain.x.at_250",
                 "planted_gain.joint.none", "excess_ce_reduction.joint.full.over.sae.full"):  # fmt: skip
        assert ratio_parts(name, {}) is None


def test_the_ledgers_of_the_reference_hold_no_ratio_over_zero() -> None:
    """No answer, and nothing that a verdict rests on, divides by what may be zero."""
    for study in ("testbed", "stories260k"):
        folder = ROOT / f"results/reference/{study}/report"
        quantities = pd.read_csv(folder / "quantities.csv")
        found = numbers_of(quantities, pd.read_csv(folder / "documents.csv"))
        ledger = pd.read_csv(folder / "claims.csv")
        names = ("published", "controlled", "null", "judged")
        for row in ledger.to_dict("records"):
            for answer in names:
                name = row[f"{answer}_quantity"]
                if isinstance(name, str) and pd.notna(row[f"{answer}_mean"]):
                    assert not has_no_denominator(name, found, 0.95), (row["id"], row["item"])
