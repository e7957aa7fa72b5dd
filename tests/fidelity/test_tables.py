"""Tables computed from sums whose results are known by hand."""

import numpy as np
import pandas as pd
import pytest

from fispace.chapters.fidelity.differences import difference_table
from fispace.chapters.fidelity.document_sums import (
    Resampled,
    metric_samples,
    resampled,
    with_references,
)
from fispace.chapters.fidelity.positions import position_table
from fispace.chapters.fidelity.summary import fidelity_table
from fispace.stats.bootstrap import document_weights, interval_of, ratio_samples

SIZES = [10.0, 30.0]  # tokens of the two documents


def row(condition, ce, arm="joint", parts="sae", kl=None, special="masked", tokens=SIZES):
    """Two documents of one condition; CE and KL per token."""
    return pd.DataFrame(
        {
            "arm": arm, "parts": parts, "seed": 0, "split": "test", "special_tokens": special,
            "condition": condition, "document_id": [3, 8], "n_tokens": tokens, "n_next": tokens,
            "ce": np.multiply(ce, tokens), "kl": np.multiply(np.nan if kl is None else kl, tokens),
        }
    )  # fmt: skip


def bounds(zero, mean, original):
    values = {"original": original, "zero_ablation": zero, "mean_ablation": mean}
    return pd.concat([row(name, ce, arm="", parts="") for name, ce in values.items()])


def rows_of(*frames, zero=(6, 6), mean=(5, 5), original=(2, 3)):
    nan = dict.fromkeys(
        ["error", "deviation", "error_raw", "deviation_raw", "n_dimensions", "l0"], np.nan
    )
    return with_references(pd.concat(frames), bounds(zero, mean, original)).assign(**nan)


def sample(rows, metric, condition="reconstruction"):
    chosen = rows[(rows["condition"] == condition) & (rows["arm"] != "")]
    return metric_samples(chosen.set_index("document_id"), metric, np.ones((1, 2)))


def test_ce_recovered_by_hand():
    # originals 2 and 3 on 10 and 30 tokens: 2.75; reconstruction 3.5; zero 6, mean 5
    rows = rows_of(row("reconstruction", (3.5, 3.5)))
    assert sample(rows, "excess_ce")[0] == pytest.approx(0.75)
    assert sample(rows, "ce_recovered_zero")[0] == pytest.approx((6 - 3.5) / (6 - 2.75))
    assert sample(rows, "ce_recovered_mean")[0] == pytest.approx((5 - 3.5) / (5 - 2.75))


def test_a_loss_above_the_ablations_recovers_a_negative_share():
    assert sample(rows_of(row("reconstruction", (9, 9))), "ce_recovered_zero")[0] < 0


@pytest.mark.parametrize("zero", [(2, 3), (1, 1)])
def test_ce_recovered_is_undefined_where_the_ablation_costs_nothing(zero):
    rows = rows_of(row("reconstruction", (3.5, 3.5)), zero=zero)
    assert np.isnan(sample(rows, "ce_recovered_zero")[0])
    assert np.isnan(interval_of(np.array([np.nan, 1.0, 2.0]), 0.9)).all()


def test_the_original_has_no_metric_relative_to_itself():
    rows = rows_of(row("original", (2, 3), parts=""))
    for metric in ("excess_ce", "ce_recovered_zero", "ce_recovered_mean"):
        assert sample(rows, metric, "original") is None


def test_each_treatment_of_special_tokens_has_its_own_bounds():
    included = [row(c, 9, arm="", parts="", special="included") for c in
                ("original", "zero_ablation", "mean_ablation")]  # fmt: skip
    table = pd.concat([bounds(6, 5, 2), *included])
    frames = [row("reconstruction", 4), row("reconstruction", 10, special="included")]
    found = with_references(pd.concat(frames), table)
    excess = found[found["arm"] != ""].groupby("special_tokens")["excess_ce"].sum()
    assert excess.to_dict() == {"masked": 2 * 40, "included": 1 * 40}


def test_the_first_sample_is_the_sample_itself():
    weights = document_weights(3, 20, np.random.default_rng(0))
    assert weights[0].tolist() == [1, 1, 1]
    assert (weights.sum(1) == 3).all()
    assert ratio_samples(np.array([1.0, 2, 3]), np.array([2.0, 2, 2]), weights)[0] == 1


