"""The whole chapter on activations whose truth is known, and what it says of faulty inputs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from interactions.planted_study import (
    BENT,
    CONSTANT_PAIR,
    N_FEATURES,
    N_TOKENS,
    PARAMS,
    PER_DOCUMENT,
    PRODUCT_PAIR,
    write_sae,
    write_store,
)

from fispace.chapters.interactions.contexts import chosen_tokens
from fispace.chapters.interactions.pairs import measure_pairs
from fispace.chapters.interactions.partners import NO_PARTNER, partners
from fispace.chapters.interactions.plots import volcano_rows
from fispace.chapters.interactions.table import tabulate_pairs
from fispace.chapters.interactions.tables import PAIRS, SUMMARY
from fispace.errors import ArtifactError, ArtifactMismatchError
from fispace.stats import block_scores
from fispace.store.tables import read_csv, read_table
from fispace.study.config.interactions import InteractionsTableStep

ORDERS = (np.arange(N_FEATURES), np.roll(np.arange(N_FEATURES), 5))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two seeds whose latents are the same features in another order, tested."""
    folder = tmp_path_factory.mktemp("study")
    manifest, standardiser = write_store(folder)
    for seed, order in enumerate(ORDERS):
        write_sae(folder / f"{seed}.safetensors", seed, order, manifest, standardiser)
        measure(folder, seed)
    return folder


def measure(folder: Path, seed: int, params=PARAMS) -> pd.DataFrame:
    measure_pairs(
        params, seed=seed, weights=folder / f"{seed}.safetensors", manifest=folder / "manifest.json",
        standardiser=folder / "standardiser", pairs=folder / f"{seed}.parquet",
        summary=folder / f"{seed}.summary.parquet",
    )  # fmt: skip
    return read_table(folder / f"{seed}.parquet")


@pytest.mark.parametrize("seed", [0, 1])
def test_the_planted_product_is_the_only_interaction_and_the_planted_constant_a_missing_feature(
    study, seed
):
    pairs = read_table(study / f"{seed}.parquet")
    order = ORDERS[seed]
    features = np.sort(order[pairs[["first", "second"]].to_numpy()], axis=1)
    verdict = {
        tuple(pair): found for pair, found in zip(features.tolist(), pairs["verdict"], strict=True)
    }
    assert len(verdict) == N_FEATURES * (N_FEATURES - 1) // 2
    assert [pair for pair, found in verdict.items() if found == "interaction"] == [PRODUCT_PAIR]
    assert verdict[CONSTANT_PAIR] == "missing feature"
    others = {
        pair: found for pair, found in verdict.items() if pair not in (PRODUCT_PAIR, CONSTANT_PAIR)
    }
    assert set(others.values()) <= {"none", "bending"}
    assert all(BENT in pair for pair, found in others.items() if found == "bending")


def test_the_share_of_the_residual_is_that_of_the_planted_product(study):
    """Of the residual, the product explains its variance beyond the two latents' own terms."""
    pairs = read_table(study / "0.parquet")
    row = pairs[(pairs["first"] == 0) & (pairs["second"] == 1)].iloc[0]
    summary = read_table(study / "0.summary.parquet").set_index("metric")["value"]
    n = N_TOKENS * (1 - 1 / PER_DOCUMENT)
    assert summary["tested_tokens"] == n
    mean, square = 0.15 * 1.0, 0.15 * (1 + 1 / 12)
    planted = 0.3**2 * (square - mean**2) ** 2  # variance of (a - E a)(b - E b), per token
    of_total = row["share_of_total"]
    assert of_total == pytest.approx(planted / _variance(), rel=0.25)
    assert row["dose_ratio"] == pytest.approx(1, abs=3 * row["dose_error"])


def _variance() -> float:
    mean, square = 0.15 * 1.0, 0.15 * (1 + 1 / 12)
    return N_FEATURES * (square - mean**2) + 32 * 0.05**2


def test_the_refit_brings_back_what_the_encoder_misses(study):
    summary = read_table(study / "0.summary.parquet").set_index("metric")["value"]
    assert summary["fvu_refit"] < 0.5 * summary["fvu_encoder"]
    assert summary["firing_latents"] == N_FEATURES
    assert summary["joined_latents"] == 0


