"""History of latents of low norm, by hand and against the null."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fispace.chapters.geometry.history import history_rows, last_part, summarise_history
from fispace.chapters.geometry.tables import HISTORY
from fispace.errors import ArtifactError
from fispace.seeds import numpy_stream
from fispace.store.tables import read_csv, read_table, write_table
from fispace.study.config.geometry import GeometryHistoryStep

PARAMS = GeometryHistoryStep(group_threshold=0.5, root_seed=0)
THRESHOLD = PARAMS.group_threshold


def snapshot(step: int, norms: list[float], firings: list[int]) -> pd.DataFrame:
    """Latents after the given number of steps of ten tokens; all began at squared norm 0.1."""
    n = len(norms)
    columns = {"step": step, "n_tokens": 10 * step, "latent": np.arange(n), "firings": firings}
    norms_then = {"squared_norm_initial": [0.1] * n, "squared_norm": norms}
    return pd.DataFrame(columns | norms_then)


def history() -> pd.DataFrame:
    """History of two low latents, one of them silent at the end, and of two high ones."""
    return pd.concat(
        [
            snapshot(4, [0.1, 0.2, 1.0, 2.0], [0, 4, 9, 9]),
            snapshot(6, [0.1, 0.2, 1.0, 2.0], [1, 8, 20, 20]),
            snapshot(8, [0.1, 0.3, 1.1, 2.4], [1, 12, 30, 35]),
        ]
    )


def values(table: pd.DataFrame, state: str = "trained") -> dict[str, float]:
    rows = history_rows(last_part(table), THRESHOLD, numpy_stream(0, "tests"))
    return {row.metric: row.value for row in rows if row.state == state}


def test_the_last_part_starts_at_the_last_snapshot_but_one() -> None:
    part = last_part(history().sample(frac=1, random_state=1))  # rows in any order
    assert part.before.tolist() == [0.1, 0.2, 1.0, 2.0]
    assert part.change.tolist() == pytest.approx([0.0, 0.5, 0.1, 0.2])
    assert part.growth.tolist() == pytest.approx([1, 3, 11, 24])
    assert part.firings.tolist() == [0, 4, 10, 15]
    assert part.share == pytest.approx(0.25)


def test_the_last_part_of_a_training_with_one_snapshot_is_all_of_it() -> None:
    part = last_part(snapshot(6, [0.1, 0.2], [0, 4]))
    assert part.before.tolist() == [0.1, 0.1]
    assert part.change.tolist() == pytest.approx([0, 1])
    assert part.firings.tolist() == [0, 4]
    assert part.share == 1


def test_each_group_has_its_geometric_means_by_hand() -> None:
    found = values(history())
    low, high = (1 * 1.5) ** 0.5 - 1, (1.1 * 1.2) ** 0.5 - 1
    assert found["late_norm_change_low"] == pytest.approx(low)
    assert found["late_norm_change_high"] == pytest.approx(high)
    assert found["late_norm_change_gap"] == pytest.approx(low - high)
    assert found["late_silent_share_low"] == 0.5
    assert found["late_silent_share_high"] == 0
    assert found["norm_over_initial_low"] == pytest.approx((1 * 3) ** 0.5)
    assert found["norm_over_initial_high"] == pytest.approx((11 * 24) ** 0.5)


def test_a_low_latent_is_in_reach_if_its_rate_of_growth_takes_it_over_the_threshold() -> None:
    # in the last quarter 0.2 became 0.3, so it would be 0.7 after as many tokens again
    assert values(history())["low_in_reach_share"] == 0.5
    slower = history().replace({"squared_norm": {0.3: 0.26}})  # 0.26 + 4 * 0.06 = 0.5
    slowest = history().replace({"squared_norm": {0.3: 0.25}})
    assert values(slower)["low_in_reach_share"] == 0.5
    assert values(slowest)["low_in_reach_share"] == 0


def test_latents_are_grouped_by_their_norm_before_the_change() -> None:
    risen = history().replace({"squared_norm": {0.3: 0.9}})
    assert values(risen)["late_norm_change_low"] == pytest.approx(4.5**0.5 - 1)


def many(of_low: float, n: int = 400) -> pd.DataFrame:
    """Half of the latents are low; norms of low ones grow by `of_low`, of high ones by a tenth."""
    stream = numpy_stream(0, "tests", "many")
    before = np.where(np.arange(n) % 2, 1.0, 0.1) * np.exp(0.1 * stream.standard_normal(n))
    growth = np.where(np.arange(n) % 2, 1.1, 1 + of_low) * np.exp(0.01 * stream.standard_normal(n))
    first = snapshot(4, before.tolist(), [10] * n)
    return pd.concat([first, snapshot(8, (before * growth).tolist(), [20] * n)])


def test_both_thresholds_find_low_latents_that_are_still_being_learned_and_the_null_does_not() -> (
    None
):
    for suffix in ("", "_mixture"):
        name = f"late_norm_change_gap{suffix}"
        assert values(many(0.5))[name] == pytest.approx(0.4, abs=0.01)
        assert abs(values(many(0.1))[name]) < 0.01
        assert abs(values(many(0.5), "permuted")[name]) < 0.06


def test_an_empty_group_has_no_numbers() -> None:
    high = pd.concat([snapshot(4, [1.0, 2.0], [1, 1]), snapshot(8, [1.1, 2.1], [2, 3])])
    found = values(high)
    assert np.isnan(found["late_norm_change_low"])
    assert np.isnan(found["low_in_reach_share"])
    assert found["late_norm_change_high"] == pytest.approx((1.1 * 1.05) ** 0.5 - 1)


def test_the_step_writes_every_arm_and_seed_from_their_histories(tmp_path: Path) -> None:
    paths = []
    for arm, seed in (("joint", 1), ("sae", 0), ("joint", 0)):
        paths.append(tmp_path / f"{arm}{seed}.parquet")
        write_table(paths[-1], history(), {"step": "train", "arm": arm, "seed": seed})
    out = {"summary": tmp_path / "history.parquet", "table": tmp_path / "history.csv"}
    summarise_history(PARAMS, histories=paths, **out)
    table = read_csv(out["table"], HISTORY)
    assert set(zip(table["arm"], table["seed"], strict=True)) == {
        ("joint", 0),
        ("joint", 1),
        ("sae", 0),
    }
    row = table[(table["metric"] == "late_norm_change_low") & (table["state"] == "trained")]
    assert row["value"].tolist() == pytest.approx([1.5**0.5 - 1] * 3)
    assert row["n"].tolist() == [2] * 3
    pd.testing.assert_frame_equal(read_table(out["summary"]), table, check_dtype=False)


def test_a_history_that_is_missing_is_named(tmp_path: Path) -> None:
    out = {"summary": tmp_path / "history.parquet", "table": tmp_path / "history.csv"}
    with pytest.raises(ArtifactError, match=r"none\.parquet"):
        summarise_history(PARAMS, histories=[tmp_path / "none.parquet"], **out)
    assert not list(tmp_path.iterdir())