def test_a_paired_difference_has_a_narrower_interval_than_its_sides():
    # both sides vary alike over documents, so the levels are uncertain and their difference is not
    rng = np.random.default_rng(0)
    n, level = 80, rng.gamma(2, 1, 80)
    frames = []
    for condition, extra in (("reconstruction", 0.5), ("epsilon_random", 0.0)):
        kl = level + extra + 0.01 * rng.standard_normal(n)
        frames.append(
            row("x", 1).iloc[:1].drop(columns=["document_id", "kl", "condition"])
            .merge(pd.DataFrame({"document_id": range(n), "kl": kl * 10}), how="cross")
            .assign(condition=condition, n_tokens=10.0)
        )  # fmt: skip
    rows = pd.concat(frames).assign(excess_ce=np.nan, error=np.nan, deviation=1.0, n_dimensions=1.0)
    documents = resampled(rows, 400, {"test": np.random.default_rng(1)})
    table = difference_table(rows, documents, [], 0.95)
    found = table[table["contrast"] == "difference"].iloc[0]
    assert found["value"] == pytest.approx(0.5, abs=0.01)
    assert found["low"] < 0.5 < found["high"]
    side = ratio_samples(frames[0]["kl"].to_numpy(), np.full(n, 10.0), documents["test"].weights)
    level_interval = interval_of(side, 0.95)
    assert found["high"] - found["low"] < 0.1 * (level_interval.high - level_interval.low)
    assert found["n_documents"] == n


def test_a_ratio_to_a_loss_that_is_not_positive_is_undefined():
    frames = [row("reconstruction", 4, kl=1), row("epsilon_random", (1, 2), kl=0)]
    rows = rows_of(*frames, original=(2, 3))
    table = difference_table(rows, resampled(rows, 5, {"test": np.random.default_rng(0)}), [], 0.9)
    ratios = table[table["contrast"] == "ratio"].set_index("metric")["value"]
    assert ratios.isna().all()
    assert set(ratios.index) == {"kl", "excess_ce"}


def test_dead_latents_of_the_split_and_of_a_window_by_hand():
    fired = pd.DataFrame(
        {
            "arm": "joint", "seed": 0, "split": "test", "latent": range(4), "n_fired": [9, 1, 0, 2],
            "n_windows_fired": [4, 1, 0, 2], "n_windows": 4,
        }
    )  # fmt: skip
    rows = rows_of(row("original", (2, 3), parts=""), row("reconstruction", 4))
    documents = resampled(rows, 5, {"test": np.random.default_rng(0)})
    table = fidelity_table(rows, fired, documents, 0.9).set_index("metric")["value"]
    assert table["dead_fraction"] == 0.25
    assert table["dead_fraction_window"] == pytest.approx(1 - (1 + 0.25 + 0 + 0.5) / 4)
    # a split shorter than a window is one window: what never fires in it is dead in it
    split = fired.assign(n_windows_fired=[1, 1, 0, 1], n_windows=1)
    one = fidelity_table(rows, split, documents, 0.9).set_index("metric")["value"]
    assert one["dead_fraction_window"] == one["dead_fraction"] == 0.25


def test_a_position_curve_by_hand():
    # document 3 has two windows: its positions add up; document 8 ends after position 1
    place = [(3, 1, 0.2, 2), (3, 2, 0.6, 2), (8, 1, 0.5, 1)]
    rows = pd.DataFrame(place, columns=["document_id", "position", "kl", "n_tokens"]).assign(
        arm="joint", seed=0, split="test", special_tokens="masked", condition="reconstruction",
        excess_ce=0.0, n_next=[2, 0, 1],
    )  # fmt: skip
    weights = np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]])
    table = position_table(rows, {"test": Resampled(np.array([3, 8]), weights)}, 0.9)
    kl = table[table["metric"] == "kl"].set_index("position")
    assert kl["value"].tolist() == pytest.approx([0.7 / 3, 0.3])
    assert kl["n_documents"].tolist() == [2, 1]
    assert kl["n_tokens"].tolist() == [3, 2]
    assert np.isnan(kl.loc[2, "low"])  # a resample holds no document of this length
    assert table[table["metric"] == "excess_ce"]["position"].tolist() == [
        1
    ]  # the last token has no next one
