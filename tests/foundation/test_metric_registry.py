"""One unit for one metric, in every table: the registry is complete, unambiguous, and obeyed."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from fispace.store.metric_registry import (
    METRICS,
    SLOTS,
    UNITS,
    Better,
    metric_of,
    unit_of,
    unit_of_quantity,
)

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "results/reference"
NO_METRIC = {"interaction_contrast"}
"""In the unit of a response: an activation, or nats."""


def rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def long_tables() -> list[Path]:
    """Committed tables with a metric and a unit on every row."""
    found = []
    for path in sorted(REFERENCE.glob("*/*/**/*.csv")):
        with path.open(encoding="utf-8") as file:
            header = file.readline().strip().split(",")
        if {"metric", "unit"} <= set(header):
            found.append(path)
    return found


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("mse", "z2"), ("fvu", "fraction"), ("kl", "nats"), ("l0", "latents per token"),
        ("dead_fraction", "fraction"), ("excess_ce_gain", "fraction"), ("mse_reduction", "z2"),
        ("kl_last_reduction", "nats"), ("ratio_total_gap_mixture", "fraction"),
        ("ratio_linear_spearman", "1"), ("active_prompts_candidate_3", "fraction"),
        ("functional_share_total_low", "fraction"), ("squared_norm_factors_median", "z2"),
    ],
)  # fmt: skip
def test_a_metric_has_one_unit(name: str, unit: str) -> None:
    assert unit_of(name) == unit


@pytest.mark.parametrize("name", ["mse_squared", "ratio_bias_mean", "", "MSE", "mse "])
def test_a_name_that_is_not_declared_has_none(name: str) -> None:
    with pytest.raises(LookupError, match="is not a metric"):
        metric_of(name)


def test_every_unit_is_explained_and_every_slot_is_used() -> None:
    assert {metric.unit for metric in METRICS} <= set(UNITS)
    names = " ".join(metric.name for metric in METRICS)
    assert all(f"{{{slot}}}" in names for slot in SLOTS)
    assert all(metric.definition for metric in METRICS)


def test_less_loss_is_better_and_more_gain() -> None:
    assert {metric_of(name).better for name in ("mse", "fvu", "kl", "ce")} == {Better.LOWER}
    assert {metric_of(f"{name}_gain").better for name in ("mse", "kl")} == {Better.HIGHER}


def test_every_long_table_of_the_reference_has_the_units_of_the_registry() -> None:
    tables = long_tables()
    assert len(tables) >= 20
    seen = set()
    for path in tables:
        own = {
            (row["metric"], row.get("contrast") or row.get("measure") or "", row["unit"])
            for row in rows(path)
        }
        for metric, of, unit in own:
            if metric in NO_METRIC:
                assert unit in UNITS, (path, unit)
                continue
            is_share = of == "gain" or of.endswith("_share")
            expected = "ratio" if of == "ratio" else "fraction" if is_share else unit_of(metric)
            assert unit == expected, (path, metric, of)
            seen.add(metric)
    assert {"mse", "fvu", "kl", "l0"} <= seen


@pytest.mark.parametrize("study", ["testbed", "stories260k"])
def test_every_quantity_of_the_reference_has_the_unit_of_its_metric(study: str) -> None:
    units: dict[str, set[str]] = {}
    for row in rows(REFERENCE / study / "report/full/quantities.csv"):
        units.setdefault(row["quantity"], set()).add(row["unit"])
    for name, own in units.items():
        expected = unit_of_quantity(name)
        assert own <= ({expected} if expected else set(UNITS)), name
