"""The geometry step on a small arm: what it writes, its nulls, and what it refuses."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from geometry.small_study import D_MODEL, N_LATENTS, PARAMS, write_checkpoint, write_store

from fispace.chapters.geometry.arm import measure_geometry
from fispace.chapters.geometry.summary import summarise_geometry
from fispace.chapters.geometry.tables import SUMMARY
from fispace.errors import ArtifactMismatchError
from fispace.seeds import named_streams
from fispace.store.tables import read_csv, read_table
from fispace.store.tensors import load_tensors, save_tensors
from fispace.study.config.geometry import GeometryArmStep

JOINT = ["sae", "linear", "bias", "interaction"]
N_TOKENS = 300


class Study:
    def __init__(self, folder: Path, parts: list[str], change: float) -> None:
        self.folder = folder
        self.manifest, self.standardiser = write_store(folder, N_TOKENS)
        self.weights = folder / "seed0.safetensors"
        self.model = write_checkpoint(
            self.weights, "joint", parts, self.manifest, self.standardiser, change
        )

    def measure(
        self, name: str = "a", arm: str = "joint", params: GeometryArmStep = PARAMS
    ) -> dict[str, Path]:
        out = {key: self.folder / f"{name}.{key}" for key in ("table", "latents", "spectrum")}
        measure_geometry(
            params, arm=arm, seed=0, weights=self.weights, manifest=self.manifest,
            standardiser=self.standardiser, **out,
        )  # fmt: skip
        return out

    def values(self) -> pd.Series:
        table = read_table(self.measure()["table"])
        return table.set_index(["metric", "state"])["value"]


def test_every_trained_number_has_an_initial_one(tmp_path: Path) -> None:
    table = read_table(Study(tmp_path, JOINT, 0.1).measure()["table"])
    assert list(table.columns) == ["arm", "seed", "state", "metric", "unit", "value", "n"]
    trained = set(table[table["state"] == "trained"]["metric"])
    initial = set(table[table["state"] == "initial"]["metric"])
    counted = {name for name in trained if name.startswith("n_")}
    assert trained - initial == counted


def test_the_start_of_the_mixtures_is_drawn_from_named_streams(tmp_path: Path) -> None:
    with named_streams() as names:
        Study(tmp_path, JOINT, 0.1).measure()
    assert "0/geometry/joint/0/modes" in names


def test_untrained_weights_equal_their_null(tmp_path: Path) -> None:
    values = Study(tmp_path, JOINT, 0.0).values()
    for metric in (
        "squared_norm_decoder_mean",
        "mean_abs_cosine",
        "pca_published",
        "mixture_threshold",
    ):
        assert values[metric, "trained"] == values[metric, "initial"]


def test_squared_norms_are_those_of_the_weights(tmp_path: Path) -> None:
    study = Study(tmp_path, JOINT, 0.1)
    latents = read_table(study.measure()["latents"])
    expected = study.model.sae.W_dec.detach().double().square().sum(1).numpy()
    assert np.allclose(latents["squared_norm_decoder_trained"], expected)
    assert len(latents) == N_LATENTS


def test_the_ratios_of_each_latent_sum_to_one_in_every_state(tmp_path: Path) -> None:
    latents = read_table(Study(tmp_path, JOINT, 0.1).measure()["latents"])
    for state in ("trained", "initial", "decoder_trained", "permuted"):
        total = sum(
            latents[f"ratio_{part}_{state}"] for part in ("linear", "interaction", "decoder")
        )
        assert np.allclose(total, 1)


def test_firings_and_the_active_share_agree_with_k(tmp_path: Path) -> None:
    study = Study(tmp_path, JOINT, 0.1)
    out = study.measure()
    latents = read_table(out["latents"])
    active = read_table(out["table"]).set_index(["metric", "state"])["value"][
        "active_share", "trained"
    ]
    assert latents["firings"].sum() <= 4 * N_TOKENS
    assert active == pytest.approx(latents["firings"].sum() / N_TOKENS / N_LATENTS)


def test_an_arm_without_both_nfm_parts_has_no_ratios(tmp_path: Path) -> None:
    table = read_table(Study(tmp_path, ["sae", "bias"], 0.1).measure()["table"])
    assert not table["metric"].str.startswith("ratio_").any()
    assert "squared_norm_decoder_mean" in set(table["metric"])


def test_an_interaction_whose_hidden_units_are_all_dead_has_live_share_zero(tmp_path: Path) -> None:
    study = Study(tmp_path, JOINT, 0.1)
    weights, record = load_tensors(study.weights)
    weights["interaction.b_hidden"] -= 1e6
    save_tensors(study.weights, weights, record)
    values = study.values()
    assert values["interaction_live_units", "trained"] == 0
    assert values["interaction_live_units", "initial"] > 0
    assert values["mean_output_share_interaction", "trained"] == 0
    assert values["mean_output_share_linear", "trained"] == 1


def test_permuted_norms_belong_to_other_latents(tmp_path: Path) -> None:
    latents = read_table(Study(tmp_path, JOINT, 0.1).measure()["latents"])
    trained, permuted = (latents[f"ratio_interaction_{state}"] for state in ("trained", "permuted"))
    assert not np.allclose(trained, permuted)
    assert latents["ratio_decoder_permuted"].between(0, 1).all()


def test_functional_shares_sum_to_one_and_differ_from_norm_ratios(tmp_path: Path) -> None:
    values = Study(tmp_path, JOINT, 0.1).values()
    parts = ("decoder", "linear", "interaction")
    shares = [values[f"functional_share_{part}", "trained"] for part in parts]
    assert sum(shares) == pytest.approx(1)
    assert values["functional_share_total", "trained"] == pytest.approx(shares[1] + shares[2])
    assert values["ratio_interaction_mean", "trained"] != pytest.approx(shares[2], abs=0.01)


def test_a_latent_without_firings_contributes_nothing(tmp_path: Path) -> None:
    latents = read_table(Study(tmp_path, JOINT, 0.1).measure()["latents"])
    silent = latents[latents["firings"] == 0]
    growth = [column for column in latents if column.startswith("fvu_growth_")]
    assert len(growth) == 3
    assert (silent[growth] == 0).all(axis=None)
    assert (latents[growth] != 0).any(axis=None)


def test_only_drawn_latents_have_an_interaction_growth(tmp_path: Path) -> None:
    few = PARAMS.changed(functional_latents=10)
    latents = read_table(Study(tmp_path, JOINT, 0.1).measure(params=few)["latents"])
    assert latents["fvu_growth_interaction"].notna().sum() == 10
    assert latents["fvu_growth_decoder"].notna().all()


def test_the_table_has_every_null(tmp_path: Path) -> None:
    values = Study(tmp_path, JOINT, 0.1).values()
    for name, state in (
        ("ratio_total_spearman", "permuted"), ("ratio_total_gap", "decoder_trained"),
        ("functional_share_interaction_spearman", "permuted"), ("norm_dip_p", "initial"),
        ("top_jaccard", "random"), ("mean_abs_cosine", "random"),
        ("pca_above_edge", "marchenko_pastur"), ("factor_gini_max", "initial"),
    ):  # fmt: skip
        assert np.isfinite(values[name, state]), (name, state)
    assert values["pca_above_edge", "marchenko_pastur"] == 0


def test_the_spectrum_table_has_a_random_matrix(tmp_path: Path) -> None:
    spectrum = read_table(Study(tmp_path, JOINT, 0.1).measure()["spectrum"])
    assert set(spectrum["state"]) == {"trained", "initial", "random", "marchenko_pastur"}
    assert (spectrum.groupby(["state", "centred"])["share"].count() == D_MODEL).all()


def test_a_checkpoint_of_another_arm_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMismatchError, match="arm"):
        Study(tmp_path, JOINT, 0.1).measure(arm="sae")


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    study = Study(tmp_path, JOINT, 0.1)
    first, second = study.measure("a"), study.measure("b")
    assert all(first[key].read_bytes() == second[key].read_bytes() for key in first)


def test_the_summary_holds_every_row_of_every_arm(tmp_path: Path) -> None:
    table = Study(tmp_path, JOINT, 0.1).measure()["table"]
    summarise_geometry(documents=[table], summary=tmp_path / "s.parquet", table=tmp_path / "s.csv")
    assert len(read_table(tmp_path / "s.parquet")) == len(read_table(table))
    assert len(read_csv(tmp_path / "s.csv", SUMMARY)) == len(read_table(table))
