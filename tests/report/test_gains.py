"""The gain curve, the planted pairs and the controls as quantities and as plotted tables, by hand."""

from pathlib import Path

import pandas as pd
import pytest
from report.synthetic import controls_table, gain_curve_table, worlds_table

from fispace.chapters.fidelity.curve_quantities import curve_quantities, nearest_ks
from fispace.chapters.fidelity.plots import write_gain_plots
from fispace.chapters.fidelity.tables import ARM_CONTROLS_PLOT, GAIN_CURVE_PLOT
from fispace.chapters.testbed.quantities import planted_pair_quantities
from fispace.store.quantities import NO_SEED, quantity_frame
from fispace.store.tables import read_csv, write_table


def table(quantities: object) -> pd.Series:
    frame = quantity_frame(quantities)  # pyright: ignore[reportArgumentType]
    return frame.set_index(["quantity", "seed"])["value"]


@pytest.mark.parametrize(
    ("ks", "expected"),
    [
        ([4, 8, 16, 32], {250: 8, 500: 16}),
        ([1000, 1024, 300, 2], {250: 300, 500: 300}),  # both cuts share the nearest one
        ([32, 30], {250: 30, 500: 30}),
        ([32], {}),  # the k of the training is no cut
    ],
)
def test_a_published_cut_is_answered_at_the_nearest_share_of_the_trained_k(
    ks: list[int], expected: dict[int, int]
) -> None:
    assert nearest_ks(ks) == expected


CURVE = table(curve_quantities(gain_curve_table()))


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("cut_share.at_250", 2 / 8),
        ("cut_share.at_500", 4 / 8),
        ("cut_fvu.sae_cut.at_250", 0.80),
        ("cut_gain.arm_trained.at_250", 1 - 0.40 / 0.80),  # as published
        ("cut_gain.decoder_refit.at_250", 1 - 0.48 / 0.80),  # the linear ceiling
        ("cut_gain.arm_trained.over.sae_trained.at_250", 1 - 0.40 / 0.50),  # controlled
        ("cut_gain.arm_cut.at_500", 1 - 0.55 / 0.50),
        ("cut_gain_drop.arm_trained", 0.5 - 0.4),
        ("cut_gain_drop.decoder_refit", 0.4 - 0.2),
    ],
)
def test_curve_quantities_by_hand(quantity: str, expected: float) -> None:
    assert CURVE[quantity, 0] == pytest.approx(expected)


def test_the_gains_of_a_curve_are_paired_by_seed_and_of_the_test_split() -> None:
    # every FVU is twice as large for seed 1, so every gain is the same
    gain = CURVE["cut_gain.arm_trained.over.sae_trained.at_250"]
    assert list(gain.index) == [0, 1]
    assert gain[0] == pytest.approx(gain[1])


def test_two_cuts_at_one_k_have_no_difference_to_speak_of() -> None:
    curve = gain_curve_table()
    found = table(curve_quantities(curve[curve["k"] != 4]))
    assert found["cut_gain.arm_trained.at_250", 0] == found["cut_gain.arm_trained.at_500", 0]
    assert not [name for name, _ in found.index if name.startswith("cut_gain_drop")]


def test_planted_quantities_are_of_no_pair_and_of_the_largest_share_by_world() -> None:
    found = table(planted_pair_quantities(worlds_table(), alpha=0.05))
    assert found["planted_auc_functional.joint.strongest", 0] == 0.9
    assert found["planted_auc_functional.joint.strongest", 1] == pytest.approx(0.91)
    assert found["planted_gain.joint.none", 0] == 0.02
    assert found["planted_alpha", NO_SEED] == 0.05
    assert len(found) == 1 + 2 * 5  # neither the share between nor a mean over worlds


def test_a_study_without_planted_pairs_has_no_strongest_ones() -> None:
    worlds = worlds_table()
    found = planted_pair_quantities(worlds[worlds["share"] == 0], alpha=0.05)
    assert {row.quantity.split(".")[-1] for row in found} == {"planted_alpha", "none"}


def test_recovery_has_no_unit_and_gains_are_fractions() -> None:
    units = {row.quantity: row.unit for row in planted_pair_quantities(worlds_table(), alpha=0.05)}
    assert units["planted_auc_functional.joint.strongest"] == "1"
    assert units["planted_gain.joint.strongest"] == "fraction"


@pytest.fixture
def plotted(tmp_path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    write_table(tmp_path / "curve.parquet", gain_curve_table(), {})
    write_table(tmp_path / "controls.parquet", controls_table(), {})
    out = {name: tmp_path / f"{name}.csv" for name in ("gain_curve", "arm_controls")}
    write_gain_plots(
        curve=tmp_path / "curve.parquet", controls=tmp_path / "controls.parquet", **out
    )
    return (
        read_csv(out["gain_curve"], GAIN_CURVE_PLOT),
        read_csv(out["arm_controls"], ARM_CONTROLS_PLOT),
    )


def test_the_gain_curve_has_each_seed_and_their_mean_and_names_the_published_cuts(
    plotted: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    curve, _ = plotted
    assert set(curve["model"]) == {"decoder_refit", "sae_trained", "arm_cut", "arm_trained"}
    own = curve[(curve["model"] == "arm_trained") & (curve["k"] == 2)]
    assert sorted(own["seed"].dropna()) == [0, 1] and len(own) == 3
    assert own["gain"].to_numpy() == pytest.approx(0.5)
    published = curve.groupby("k")["published"].first()
    assert published[[2, 4]].tolist() == ["K = 250", "K = 500"] and pd.isna(published[8])


def test_the_forest_has_gains_over_controls_in_the_order_of_the_study(
    plotted: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    _, controls = plotted
    first = controls.drop_duplicates("order")
    assert list(zip(first["arm"], first["control"], strict=True)) == [
        ("sequential", "sae"), ("sequential", "mlp_probe"), ("joint", "sae_matched")
    ]  # fmt: skip
    own = controls[(controls["order"] == 2) & (controls["metric"] == "kl")]
    assert own[own["seed"].isna()]["gain"].item() == -0.2
    assert own[own["seed"] == 1]["gain"].item() == pytest.approx(-0.19)
    assert len(controls) == 3 * 2 * 3  # one split, one contrast
