"""The health gates: their values by hand, what fails each, and how the summary page says so."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fispace.chapters.fidelity.tables import SUMMARY
from fispace.chapters.geometry.tables import HEADS
from fispace.chapters.train.tables import VALIDATION
from fispace.errors import ArtifactError
from fispace.report.health import late_gain, write_health
from fispace.report.health_section import health_banner, health_lines
from fispace.report.tables import HEALTH
from fispace.store.quantities import Frame
from fispace.store.tables import read_csv, write_csv
from fispace.study.config.report import HealthStep
from fispace.study.params import load_study

ROOT = Path(__file__).parents[2]
ARMS = {"sae": "sae", "joint": "sae+linear+bias+interaction"}
SEEDS = (0, 1)
GATES = ["dead_latents", "sae_fvu", "sae_kl", "live_units", "late_gain", "lm_gap"]
STEP = HealthStep.read({"health": load_study(ROOT)["report"]["health"]}, "report")
HEALTHY: dict[Any, float] = {
    **{("dead_fraction", arm, seed): 0.05 for arm in ARMS for seed in SEEDS},
    **{("fvu", arm, seed): 0.10 + 0.1 * seed for arm in ARMS for seed in SEEDS},
    **{("kl", arm, seed): 0.03 for arm in ARMS for seed in SEEDS},
    **{("live", "joint", seed): 0.9 for seed in SEEDS},
    **{("end", arm, seed): 0.199 for arm in ARMS for seed in SEEDS},
    "gap": 0.07,
}
"""Numbers of a study in which every gate passes. Every training's FVU is .2 until .9 of its steps."""


def fidelity(world: dict[Any, float]) -> Frame:
    """The numbers, and beside them rows of other splits, parts and conditions that break every bound."""
    rows: list[dict[str, Any]] = []

    def add(arm: str, seed: int, metric: str, value: float, **other: str) -> None:
        row = {
            "arm": arm, "parts": ARMS[arm], "seed": seed, "split": "test", "special_tokens": "masked",
            "condition": "reconstruction", "metric": metric, "unit": "1", "value": value, "low": None,
            "high": None, "n_documents": 3, "n_tokens": 9,
        }  # fmt: skip
        rows.append(row | other)

    for arm in ARMS:
        for seed in SEEDS:
            add(arm, seed, "dead_fraction", world["dead_fraction", arm, seed], parts="sae")
            add(arm, seed, "dead_fraction", 0.9, parts="sae", split="transfer")
            for metric in ("fvu", "kl"):
                add(arm, seed, metric, world[metric, arm, seed])
                add(arm, seed, metric, 9.0, special_tokens="included")
                add(arm, seed, metric, 0.0, condition="epsilon_random")
            add(arm, seed, "fvu", 7.0, parts="linear" if arm == "joint" else "")
    bounds = rows[0] | {"arm": "", "parts": "", "seed": -1, "condition": "mean_ablation"}
    return pd.DataFrame([*rows, bounds])


def judge(
    folder: Path, world: dict[Any, float], *, curves: bool = True, lm: bool = True,
    gates: dict[str, Any] | None = None,
) -> Frame:  # fmt: skip
    """The table of a run with these numbers."""
    write_csv(folder / "summary.csv", fidelity(world), SUMMARY)
    heads = [
        {"arm": arm, "seed": seed, "state": state, "metric": "interaction_live_units", "unit": "fraction",
         "value": share, "n": 9}
        for (what, arm, seed), value in ((key, value) for key, value in world.items() if key != "gap")
        if what == "live"
        for state, share in (("trained", value), ("initial", 0.0))
    ]  # fmt: skip
    write_csv(folder / "heads.csv", pd.DataFrame(heads, columns=pd.Index(HEADS.columns)), HEADS)
    steps = [
        {"arm": arm, "seed": seed, "step": step, "n_tokens": 8 * step, "val_fvu": value}
        for arm in ARMS
        for seed in SEEDS
        for step, value in ((40, 0.2), (90, 0.2), (100, world["end", arm, seed]))
    ]
    write_csv(folder / "validation.csv", pd.DataFrame(steps), VALIDATION)
    (folder / "floor.json").write_text(json.dumps({"gap_nats": world["gap"]}))
    write_health(
        STEP if gates is None else HealthStep.read({"health": gates}, "report"),
        fidelity=folder / "summary.csv", heads=folder / "heads.csv",
        curves=folder / "validation.csv" if curves else None,
        floor=folder / "floor.json" if lm else None, health=folder / "health.csv",
    )  # fmt: skip
    return read_csv(folder / "health.csv", HEALTH)


