"""The audit: each switch changes exactly one thing, and its numbers agree with hand calculation."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from fidelity.small_chapter import ALL_PARTS, Chapter, extracted, make_perfect, make_poor
from scipy import stats

from fispace.chapters.fidelity.audit import HookedSplit, measure_audit, own_units, planned
from fispace.errors import ArtifactMismatchError
from fispace.lm.hooks import following_block
from fispace.lm.load import load_lm
from fispace.models.sparse import sparse_sum
from fispace.models.trained import load_trained, with_pooling
from fispace.report.audit import Compared, audit_table, document_t, token_t
from fispace.store.activations import ActivationStore
from fispace.store.standardiser import load_standardiser, own_standardiser, standardised_alone
from fispace.store.tables import read_table
from fispace.study.config.fidelity import FidelityAuditStep

FULL = "+".join(ALL_PARTS)
NORMS = {0: (-0.5, -0.9), 1: (-0.6, -0.9)}


@pytest.fixture(scope="module")
def chapter(lm_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Chapter:
    return extracted(tmp_path_factory.mktemp("audit"), lm_folders["llama"])


@pytest.fixture(scope="module")
def models(chapter: Chapter) -> dict[str, Path]:
    return {
        "joint": chapter.save_model("joint", ALL_PARTS, make_poor),
        "sae_bias": chapter.save_model("sae_bias", ["sae", "bias"], make_perfect),
    }


def audited(
    chapter: Chapter, models: dict[str, Path], hook_point: int = 1, switches: dict | None = None
) -> pd.DataFrame:
    out = chapter.folder / "audit.parquet"
    params = FidelityAuditStep(
        lm=chapter.lm.changed(hook_point=hook_point), batch_windows=16, threads=1, device="cpu"
    )
    audit = {
        "arm": "joint",
        "baseline": "sae_bias",
        "switches": switches or {"same_again": {"adam_eps": 1e-8}},
    }
    measure_audit(
        params, audit=json.dumps(audit), seed=0,
        arm_weights=models["joint"], arm_switched=[models["joint"]],
        baseline_weights=models["sae_bias"], baseline_switched=[models["sae_bias"]],
        documents=out, **chapter.inputs,
    )  # fmt: skip
    return read_table(out)


@pytest.fixture(scope="module")
def rows(chapter: Chapter, models: dict[str, Path]) -> pd.DataFrame:
    return audited(chapter, models)


def sums(rows: pd.DataFrame, switch: str, arm: str, parts: str) -> pd.Series:
    chosen = (rows["switch"] == switch) & (rows["arm"] == arm) & (rows["parts"] == parts)
    return rows[chosen].select_dtypes("number").sum()


def test_without_a_switch_the_audit_agrees_with_the_chapter(chapter, models, rows):
    tables = chapter.measure("joint", models["joint"], matched_errors=("epsilon_random",))
    own = read_table(tables["documents"])
    for parts in (FULL, "sae"):
        chosen = (own["parts"] == parts) & (own["condition"] == "reconstruction")
        theirs = own[chosen & (own["special_tokens"] == "masked") & (own["split"] == "test")]
        ours = sums(rows, "fair", "joint", parts)
        for name in ("error", "n_dimensions", "kl", "n_tokens"):
            assert ours[name] == pytest.approx(theirs[name].sum(), rel=1e-8)


def test_an_unchanged_training_has_no_shift(rows):
    table = audit_table(rows, NORMS, Compared("joint", "sae_bias"), 0.95).set_index("switch")
    moved = table.loc["same_again"].set_index("number")["shift"]
    assert moved["kl_gain"] == 0
    assert np.isnan(
        moved["mse_gain"]
    )  # the baseline here is perfect, so no gain over it is defined


def test_weights_that_were_not_trained_under_their_switch_are_refused(chapter, models):
    with pytest.raises(
        ArtifactMismatchError, match=r"joint.*lr_decay_fraction.*in the order of.*rule train_arm\."
    ):
        audited(chapter, models, switches={"early_decay": {"lr_decay_fraction": 0.01}})


def test_every_switch_of_measuring_is_planned_at_its_hook_point_and_split(chapter, models):
    units = load_standardiser(chapter.inputs["standardiser"])
    trained = {(name, "fair"): load_trained(path, {}) for name, path in models.items()}
    plan = planned(trained, units, HookedSplit(1, "test"), 2)
    where = {m.switch: place for place, measurements in plan.items() for m in measurements}
    assert where["hook_off_by_one"] == HookedSplit(2, "test")
    assert where["train_split"] == HookedSplit(1, "train")
    assert {where[name] for name in ("fair", "no_standardiser", "linear_pooling")} == {
        HookedSplit(1, "test")
    }
    raw = [m.units for m in plan[HookedSplit(1, "test")] if m.switch == "no_standardiser"]
    x = torch.randn(3, 16)
    assert all(torch.equal(of.standardise(x), x) for of in raw)
    assert "hook_off_by_one" not in {
        m.switch
        for of in planned(trained, units, HookedSplit(1, "test"), None).values()
        for m in of
    }


def test_own_units_are_those_of_the_row_group_for_every_batch_size(chapter):
    store = ActivationStore(chapter.inputs["manifest"])
    units = own_units(store, "test")
    groups = [torch.from_numpy(group) for group in store.groups("test")]
    assert len(units.mean) == store.n_tokens("test") == sum(map(len, groups))
    z = units.standardise(torch.cat(groups))
    first = z[: len(groups[0])]
    torch.testing.assert_close(first.mean(0), torch.zeros(16), atol=1e-5, rtol=0)
    torch.testing.assert_close(first.std(0, correction=0), torch.ones(16), atol=1e-4, rtol=0)
    assert len(groups) > 1
    assert not torch.equal(units.mean[0], units.mean[-1])


def test_a_perfect_model_keeps_predictions_under_every_switch_of_measuring(rows):
    kl = {
        switch: sums(rows, switch, "sae_bias", "sae+bias")["kl"]
        / sums(rows, switch, "sae_bias", "sae+bias")["n_tokens"]
        for switch in ("fair", "no_standardiser", "train_split", "hook_off_by_one")
    }
    # it reconstructs every vector exactly, also raw ones, up to float32 rounding
    assert max(kl.values()) < 1e-6


@pytest.mark.parametrize("switch", ["hook_off_by_one", "no_standardiser", "linear_pooling"])
def test_every_switch_of_measuring_changes_the_kl_of_a_poor_model(rows, switch):
    fair, switched = (sums(rows, name, "joint", FULL) for name in ("fair", switch))
    assert switched["n_tokens"] == fair["n_tokens"]
    assert abs(switched["kl"] / fair["kl"] - 1) > 0.005


def test_the_train_split_is_measured_on_other_documents_and_about_as_many_tokens(rows):
    fair, switched = (rows[rows["switch"] == name] for name in ("fair", "train_split"))
    assert not set(fair["document_id"]) & set(switched["document_id"])
    assert set(switched["split"]) == {"train"}
    counts = [sums(rows, name, "joint", FULL)["n_tokens"] for name in ("fair", "train_split")]
    assert 0 < counts[1] <= counts[0] + 16 * 20  # at most one batch of windows more


def test_only_the_arm_with_an_interaction_is_pooled_linearly(rows):
    assert set(rows[rows["switch"] == "linear_pooling"]["arm"]) == {"joint"}


def test_the_linear_pooling_is_the_sum_of_single_factors(models):
    trained = load_trained(models["joint"], {})
    pooled = with_pooling(trained, "sum")
    codes = trained.model.sae.encode(torch.randn(7, 16, generator=torch.Generator().manual_seed(1)))
    expected = sparse_sum(codes, trained.model.interaction.V)
    torch.testing.assert_close(pooled.interaction.pool(codes), expected)
    for name, weight in trained.model.state_dict().items():
        assert torch.equal(pooled.state_dict()[name], weight)


def test_the_block_after_the_last_one_is_none(chapter):
    lm, _ = load_lm(chapter.lm, None)
    depth = lm.config.num_hidden_layers
    assert [following_block(lm, i) for i in range(depth)] == [*range(1, depth), None]
    assert following_block(lm, "model.layers.0") == 1
    assert following_block(lm, "model.layers.0.mlp") is None


def test_tokens_by_their_own_moments_have_mean_zero_and_deviation_one(chapter):
    stream = np.random.default_rng(3)
    rows = (stream.normal(size=(50, 4)) * [1, 5, 0.1, 0] + [0, 9, 0, 2]).astype(np.float32)
    alone = standardised_alone(rows)
    np.testing.assert_allclose(alone.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(alone.std(0), [1, 1, 1, 0], atol=1e-5)
    units = own_standardiser(torch.from_numpy(rows))
    np.testing.assert_allclose(units.restore(torch.from_numpy(alone)).numpy(), rows, atol=1e-5)
    assert standardised_alone(rows[:0]).shape == (0, 4)
    assert load_standardiser(chapter.inputs["standardiser"]).mean.shape == (16,)


def sums_of(kl: dict[tuple[str, str, str], list[float]], error: float = 1.0) -> pd.DataFrame:
    """Two documents of two tokens each; `kl` of the four tokens by switch, arm and parts."""
    found = []
    for (switch, arm, parts), tokens in kl.items():
        for document in (0, 1):
            of = np.array(tokens[2 * document : 2 * document + 2])
            found.append({
                "switch": switch, "arm": arm, "parts": parts, "document_id": document, "seed": 0,
                "error": error * of.sum(), "n_dimensions": 4.0, "n_tokens": 2.0,
                "kl": of.sum(), "kl_squares": (of**2).sum(),
            })  # fmt: skip
    return pd.DataFrame(found)


PLAIN = {
    ("fair", "joint", "sae+linear"): [1.0, 2.0, 3.0, 2.0],
    ("fair", "joint", "sae"): [10.0, 30.0, 20.0, 20.0],
    ("fair", "sae_bias", "sae+bias"): [2.0, 3.0, 3.0, 2.0],
}


def test_gains_shift_and_ablated_baseline_by_hand():
    base = {("worse", "sae_bias", "sae+bias"): PLAIN["fair", "sae_bias", "sae+bias"]}
    rows = sums_of(PLAIN | base | {("worse", "joint", "sae+linear"): [4.0, 4.0, 4.0, 3.0]})
    both = pd.concat([rows, rows.assign(seed=1)])
    table = audit_table(
        both, {0: (-0.5, -0.9), 1: (-0.6, -0.9)}, Compared("joint", "sae_bias"), 0.9
    )
    found = table.set_index(["switch", "number"])
    assert found.loc[("worse", "kl_gain"), "fair"] == pytest.approx(1 - 8 / 10)
    assert found.loc[("worse", "kl_gain"), "switched"] == pytest.approx(1 - 15 / 10)
    assert found.loc[("worse", "kl_gain"), "shift"] == pytest.approx(-0.7)
    assert found.loc[("ablated_baseline", "mse_gain"), "switched"] == pytest.approx(1 - 8 / 80)
    assert found.loc[("untrained_norms", "norm_spearman"), "shift"] == pytest.approx(-0.35)
    assert set(found["n_seeds"]) == {2}
    assert set(found.drop("untrained_norms")["n_documents"]) == {2}
    assert found["n_documents"].isna().sum() == 1  # norms do not depend on documents
    assert list(table["switch"].drop_duplicates())[-1] == "worse"  # switches of training come last


def test_the_shift_is_paired_by_seed():
    base = {("worse", "sae_bias", "sae+bias"): PLAIN["fair", "sae_bias", "sae+bias"]}
    rows = sums_of(PLAIN | base | {("worse", "joint", "sae+linear"): [2.0, 2.0, 3.0, 2.0]})
    other = sums_of(
        {key: [3 * x for x in kl] if key[1] == "joint" else kl for key, kl in PLAIN.items()}
    )
    worse = sums_of(base | {("worse", "joint", "sae+linear"): [6.0, 6.0, 9.0, 6.0 - 2.0]})
    table = audit_table(
        pd.concat([rows, pd.concat([other, worse]).assign(seed=1)]), NORMS, Compared("joint", "sae_bias"), 0.95
    )  # fmt: skip
    row = table[(table["switch"] == "worse") & (table["number"] == "kl_gain")].iloc[0]
    # the gain differs by 1.6 between the seeds, its shift not at all
    assert row["fair_high"] - row["fair_low"] > 1
    assert (row["shift_low"], row["shift_high"]) == pytest.approx((-0.1, -0.1))


def test_both_t_statistics_equal_scipys_on_the_tokens():
    stream = np.random.default_rng(0)
    ours, theirs = stream.random((2, 6, 9))
    theirs = theirs + 0.1

    def rows(tokens: np.ndarray) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "kl": tokens.sum(1),
                "kl_squares": (tokens**2).sum(1),
                "n_tokens": float(tokens.shape[1]),
            }
        )

    by_token = stats.ttest_ind(theirs.ravel(), ours.ravel()).statistic
    assert token_t(rows(ours), rows(theirs)) == pytest.approx(by_token)
    by_document = stats.ttest_rel(theirs.mean(1), ours.mean(1)).statistic
    assert document_t(rows(ours), rows(theirs)) == pytest.approx(by_document)


def test_tokens_that_repeat_within_a_document_inflate_the_published_t_alone():
    documents = np.array([[0.1], [0.5], [0.2], [0.4]])
    better = documents - 0.05

    def rows(tokens: np.ndarray, n: int) -> pd.DataFrame:
        many = tokens.repeat(n, axis=1)
        return pd.DataFrame(
            {"kl": many.sum(1), "kl_squares": (many**2).sum(1), "n_tokens": float(n)}
        )

    token = [token_t(rows(better, n), rows(documents, n)) for n in (10, 1000)]
    assert token[1] > 9 * token[0]
    noisy = documents + np.array([[0.01], [-0.01], [0.02], [0.0]])
    document = [document_t(rows(better, n), rows(noisy, n)) for n in (10, 1000)]
    assert document[0] == pytest.approx(document[1])


def test_wrong_hook_and_raw_activations_do_not_apply_to_the_papers_reconstruction_errors():
    of = {(name, "joint", "sae+linear"): [4.0, 4.0, 4.0, 3.0] for name in ("hook_off_by_one", "x")}
    of |= {("hook_off_by_one", "sae_bias", "sae+bias"): [4.0, 4.0, 4.0, 4.0]}
    of |= {("x", "sae_bias", "sae+bias"): [4.0, 4.0, 4.0, 4.0]}
    rows = sums_of(PLAIN | of)
    table = audit_table(
        pd.concat([rows, rows.assign(seed=1)]), NORMS, Compared("joint", "sae_bias"), 0.9
    )
    numbers = table.groupby("switch")["number"].agg(set)
    assert numbers["hook_off_by_one"] == {"kl_gain"}
    assert numbers["x"] == {"mse_gain", "kl_gain"}
