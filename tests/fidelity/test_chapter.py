"""The chapter on a tiny study: the splice law end to end, its mutants, and the tables."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from fidelity.small_chapter import (
    ALL_PARTS,
    D_MODEL,
    Chapter,
    extracted,
    make_perfect,
    make_poor,
)

from fispace.chapters.fidelity import spliced_evaluation
from fispace.chapters.fidelity.differences import compare_losses
from fispace.chapters.fidelity.positions import position_curves
from fispace.chapters.fidelity.shapley import shapley_decomposition
from fispace.chapters.fidelity.split_errors import split_errors
from fispace.chapters.fidelity.summary import summarise_fidelity
from fispace.lm import window_batches as stored
from fispace.models.trained import load_trained
from fispace.store.activations import ActivationStore
from fispace.store.standardiser import Standardiser, load_standardiser
from fispace.store.tables import read_table
from fispace.study.config.fidelity import FidelityDifferencesStep, FidelityTableStep

TABLE = FidelityTableStep(n_bootstrap=50, confidence=0.95, root_seed=0)
FULL = "+".join(ALL_PARTS)
CONTROLS = {"epsilon_random", "cosine_noise", "covariance_noise", "shuffled_error"}


@pytest.fixture(scope="module")
def chapter(lm_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Chapter:
    return extracted(tmp_path_factory.mktemp("fidelity"), lm_folders["llama"])


@pytest.fixture(scope="module")
def perfect(chapter: Chapter) -> Path:
    return chapter.save_model("perfect", ["sae"], make_perfect)


def mean_kl(tables: dict[str, Path], special_tokens: str = "masked") -> float:
    rows = read_table(tables["documents"])
    chosen = (rows["condition"] == "reconstruction") & (rows["special_tokens"] == special_tokens)
    return rows[chosen]["kl"].sum() / rows[chosen]["n_tokens"].sum()


@pytest.mark.parametrize("special_tokens", ["masked", "included"])
def test_a_model_that_reconstructs_exactly_gives_kl_below_1e_6(chapter, perfect, special_tokens):
    assert mean_kl(chapter.measure("perfect", perfect), special_tokens) <= 1e-6


def test_a_window_of_dead_latents_longer_than_the_split_is_the_split_and_is_said(chapter, caplog):
    weights = chapter.save_model("long_window", ["sae"], make_poor)
    tables = chapter.measure("long_window", weights, dead_window_tokens=10**9)
    latents = read_table(tables["latents"])
    assert "Its only window is the whole split" in caplog.text
    assert (latents["n_windows"] == 1).all()
    assert (latents["n_windows_fired"] == (latents["n_fired"] > 0)).all()


def hook_moved(by: int) -> Callable[[pytest.MonkeyPatch], None]:
    logits_after = stored.logits_after

    def mutate(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(
            stored, "logits_after", lambda lm, hook, *rest: logits_after(lm, hook + by, *rest)
        )

    return mutate


def without(name: str) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(Standardiser, name, lambda _self, x: x)


def of_another_chunk(patch: pytest.MonkeyPatch) -> None:
    """Standardised with the statistics of one chunk, restored with those of another."""
    own = Standardiser.restore
    moved = lambda self, z: own(Standardiser(self.mean + 0.3 * self.std, self.std * 1.3), z)  # noqa: E731
    patch.setattr(Standardiser, "restore", moved)


def off_by_one_token(patch: pytest.MonkeyPatch) -> None:
    own = spliced_evaluation.spliced_logits
    patch.setattr(
        spliced_evaluation,
        "spliced_logits",
        lambda lm, hook, b, x, rows: own(lm, hook, b, x, rows.roll(1, 0)),
    )


MUTANTS = {
    "one layer too early": hook_moved(-1),
    "one layer too late": hook_moved(1),
    "not standardised": without("standardise"),
    "not restored": without("restore"),
    "standardised by another chunk": of_another_chunk,
    "off by one token": off_by_one_token,
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_of_the_splice_breaks_the_law(name, chapter, monkeypatch):
    MUTANTS[name](monkeypatch)
    assert (
        mean_kl(chapter.measure("mutant", chapter.save_model("mutant", ["sae"], make_perfect)))
        > 1e-3
    )


@pytest.fixture(scope="module")
def tables(chapter: Chapter, perfect: Path) -> dict[str, pd.DataFrame]:
    """All tables of a poor model and of the perfect SAE."""
    poor = chapter.measure("poor", chapter.save_model("poor", ALL_PARTS, make_poor))
    measured = [poor, chapter.measure("perfect", perfect)]
    bounds, folder = chapter.measure_ablation_baselines(), chapter.folder
    documents = [m["documents"] for m in measured]
    out = {n: folder / f"{n}.parquet" for n in ("summary", "differences", "shapley", "curves")}
    csv = folder / "table.csv"
    latents, positions = ([m[n] for m in measured] for n in ("latents", "positions"))
    summarise_fidelity(
        TABLE,
        documents=documents,
        latents=latents,
        bounds=bounds,
        summary=out["summary"],
        table=csv,
    )
    compared = FidelityDifferencesStep(
        compared_with=("perfect",), n_bootstrap=50, confidence=0.95, root_seed=0
    )
    compare_losses(
        compared, documents=documents, bounds=bounds, differences=out["differences"], table=csv
    )
    shapley_decomposition(
        TABLE, documents=documents, bounds=bounds, shapley=out["shapley"], table=csv
    )
    position_curves(TABLE, positions=positions, curves=out["curves"])
    return {name: read_table(path) for name, path in out.items()}


def value(summary, metric, parts=FULL, condition="reconstruction", arm="poor", special="masked"):
    rows = summary[
        (summary["metric"] == metric) & (summary["parts"] == parts) & (summary["arm"] == arm)
        & (summary["condition"] == condition) & (summary["special_tokens"] == special)
    ]  # fmt: skip
    return rows["value"].item()


def test_every_set_of_parts_is_measured_and_the_control_family_only_for_all_of_them(tables):
    rows = tables["summary"]
    own = rows[
        (rows["arm"] == "poor") & (rows["metric"] == "kl") & (rows["special_tokens"] == "masked")
    ]
    conditions = own.groupby("parts")["condition"].agg(set)
    assert len(conditions) == 8 + 3  # with the SAE; bias, interaction and both without a decoder
    assert conditions[FULL] == CONTROLS | {"reconstruction"}
    assert conditions["sae+bias"] == {"reconstruction", "epsilon_random"}
    assert conditions["bias+interaction"] == {"reconstruction"}


def test_special_tokens_are_reported_masked_and_included_with_their_own_token_counts(tables):
    rows = tables["summary"]
    both = rows[(rows["arm"] == "poor") & (rows["parts"] == FULL) & (rows["metric"] == "kl")]
    tokens = both.groupby("special_tokens")["n_tokens"].agg(set)
    masked, included = (next(iter(tokens[name])) for name in ("masked", "included"))
    curves = tables["curves"]
    at_bos = curves[
        (curves["position"] == 0) & (curves["metric"] == "kl") & (curves["arm"] == "poor")
    ]
    assert set(at_bos["special_tokens"]) == {"included"}
    assert included - masked == at_bos["n_tokens"].iloc[0]


def test_ce_recovered_is_one_for_the_perfect_model_and_zero_for_the_ablation_itself(tables):
    rows = tables["summary"]
    for bound in ("zero", "mean"):
        metric = f"ce_recovered_{bound}"
        assert value(rows, metric, "sae", arm="perfect") == pytest.approx(1, abs=1e-4)
        own = rows[(rows["condition"] == f"{bound}_ablation") & (rows["metric"] == metric)]
        assert own["value"].to_numpy() == pytest.approx(0)
        assert set(own["special_tokens"]) == {"masked", "included"}


def test_ce_recovered_is_the_excess_ce_in_units_of_the_ablations(tables):
    rows = tables["summary"]
    for bound in ("zero", "mean"):
        scale = value(rows, "excess_ce", "", f"{bound}_ablation", arm="")
        expected = 1 - value(rows, "excess_ce") / scale
        assert value(rows, f"ce_recovered_{bound}") == pytest.approx(expected)


def test_every_table_has_the_number_of_documents(tables):
    for name, table in tables.items():
        assert (table["n_documents"] > 0).all(), name
    documents = tables["summary"]["n_documents"]
    assert documents.nunique() == 1


def test_a_difference_is_paired_and_agrees_with_the_two_levels(tables):
    rows, summary = tables["differences"], tables["summary"]
    own = rows[
        (rows["arm"] == "poor") & (rows["metric"] == "kl") & (rows["special_tokens"] == "masked")
    ]
    for condition in CONTROLS:
        row = own[(own["than_condition"] == condition) & (own["than_parts"] == FULL)]
        row = row[row["parts"] == FULL].set_index("contrast")["value"]
        ours, theirs = value(summary, "kl"), value(summary, "kl", condition=condition)
        assert row["difference"] == pytest.approx(ours - theirs)
        assert row["ratio"] == pytest.approx(ours / theirs)
    other = own[(own["than_arm"] == "perfect") & (own["contrast"] == "difference")]
    assert set(other["parts"]) == {FULL}  # only full arms are compared
    assert other["low"].item() > 0  # the poor model loses more on every resample
    assert (
        not (rows["arm"] == rows["than_arm"]).loc[rows["than_condition"] == "reconstruction"].any()
    )


def test_published_shares_sum_to_one_and_so_do_canonical_ones(tables):
    rows = tables["shapley"]
    shares = rows[(rows["measure"] == "shapley_share") & rows["value"].notna()]
    sums = shares.groupby(["arm", "form", "metric"])["value"].sum()
    assert sums.to_numpy() == pytest.approx(1)
    assert set(sums["poor", "canonical"].index) == {"fvu", "kl", "excess_ce"}
    assert ("perfect", "published", "kl") not in sums.index  # with one part there is no game


def test_the_decoder_carries_a_perfect_sae(tables):
    rows = tables["shapley"]
    own = rows[
        (rows["arm"] == "perfect") & (rows["metric"] == "fvu") & (rows["measure"] == "shapley")
    ]
    assert own["part"].tolist() == ["decoder"]
    assert own["value"].item() == pytest.approx(1, abs=0.1)  # FVU of the mean is about one


def test_position_curves_average_to_the_summary(tables):
    curves, summary = tables["curves"], tables["summary"]
    own = curves[(curves["arm"] == "poor") & (curves["condition"] == "epsilon_random")]
    for metric in ("kl", "excess_ce"):
        for special in ("masked", "included"):
            rows = own[(own["metric"] == metric) & (own["special_tokens"] == special)]
            mean = np.average(rows["value"], weights=rows["n_tokens"])
            expected = value(summary, metric, condition="epsilon_random", special=special)
            assert mean == pytest.approx(expected, rel=1e-6)


def test_fvu_is_measured_on_non_special_tokens(tables):
    rows = tables["summary"]
    assert set(rows[rows["metric"] == "fvu"]["special_tokens"]) == {"masked"}


def test_errors_of_the_split_are_those_of_the_spliced_pass_in_the_same_order(chapter, monkeypatch):
    weights = chapter.save_model("order", ALL_PARTS, make_poor)
    store = ActivationStore(chapter.inputs["manifest"])
    units, model = (
        load_standardiser(chapter.inputs["standardiser"]),
        load_trained(weights, {}).model,
    )
    generator = torch.Generator().manual_seed(0)
    expected = split_errors(model, units, store, "test", model.parts, generator)
    seen: list[torch.Tensor] = []
    own = spliced_evaluation.Scored.errors

    def keep(self, units, x_hat, mean):
        if self.special_tokens == "masked":
            seen.append(x_hat - self.rows)
        return own(self, units, x_hat, mean)

    monkeypatch.setattr(spliced_evaluation.Scored, "errors", keep)
    chapter.measure("order", weights)
    n_measured = 8 + 3
    found = torch.cat(seen[7::n_measured])  # the eighth of each batch is by all parts
    torch.testing.assert_close(found, expected.errors, atol=1e-5, rtol=1e-4)


def test_a_second_measurement_writes_the_same_bytes(chapter, perfect):
    first = {n: p.read_bytes() for n, p in chapter.measure("perfect", perfect).items()}
    assert first == {n: p.read_bytes() for n, p in chapter.measure("perfect", perfect).items()}


def test_the_l0_of_a_second_sae_is_added_if_its_part_is_kept(chapter):
    weights = chapter.save_model("second", ["sae", "residual_sae"], make_perfect, "sae")
    rows = read_table(chapter.measure("second", weights)["documents"])
    kept = rows[(rows["condition"] == "reconstruction") & (rows["special_tokens"] == "masked")]
    per_token = kept.groupby("parts")[["l0", "n_tokens"]].sum()
    l0 = per_token["l0"] / per_token["n_tokens"]
    assert l0["sae"] < l0["sae+residual_sae"] <= 2 * D_MODEL  # k is d_model here
