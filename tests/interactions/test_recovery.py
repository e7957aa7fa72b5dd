"""Recovery in simulated worlds: what counts as found, and the table over worlds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fispace.chapters.interactions.recovery import (
    measure_recovery,
    nearest_features,
    summarise_recovery,
)
from fispace.chapters.interactions.tables import RECOVERY
from fispace.store.tables import read_csv, read_table, write_table
from fispace.study.commands import find_command
from fispace.study.config.interactions import (
    InteractionsRecoveryStep,
    InteractionsRecoverySummaryStep,
)
from fispace.study.params import load_study, slice_of

ROOT = Path(__file__).parents[2]


def test_a_latent_stands_for_the_feature_whose_code_correlates_most_with_its_own():
    stream = np.random.default_rng(0)
    features = stream.random((500, 4)).astype(np.float32)
    codes = np.stack([3 * features[:, 2], features[:, 0] + 0.2 * features[:, 1], features[:, 3]], 1)
    assert nearest_features(features, codes).tolist() == [2, 0, 3]


def test_planted_pairs_are_found_by_a_learned_sae_and_all_claims_are_counted(tmp_path):
    study = load_study(ROOT)
    values = slice_of(study, find_command("interactions", "recovery"))
    world = values["planted"]["world"] | {"n_pairs": 3, "firing": 0.1, "n_features": 32}
    training = values["planted"]["training"] | {"n_latents": 48, "n_steps": 600}
    values["planted"] |= {
        "world": world, "training": training, "n_tokens": 40_000, "n_heldout_tokens": 500,
    }  # fmt: skip
    params = InteractionsRecoveryStep.read(values, "")
    measure_recovery(params, world=3, shares=[0.0, 0.2, 0.6], metrics=tmp_path / "m.parquet")
    found = read_table(tmp_path / "m.parquet").pivot(
        index="metric", columns="share", values="value"
    )
    assert found.loc["auc_statistic", 0.2] > 0.9
    assert found.loc["found_share", 0.2] >= 0.5
    assert found.loc["auc_either", 0.2] > 0.9
    assert found.loc["conjunction_pairs", 0.0] == 0
    assert found.loc["true_conjunction_pairs", 0.6] >= 1
    assert found.loc["conjunction_pairs", 0.6] <= found.loc["true_conjunction_pairs", 0.6] + 1
    assert found.loc["false_pairs", 0.0] == found.loc["claimed_pairs", 0.0]  # none is planted
    assert found.loc["claimed_pairs", 0.2] >= 3 * found.loc["found_share", 0.2]
    for share in (0.0, 0.2, 0.6):
        assert found.loc["has_false", share] == (found.loc["false_pairs", share] > 0)
    assert found.loc["fvu_refit"].max() < found.loc["fvu_encoder"].min()
    assert np.isnan(found.loc["found_share", 0.0])


def test_the_table_has_mean_and_t_interval_over_the_worlds_that_have_the_metric(tmp_path):
    paths = []
    for world, value in ((0, 0.2), (1, 0.6), (2, float("nan"))):
        rows = [{"world": world, "share": 0.1, "metric": "found_share", "value": value}]
        paths.append(tmp_path / f"{world}.parquet")
        write_table(paths[-1], pd.DataFrame(rows), {})
    step = InteractionsRecoverySummaryStep(confidence=0.95)
    summarise_recovery(step, metrics=paths, table=tmp_path / "table.csv")
    (row,) = read_csv(tmp_path / "table.csv", RECOVERY).to_dict("records")
    assert (row["share"], row["metric"], row["n"]) == (0.1, "found_share", 2)
    assert row["mean"] == pytest.approx(0.4)
    assert row["high"] - row["mean"] == pytest.approx(12.706204736 * 0.2828427 / 2**0.5, rel=1e-5)
