"""Products of known size in activations: the test finds large ones, and measures their size."""

import numpy as np
import pandas as pd
import pytest
from interactions.planted_study import N_FEATURES, PARAMS, write_sae, write_store

from fispace.chapters.interactions.power import detectable_share, measure_power
from fispace.chapters.interactions.tables import POWER
from fispace.errors import ArtifactError, ParamsError
from fispace.store.tables import read_csv, read_table
from fispace.study.config.interactions import InteractionsPowerStep, SpikeConfig

SPIKE = {"seed": 0, "donor_seed": 1, "n_pairs": 2, "shares": [0.00001, 0.003, 0.02], "power": 0.8}
STEP = InteractionsPowerStep.read(
    PARAMS.plain() | {"match_cosine": 0.7, "spike": SPIKE, "confidence": 0.95, "root_seed": 0}, ""
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    manifest, standardiser = write_store(folder, strength=0.0)
    for seed, shift in ((0, 0), (1, 5)):
        order = np.roll(np.arange(N_FEATURES), shift)
        write_sae(folder / f"{seed}.safetensors", seed, order, manifest, standardiser)
    return folder


def measure(study, folder, params=STEP):
    measure_power(
        params, weights=study / "0.safetensors", donor=study / "1.safetensors",
        manifest=study / "manifest.json", standardiser=study / "standardiser",
        pairs=folder / "power.parquet", table=folder / "power.csv",
    )  # fmt: skip


@pytest.fixture(scope="module")
def measured(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    measure(study, folder)
    return read_table(folder / "power.parquet"), read_csv(folder / "power.csv", POWER)


def test_large_products_are_found_and_tiny_ones_are_not(measured):
    _, table = measured
    power = table[table["metric"] == "power"].set_index("share")["value"]
    assert power.tolist() == [0.0, 1.0, 1.0]
    others = table[table["metric"] == "other_claims"]["value"]
    assert others.max() <= 1
    detectable = table[table["metric"] == "detectable"]["value"].item()
    assert detectable == pytest.approx(1e-5 * 300**0.8)
    assert table[table["metric"] == "power"]["low"].between(0, 1).all()


def test_the_estimated_share_of_the_residual_is_the_added_one_less_what_other_latents_absorb(
    measured,
):
    """The direction has components along other latents' rows, of which the refit and new firings take some."""
    pairs, _ = measured
    own = pairs[pairs["share"] == 0.003]["share_of_residual"]
    expected = 0.003 / (1 + SPIKE["n_pairs"] * 0.003)
    assert own.between(0.65 * expected, 1.1 * expected).all()


def test_the_smallest_share_is_interpolated_in_its_logarithm_by_hand():
    assert detectable_share([0.01, 0.1], [0.5, 1.0], 0.75) == pytest.approx(10**-1.5)
    assert detectable_share([0.01, 0.1, 1.0], [0.9, 0.2, 1.0], 0.8) == pytest.approx(10**-0.25)
    assert detectable_share([0.01, 0.1], [0.1, 0.2], 0.8) is None
    assert detectable_share([0.01, 0.1], [0.9, 1.0], 0.8) is None


def test_a_donor_of_the_tested_seed_is_refused():
    with pytest.raises(ParamsError, match=r"donor_seed=0 must be another seed than seed=0"):
        SpikeConfig.read(SPIKE | {"donor_seed": 0}, "interactions.spike")


def test_too_few_pairs_for_the_products_are_refused_and_nothing_is_written(study, tmp_path):
    many = STEP.changed(spike=SpikeConfig.read(SPIKE | {"n_pairs": 500}, ""))
    with pytest.raises(ArtifactError, match=r"interactions\.spike\.n_pairs"):
        measure(study, tmp_path, many)
    assert list(tmp_path.iterdir()) == []


def test_pairs_of_a_share_are_distinct(measured):
    pairs, _ = measured
    for _, own in pairs.groupby("share"):
        ends = pd.concat([own["first"], own["second"]])
        assert ends.is_unique