def row_of(table: Frame, gate: str, arm: str | None) -> dict[str, Any]:
    own = table[table["gate"] == gate]
    (row,) = own[own["arm"].isna() if arm is None else own["arm"] == arm].to_dict("records")
    return {str(key): value for key, value in row.items()}


def test_a_study_on_or_inside_every_bound_passes_every_gate_and_has_no_banner(
    tmp_path: Path,
) -> None:
    table = judge(tmp_path, HEALTHY)
    assert list(dict.fromkeys(table["gate"])) == GATES
    assert set(table["passed"]) == {"yes"}
    assert health_banner(table) == []
    assert [len(table[table["gate"] == gate]) for gate in GATES] == [2, 1, 1, 1, 2, 1]


@pytest.mark.parametrize(
    ("change", "gate", "arm", "seed", "value"),
    [
        ({("dead_fraction", "joint", 1): 0.051}, "dead_latents", "joint", 1, 0.051),
        ({("fvu", "sae", 0): 0.04}, "sae_fvu", "sae", 0, 0.04),
        ({("fvu", "sae", 1): 0.3}, "sae_fvu", "sae", 1, 0.3),
        ({("kl", "sae", 1): 0.019}, "sae_kl", "sae", 1, 0.019),
        ({("live", "joint", 1): 0.875}, "live_units", "joint", 1, 0.875),
        ({("end", "joint", 0): 0.19}, "late_gain", "joint", 0, 0.05),
        ({"gap": 0.11}, "lm_gap", None, None, 0.11),
    ],
)
def test_one_number_beyond_its_bound_fails_its_gate_alone(
    tmp_path: Path,
    change: dict[Any, float],
    gate: str,
    arm: str | None,
    seed: int | None,
    value: float,
) -> None:
    table = judge(tmp_path, HEALTHY | change)
    failed = table[table["passed"] == "no"]
    assert failed["gate"].tolist() == [gate]
    row = row_of(failed, gate, arm)
    assert row["value"] == pytest.approx(value)
    assert pd.isna(row["seed"]) if seed is None else row["seed"] == seed
    assert table.index[table["gate"] == gate][0] == failed.index[0], "the worst arm comes first"
    banner = "\n".join(health_banner(table))
    assert banner.startswith("> [!CAUTION]\n") and f"Failed gates: `{gate}`. " in banner


def test_numbers_of_other_arms_than_the_sae_have_no_bound_on_fvu_and_kl(tmp_path: Path) -> None:
    other = {("fvu", "joint", 0): 0.9, ("kl", "joint", 0): 0.0}
    assert set(judge(tmp_path, HEALTHY | other)["passed"]) == {"yes"}


def test_the_worst_of_two_seeds_is_the_one_nearer_to_either_bound(tmp_path: Path) -> None:
    high = row_of(judge(tmp_path, HEALTHY | {("fvu", "sae", 1): 0.21}), "sae_fvu", "sae")
    assert (high["seed"], high["value"], high["n_seeds"]) == (1, 0.21, 2)
    low = row_of(judge(tmp_path, HEALTHY | {("fvu", "sae", 1): 0.06}), "sae_fvu", "sae")
    assert (low["seed"], low["value"]) == (1, 0.06)


def test_a_model_without_a_known_floor_is_not_tested_and_says_so(tmp_path: Path) -> None:
    table = judge(tmp_path, HEALTHY, lm=False)
    assert row_of(table, "lm_gap", None)["passed"] == "not testable: no floor"
    assert health_banner(table) == []
    line = next(line for line in health_lines(table, None) if line.startswith("| `lm_gap`"))
    assert (
        line
        == "| `lm_gap` | at most 0.100 nats | not testable: no floor | – | language model | – |"
    )


