"""The generator has the moments of its formulas, and the commands run end to end."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fispace.chapters.testbed.planted import measure_world
from fispace.chapters.testbed.planted_arms import train_arms
from fispace.chapters.testbed.planted_summary import summarise_worlds
from fispace.chapters.testbed.tables import PLANTED_PAIRS
from fispace.errors import ParamsError
from fispace.seeds import named_streams, numpy_stream
from fispace.stats.metrics import FvuSums
from fispace.stats.recovery import beyond_linear
from fispace.store.tables import read_csv, read_table
from fispace.study.config.planted import PlantedConfig, PlantedStep, PlantedSummaryStep, WorldConfig
from fispace.study.params import load_study
from fispace.testbed.planted import draw, feature_variance, plant, strength_of

ROOT = Path(__file__).parents[2]
CONFIG = WorldConfig.read({
    "d_model": 12, "n_features": 10, "n_pairs": 8, "firing": 0.2, "noise": 0.1,
    "amplitude": {"low": 0.5, "high": 1.5},
}, "world")  # fmt: skip
TOKENS = 200_000


def stream(name: str = "tokens") -> np.random.Generator:
    return numpy_stream(0, name)


def test_a_feature_has_the_variance_of_the_formula() -> None:
    features = draw(plant(CONFIG, 0.3, 0, 0), TOKENS, stream()).features
    assert features.var(0) == pytest.approx(feature_variance(CONFIG), rel=0.03)
    assert (features > 0).mean() == pytest.approx(0.2, abs=0.002)
    active = features[features > 0]
    assert active.min() >= 0.5 and active.max() <= 1.5
    assert active.mean() == pytest.approx(1.0, abs=0.003)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.8])
def test_pairs_have_their_share_of_the_variance_left_after_regression_on_the_features(
    share: float,
) -> None:
    sample = draw(plant(CONFIG, share, 0, 0), TOKENS, stream())
    left = beyond_linear(sample.features, sample.x)
    planted = beyond_linear(sample.features, sample.interaction)
    energy = np.square(planted).sum()
    assert energy / np.square(left).sum() == pytest.approx(share, rel=0.05)
    v = feature_variance(CONFIG)
    expected = strength_of(CONFIG, share) ** 2 * CONFIG.n_pairs * v * v
    assert energy / TOKENS == pytest.approx(expected, rel=0.05)


def test_the_remainder_after_both_terms_is_the_noise() -> None:
    world = plant(CONFIG, 0.5, 0, 0)
    sample = draw(world, TOKENS, stream())
    noise = sample.x - sample.features @ world.directions - sample.interaction
    assert noise.std(0) == pytest.approx(0.1, rel=0.02)


def test_a_planted_term_is_the_sum_over_its_pairs() -> None:
    world = plant(CONFIG, 0.5, 0, 0)
    sample = draw(world, 50, stream())
    expected = np.zeros_like(sample.interaction)
    for (i, j), direction in zip(world.pairs, world.pair_directions, strict=True):
        product = sample.features[:, i] * sample.features[:, j]
        expected += world.strength * product[:, None] * direction
    assert sample.interaction == pytest.approx(expected, abs=1e-6)
    assert (world.pairs[:, 0] < world.pairs[:, 1]).all()
    assert len({tuple(pair) for pair in world.pairs}) == CONFIG.n_pairs
    assert np.linalg.norm(world.pair_directions, axis=1) == pytest.approx(1)


def test_without_pairs_the_planted_term_is_zero_and_the_rest_is_unchanged() -> None:
    null, world = plant(CONFIG, 0.0, 0, 0), plant(CONFIG, 0.3, 0, 0)
    assert null.pairs.shape == (0, 2) and null.strength == 0
    without, with_pairs = draw(null, 500, stream()), draw(world, 500, stream())
    assert not without.interaction.any()
    assert np.array_equal(without.features, with_pairs.features)
    assert with_pairs.x - with_pairs.interaction == pytest.approx(without.x, abs=1e-6)


def test_worlds_differ_and_repeat() -> None:
    one, again, other = (plant(CONFIG, 0.3, 0, number) for number in (0, 0, 1))
    assert np.array_equal(one.directions, again.directions)
    assert not np.array_equal(one.directions, other.directions)
    assert not np.array_equal(one.pairs, other.pairs)


@pytest.fixture(scope="module")
def planted() -> PlantedConfig:
    """A small world in which even a short training finds pairs; sizes from the tiny study."""
    study = load_study(ROOT, [ROOT / "params/tiny.yaml"])
    config = PlantedConfig.read(study["testbed"]["planted"], "testbed.planted")
    training = config.training.changed(n_steps=300, d_embed=32)
    return config.changed(shares=(0.0, 0.8), training=training)


def write_world(planted: PlantedConfig, world: int, folder: Path) -> dict[str, Path]:
    paths = {name: folder / f"{world}.{name}.parquet" for name in ("metrics", "pairs")}
    measure_world(PlantedStep(planted=planted, root_seed=0, threads=1), world=world, **paths)
    return paths


@pytest.fixture(scope="module")
def worlds(planted: PlantedConfig, tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    folder = tmp_path_factory.mktemp("planted")
    return [write_world(planted, world, folder) for world in planted.worlds]


@pytest.fixture(scope="module")
def summary(worlds: list[dict], tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("summary")
    summarise_worlds(
        PlantedSummaryStep(alpha=0.1, confidence=0.95),
        metrics=[paths["metrics"] for paths in worlds], pairs=[paths["pairs"] for paths in worlds],
        summary=folder / "planted.csv", table=folder / "planted.parquet",
    )  # fmt: skip
    assert len(read_table(folder / "planted.parquet")) > len(
        read_csv(folder / "planted.csv", PLANTED_PAIRS)
    )
    return read_csv(folder / "planted.csv", PLANTED_PAIRS).set_index(["share", "arm", "metric"])


def test_the_oracle_finds_the_pairs_and_their_variance(summary: pd.DataFrame) -> None:
    means = summary["mean"]
    for score in ("factor", "functional"):
        assert means[0.8, "oracle", f"auc_{score}"] > 0.95
        assert means[0.8, "oracle", f"of_oracle_{score}"] == pytest.approx(1)
    assert 0.8 < means[0.8, "oracle", "captured_interaction"] < 1.2
    assert means[0.8, "oracle", "gain"] > 0.5 > abs(means[0.0, "oracle", "gain"])


def test_without_pairs_nothing_can_be_recovered_and_few_are_found(summary: pd.DataFrame) -> None:
    null = summary.loc[0.0]
    assert not [m for _, m in null.index if m.startswith(("auc", "captured", "found", "of_oracle"))]
    for arm in ("oracle", "sequential", "joint"):
        assert null["mean"][arm, "excess_null"] == 0
        assert 0 <= null["mean"][arm, "false_functional"] < 0.3


def test_an_excess_is_a_difference_of_differences(
    worlds: list[dict], summary: pd.DataFrame
) -> None:
    rows = pd.concat(read_table(paths["metrics"]) for paths in worlds)
    gains = rows[rows["metric"] == "gain"].groupby(["share", "arm"])["value"].mean()
    above = gains[:, "joint"] - gains[:, "joint_first_order"]
    assert summary["mean"][0.8, "joint", "excess"] == pytest.approx(above[0.8] - above[0.0])
    assert (0.8, "oracle", "excess") not in summary.index


def test_fvu_is_the_same_quantity_as_in_the_other_chapters(
    planted: PlantedConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected: dict[str, float] = {}

    def noted(params, number, train, heldout):
        for arm, found in train_arms(params, number, train, heldout):
            sums = FvuSums(heldout.z.shape[1])
            sums.add(heldout.z, found.z_hat)
            expected[arm] = sums.fvu
            yield arm, found

    monkeypatch.setattr("fispace.chapters.testbed.planted.train_arms", noted)
    short = planted.changed(shares=(0.0,), training=planted.training.changed(n_steps=5))
    metrics = read_table(write_world(short, 0, tmp_path)["metrics"])
    found = metrics[metrics["metric"] == "fvu"].set_index("arm")["value"]
    assert found.to_dict() == pytest.approx(expected, rel=1e-5)


def test_two_runs_write_the_same_bytes(planted: PlantedConfig, tmp_path: Path) -> None:
    short = planted.changed(training=planted.training.changed(n_steps=20, dropout=0.2))
    runs = [write_world(short, 0, tmp_path / name) for name in ("one", "other")]
    for one, other in zip(*(run.values() for run in runs), strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_every_arm_draws_its_dropout_from_a_stream_of_its_own(
    planted: PlantedConfig, tmp_path: Path
) -> None:
    short = planted.changed(training=planted.training.changed(n_steps=1, dropout=0.2))
    with named_streams() as names:
        write_world(short, 0, tmp_path)
    arms = ["oracle", "sae", "sequential", "joint", "sequential_first_order", "joint_first_order"]
    expected = {f"0/testbed/planted/0/dropout/{arm}" for arm in arms}
    assert {name for name in names if "dropout" in name} == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shares": (0.1,)}, "must hold 0"),
        ({"worlds": (1, 1)}, "a world twice"),
        ({"n_tokens": 10}, "less than one batch"),
    ],
)
def test_impossible_sizes_are_refused(planted: PlantedConfig, change: dict, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        planted.changed(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"n_latents": 23}, "n_latents=23"), ({"oracle_k": 25}, "oracle_k=25")],
)
def test_impossible_trainings_are_refused(
    planted: PlantedConfig, change: dict, message: str
) -> None:
    with pytest.raises(ParamsError, match=message):
        planted.changed(training=planted.training.changed(**change))


def test_too_many_pairs_and_reversed_amplitude_bounds_are_refused() -> None:
    with pytest.raises(ParamsError, match="n_pairs=45 must be < 45"):
        CONFIG.changed(n_pairs=45)
    with pytest.raises(ParamsError, match="low=2"):
        WorldConfig.read(CONFIG.plain() | {"amplitude": {"low": 2.0, "high": 1.0}}, "world")