def test_a_pair_is_found_again_in_a_seed_whose_latents_have_another_order(study):
    tables = [study / f"{seed}.parquet" for seed in (0, 1)]
    tabulate_pairs(
        InteractionsTableStep(n_listed=5, match_cosine=0.7), pairs=tables,
        summaries=[study / f"{seed}.summary.parquet" for seed in (0, 1)],
        weights=[study / f"{seed}.safetensors" for seed in (0, 1)],
        table=study / "pairs.csv", summary=study / "summary.csv",
    )  # fmt: skip
    listed = read_csv(study / "pairs.csv", PAIRS)
    assert listed["seed"].tolist() == [0] * 5 + [1] * 5
    first = listed[listed["verdict"] == "interaction"]
    assert first[["n_other_seeds", "n_found_again"]].to_numpy().tolist() == [[1, 1], [1, 1]]
    assert (listed["n_found_again"] <= listed["n_other_seeds"]).all()
    assert listed["verdict"].tolist()[::5] == ["interaction"] * 2
    assert set(read_csv(study / "summary.csv", SUMMARY)["seed"]) == {0, 1}


def test_partners_invert_a_permutation_and_leave_out_distant_rows():
    stream = np.random.default_rng(0)
    rows = stream.standard_normal((20, 64))
    order = stream.permutation(20)
    found = partners(rows, 3 * rows[order], 0.7)
    assert np.array_equal(order[found], np.arange(20))
    other = rows[order].copy()
    other[0] = stream.standard_normal(64)
    assert (partners(rows, other, 0.7) == NO_PARTNER).nonzero()[0].tolist() == [order[0]]


def test_the_same_inputs_give_the_same_bytes(study):
    before = (study / "1.parquet").read_bytes()
    measure(study, 1)
    assert (study / "1.parquet").read_bytes() == before


def test_contexts_come_from_different_documents_while_there_are_any():
    score = np.array([5.0, 4, 3, 2, 1, 9])
    candidates = np.array([True] * 5 + [False])
    documents = np.array([0, 0, 1, 1, 2, 3])
    assert chosen_tokens(score, candidates, documents, 4).tolist() == [0, 2, 4, 1]
    assert chosen_tokens(score, ~candidates, documents, 4).tolist() == [5]


def test_labels_of_the_figure_are_the_first_tokens_of_the_two_latents():
    pairs = pd.DataFrame({
        "seed": 0, "first": [1, 2, 3], "second": [4, 5, 6], "dose_p": [1e-9, 1e-8, 1e-3],
        "share_of_residual": 0.1,
        "verdict": ["missing feature", "interaction", "none"],
    })  # fmt: skip
    tokens = pd.DataFrame({"seed": 0, "latent": [2, 5], "rank": 0, "token": [" $x$", "\n"]})
    rows = volcano_rows(pairs, tokens, 5)
    assert rows["label"][1] == "$x$ × '\\n'"
    assert rows["label"].isna().tolist() == [
        True,
        False,
        True,
    ]  # tokens of the others are not known
    np.testing.assert_allclose(rows["minus_log10_p"], [9, 8, 3])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"min_cofirings": 10**6}, "interactions.min_cofirings"),
        ({"n_blocks": 1000}, "interactions.n_blocks=1000"),
    ],
)
def test_too_few_cofirings_or_documents_are_refused_and_nothing_is_written(
    study, tmp_path, change, says
):
    with pytest.raises(ArtifactError, match=says):
        measure_pairs(
            PARAMS.changed(**change), seed=0, weights=study / "0.safetensors",
            manifest=study / "manifest.json", standardiser=study / "standardiser",
            pairs=tmp_path / "p", summary=tmp_path / "s",
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_another_seed_is_refused(study, tmp_path):
    with pytest.raises(ArtifactMismatchError):
        measure_pairs(
            PARAMS, seed=1, weights=study / "0.safetensors", manifest=study / "manifest.json",
            standardiser=study / "standardiser", pairs=tmp_path / "p", summary=tmp_path / "s",
        )  # fmt: skip


@pytest.mark.parametrize("max_steps", [1, 40])
def test_a_fit_of_own_terms_that_does_not_converge_is_told(study, tmp_path, caplog, max_steps):
    own = {"max_steps": max_steps, "tolerance": 1e-3}
    measure_pairs(
        PARAMS.changed(own_terms=own), seed=0, weights=study / "0.safetensors",
        manifest=study / "manifest.json", standardiser=study / "standardiser",
        pairs=tmp_path / "p", summary=tmp_path / "s",
    )  # fmt: skip
    gradient = read_table(tmp_path / "s").set_index("metric")["value"]["own_terms_gradient"]
    said = "did not converge: after 1 steps" in caplog.text
    assert (gradient > 1e-3) == said == (max_steps == 1)


def test_slices_change_no_statistic(study):
    whole = read_table(study / "0.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(block_scores, "SLICE_TOKENS", 100)
        patch.setattr(block_scores, "SLICE_NUMBERS", 2**16)
        sliced = measure(study, 0)
    pd.testing.assert_frame_equal(sliced, whole, rtol=1e-6)