def test_an_arm_that_lacks_a_seed_does_not_pass_and_fails_by_the_seeds_it_has(
    tmp_path: Path,
) -> None:
    world = {key: value for key, value in HEALTHY.items() if key != ("live", "joint", 1)}
    row = row_of(judge(tmp_path, world), "live_units", "joint")
    assert (row["passed"], row["n_seeds"]) == ("not testable: no value for seed 1", 1)
    row = row_of(judge(tmp_path, world | {("live", "joint", 0): 0.5}), "live_units", "joint")
    assert (row["passed"], row["value"]) == ("no", 0.5)
    untested = row_of(judge(tmp_path, HEALTHY, curves=False), "late_gain", "sae")
    assert untested["passed"] == "not testable: no table" and pd.isna(untested["value"])


def test_the_late_gain_interpolates_the_curve_at_nine_tenths_of_the_steps() -> None:
    steps, fvu = np.array([60.0, 80.0, 100.0]), np.array([0.5, 0.4, 0.2])
    assert late_gain(steps, fvu) == pytest.approx(1 - 0.2 / 0.3)  # halfway between .4 and .2
    assert late_gain(np.array([90.0, 100.0]), np.array([0.2, 0.25])) == pytest.approx(-0.25)
    assert late_gain(np.array([50.0, 100.0]), np.array([0.3, 0.3])) == 0


def test_a_curve_that_begins_in_the_last_tenth_has_no_late_gain() -> None:
    assert np.isnan(late_gain(np.array([100.0]), np.array([0.3])))
    assert np.isnan(late_gain(np.array([95.0, 100.0]), np.array([0.3, 0.2])))


def test_linear_interpolation_never_understates_the_gain_of_a_convex_curve() -> None:
    steps = np.arange(1.0, 1001.0)
    for power in (0.1, 0.5, 1.0, 3.0):
        fvu = 0.1 + steps**-power
        exact = 1 - fvu[-1] / fvu[899]
        for every in (100, 250, 500):
            taken = np.append(np.arange(every, 1000, every), 1000) - 1
            assert late_gain(steps[taken], fvu[taken]) >= exact - 1e-12


def test_the_page_shows_each_gate_once_with_bound_count_worst_arm_and_source(
    tmp_path: Path,
) -> None:
    table = judge(tmp_path, HEALTHY | {("dead_fraction", "joint", 1): 0.2})
    lines = health_lines(table, "where.md")
    shown = [line for line in lines if line.startswith("| `")]
    assert [line.split("`")[1] for line in shown] == GATES
    assert shown[0] == (
        "| `dead_latents` | at most 5.0 % | **no**, 1 of 2 arms pass | [20.0 %](where.md#gate-dead_latents) "
        "| `joint`, seed 1 | `summary.csv` |"
    )
    assert "| at least 5.0 %, at most 25.0 % | yes |" in shown[1]
    assert "| at most 1.0 % | yes, 2 of 2 arms pass | [0.5 %](" in shown[4]


def test_a_gate_of_which_some_arms_are_not_testable_has_not_passed(tmp_path: Path) -> None:
    world = HEALTHY | {("dead_fraction", "joint", 0): float("nan")}
    (line,) = [
        one for one in health_lines(judge(tmp_path, world), None) if "`dead_latents` |" in one
    ]
    assert "| not testable, 1 of 2 arms pass, 1 not testable |" in line


def test_a_gate_uses_the_bounds_that_the_parameters_give(tmp_path: Path) -> None:
    gates = {name: {"at_least": None, "at_most": 1.0} for name in GATES}
    gates["lm_gap"] = {"at_least": 0.5, "at_most": None}
    table = judge(tmp_path, HEALTHY, gates=gates)
    assert table["gate"][table["passed"] == "no"].tolist() == ["lm_gap"]


def test_a_missing_table_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    judge(tmp_path, HEALTHY)
    (tmp_path / "health.csv").unlink()
    (tmp_path / "heads.csv").unlink()
    with pytest.raises(ArtifactError, match=r"heads\.csv does not exist"):
        write_health(
            STEP, fidelity=tmp_path / "summary.csv", heads=tmp_path / "heads.csv", curves=None,
            floor=None, health=tmp_path / "health.csv",
        )  # fmt: skip
    assert not (tmp_path / "health.csv").exists()
