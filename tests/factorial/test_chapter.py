"""The chapter from stimuli to inference on a tiny LM, and the laws of clamping."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from factorial.small_chapter import FACTORS, clamp_step, run_chapter, write_model

from fispace.config.factorial import DiscoverStep, InferStep, ResponsesStep, SinglesStep
from fispace.errors import ArtifactMismatchError, ParamsError, StimuliError
from fispace.lm.hooks import logits, splice
from fispace.lm.load import load_lm
from fispace.lm.score import plan_words, score_words
from fispace.measure.fidelity import kl_per_token, log_probabilities
from fispace.models.secondary import (
    Clamp,
    clamped_hidden,
    clamped_reconstruction,
    hidden_vectors,
)
from fispace.steps.factorial.clamp import clamp_function
from fispace.steps.factorial.discover import discover
from fispace.steps.factorial.infer import infer
from fispace.steps.factorial.pipeline import (
    Pipeline,
    encode_both,
    load_arm,
    load_pipeline,
    read_stimulus_tokens,
)
from fispace.steps.factorial.responses import measure_responses
from fispace.steps.factorial.singles import single_latent
from fispace.store.responses import read_responses
from fispace.store.tables import read_csv, read_table


@pytest.fixture(scope="module")
def chapter(tmp_path_factory, lm_folders: dict[str, Path]) -> SimpleNamespace:
    return run_chapter(tmp_path_factory.mktemp("chapter"), lm_folders["llama"])


@pytest.fixture(scope="module")
def pipe(chapter) -> Pipeline:
    return load_pipeline(chapter.weights, chapter.standardiser, chapter.secondary)


@pytest.fixture(scope="module")
def z(chapter, pipe) -> torch.Tensor:
    return read_stimulus_tokens(chapter.confirm, pipe.units).z


def _all_active(pipe, z) -> list[int]:
    codes = encode_both(pipe, z)["secondary"]
    return sorted(set(codes.indices[codes.values > 0].tolist()))


def test_factor_pooling_equals_the_double_loop_over_pairs(pipe, z):
    codes = pipe.model.sae.encode(z[:5])
    V = pipe.model.interaction.V
    expected = torch.zeros(5, V.shape[1])
    for token in range(5):
        for i in range(6):
            for j in range(i + 1, 6):
                a, b = codes.indices[token, i], codes.indices[token, j]
                pair = codes.values[token, i] * codes.values[token, j]
                expected[token] += pair * V[a] * V[b]
    torch.testing.assert_close(pipe.model.interaction.pool(codes), expected)


def test_analysis_reads_the_hidden_vectors_that_the_model_adds_up(pipe, z):
    model = pipe.model
    direct = model.interaction.output(hidden_vectors(model, z)) - model.interaction.mean_output
    torch.testing.assert_close(direct, model.contribution(model.sae.encode(z), "interaction"))


def test_multiplier_1_is_the_identity_at_every_token(chapter, pipe):
    lm, _ = load_lm(chapter.lm, None)
    ids = torch.randint(3, 60, (6, 15), generator=torch.Generator().manual_seed(3))
    ids[:, 0] = 1
    mask = torch.ones_like(ids)
    original = log_probabilities(logits(lm, ids, mask))
    for latent in range(5):
        identity = clamp_function(pipe, Clamp(latent, 1.0), True, 1)
        with splice(lm, chapter.lm.hook_point, identity):
            spliced = log_probabilities(logits(lm, ids, mask))
        assert kl_per_token(original, spliced).max() <= 1e-6


def test_other_multipliers_and_the_published_variant_are_not_the_identity(pipe, z):
    latent = _all_active(pipe, z)[0]
    moved = clamped_reconstruction(pipe.model, pipe.secondary, z, Clamp(latent, 4.0), True)
    assert (moved - z).abs().max() > 1e-4
    bare = clamped_reconstruction(pipe.model, pipe.secondary, z, Clamp(latent, 1.0), False)
    assert (bare - z).abs().max() > 1e-2


def test_clamping_moves_hidden_vectors_along_the_latents_own_direction(pipe, z):
    hidden = hidden_vectors(pipe.model, z)
    latent = _all_active(pipe, z)[0]
    moved = clamped_hidden(pipe.secondary, hidden, Clamp(latent, -4.0), True) - hidden
    codes = pipe.secondary.encode(hidden)
    activation = torch.where(codes.indices == latent, codes.values, 0.0).sum(1)
    direction = pipe.secondary.sae.W_dec[latent] * pipe.secondary.std
    torch.testing.assert_close(moved, -5 * activation[:, None] * direction, atol=1e-5, rtol=1e-4)


def test_an_inactive_latent_cannot_be_clamped(pipe, z):
    hidden = hidden_vectors(pipe.model, z[:1])
    active = set(pipe.secondary.encode(hidden).indices.ravel().tolist())
    latent = next(i for i in range(30) if i not in active)
    moved = clamped_hidden(pipe.secondary, hidden, Clamp(latent, 4.0), True)
    torch.testing.assert_close(moved, hidden)


def test_bos_is_never_touched(pipe):
    x = torch.randn(3, 7, 16, generator=torch.Generator().manual_seed(0)) * 5
    moved = clamp_function(pipe, Clamp(0, 4.0), False, 1)(x)
    assert torch.equal(moved[:, 0], x[:, 0]) and not torch.equal(moved[:, 1], x[:, 1])


def test_a_single_latent_has_no_interaction(pipe, z):
    codes = pipe.model.sae.encode(z)
    alone = codes.with_values(codes.values * (torch.arange(codes.values.shape[1]) == 0))
    assert pipe.model.interaction.pool(alone).abs().max() < 1e-5


def test_singles_state_that_the_latent_alone_adds_nothing(chapter):
    numbers = read_csv(chapter.singles).set_index("metric")["value"]
    assert numbers["pool_alone_max_abs"] < 1e-5 < numbers["pool_among_others_max_abs"]
    assert read_csv(chapter.histogram)["count"].sum() > 0


def test_histogram_counts_the_non_zero_activations(pipe, z):
    latent = int(pipe.model.sae.encode(z).indices[0, 0])
    numbers, bars = single_latent(SinglesStep(7, 1), pipe, z, latent)
    values = numbers.set_index("metric")["value"]
    n_active = round(values["active_share"] * len(z))
    assert bars["count"].sum() == round(values["secondary_l0"] * n_active)


def test_mean_activations_leave_bos_out_and_match_a_loop(chapter, pipe):
    tokens = read_stimulus_tokens(chapter.confirm, pipe.units)
    assert len(tokens.z) == 24 * 8  # 24 texts of 8 words; BOS is not among them
    found = read_responses(chapter.confirm_responses)
    own = tokens.z[tokens.text == 5]
    codes = pipe.model.sae.encode(own)
    expected = torch.zeros(40).index_add_(0, codes.indices.ravel(), codes.values.ravel()) / 8
    np.testing.assert_allclose(found.activations["primary"][5], expected.numpy(), atol=1e-5)


def test_no_item_is_in_both_halves(chapter):
    select, confirm = (
        set(read_responses(path).texts["item"])
        for path in (chapter.select_responses, chapter.confirm_responses)
    )
    assert len(select) == len(confirm) == 6 and not select & confirm


def test_discovery_refuses_the_confirm_half_and_inference_the_select_half(chapter, tmp_path):
    with pytest.raises(ArtifactMismatchError, match="half"):
        discover(
            DiscoverStep(FACTORS, 0.05, 2, 200, 0), responses=chapter.confirm_responses,
            discovery=tmp_path / "d.parquet", candidates=tmp_path / "c.csv",
        )  # fmt: skip
    with pytest.raises(ArtifactMismatchError, match="half"):
        infer(
            InferStep(FACTORS, (0.0, 1.0), 0.05, 200, 0), candidates=[chapter.candidates],
            responses=[chapter.select_responses], effects=[chapter.effects],
            quality=[chapter.quality], checks=[chapter.checks], family=tmp_path / "f.parquet",
            table=tmp_path / "f.csv", cells=tmp_path / "c.csv", points=tmp_path / "p.csv",
            secondary=tmp_path / "s.csv",
        )  # fmt: skip


def test_what_is_selected_does_not_change_with_the_confirm_half(chapter, tmp_path):
    """A leak between the halves would move the table or the candidates."""
    measure_responses(
        ResponsesStep(100, 1), items=chapter.items, weights=chapter.weights,
        standardiser=chapter.standardiser, secondary=chapter.secondary, select=chapter.select,
        confirm=chapter.select, select_responses=tmp_path / "s.parquet",
        confirm_responses=tmp_path / "c.parquet",
    )  # fmt: skip
    discover(
        DiscoverStep(FACTORS, 0.05, 2, 200, 0), responses=tmp_path / "s.parquet",
        discovery=tmp_path / "d.parquet", candidates=tmp_path / "c.csv",
    )  # fmt: skip
    assert (tmp_path / "d.parquet").read_bytes() == chapter.discovery.read_bytes()
    assert (tmp_path / "c.csv").read_bytes() == chapter.candidates.read_bytes()


def test_every_latent_is_in_the_table_and_candidates_are_its_strongest(chapter):
    table = read_table(chapter.discovery)
    sizes = table.groupby(["space", "effect"]).size()
    assert set(sizes["primary"]) == {40} and set(sizes["secondary"]) == {30}
    own = table[(table["space"] == "secondary") & (table["effect"] == "interaction")]
    live = own[own["mean_activation"] > 0]
    strongest = live.reindex(live["t"].abs().sort_values(ascending=False).index)["latent"][:2]
    chosen = read_csv(chapter.candidates)
    assert chosen.loc[chosen["kind"] == "candidate", "latent"].tolist() == strongest.tolist()
    assert not chosen["latent"].duplicated().any()


def test_family_holds_every_chosen_latent_and_clamp(chapter):
    table, chosen = read_table(chapter.family), read_csv(chapter.candidates)
    assert len(table) == len(chosen) * (1 + 1 + 3)
    assert ((table["q"] >= table["p"] - 1e-12) & (table["p_sign_flip"] > 0)).all()
    assert {"published_f", "published_p", "two_way_f", "two_way_p"} <= set(table.columns)
    pd.testing.assert_frame_equal(table, read_csv(chapter.table), check_dtype=False)


def test_effect_of_multiplier_1_is_zero_and_the_identity_costs_nothing(chapter):
    effects = read_table(chapter.effects)
    assert (effects.loc[effects["clamp"] == 1, "value"] == 0).all()
    assert effects.loc[effects["clamp"] == 4, "value"].abs().max() > 1e-6
    summary = read_csv(chapter.summary).set_index("metric")["value"]
    assert summary["kl_identity_max"] <= 1e-6
    assert summary["fvu"] > 0 and summary["l0"] <= 3


def test_clamp_cells_hold_four_cells_per_latent_and_clamp(chapter):
    cells, chosen = read_csv(chapter.cells), read_csv(chapter.candidates)
    assert len(cells) == len(chosen) * 4 * 4
    assert (cells["low"] <= cells["value"]).all() and (cells["value"] <= cells["high"]).all()
    assert len(read_csv(chapter.points)) == 8 * 4 * 4  # prompts x cells x clamps


def test_words_of_several_tokens_are_scored_whole(chapter):
    lm, tokenizer = load_lm(chapter.lm, None)
    prompts, words = ["w20 w21", "w22 w23 w24"], ["w1", "w2 w3", "w1 w4 w5"]
    scores = score_words(lm, plan_words(tokenizer, prompts, words, True), 4)
    ids = torch.tensor([tokenizer("w22 w23 w24 w1 w4 w5")["input_ids"]])
    ids = torch.cat([torch.tensor([[tokenizer.bos_token_id]]), ids], 1)
    logp = log_probabilities(logits(lm, ids, torch.ones_like(ids)))[0]
    expected = sum(logp[3 + i, ids[0, 4 + i]].item() for i in range(3))
    assert scores[1, 2] == pytest.approx(expected, abs=1e-5)
    assert scores[1, 0] == pytest.approx(logp[3, ids[0, 4]].item(), abs=1e-5)


def test_a_word_outside_the_vocabulary_is_refused_by_name(chapter):
    _, tokenizer = load_lm(chapter.lm, None)
    with pytest.raises(StimuliError, match="'unheard'"):
        plan_words(tokenizer, ["w20"], ["unheard"], True)


def test_an_arm_without_interaction_is_refused(chapter, tmp_path):
    write_model(tmp_path, chapter.lm, ["sae", "bias"])
    with pytest.raises(ArtifactMismatchError, match=r"factorial\.arm"):
        load_arm(tmp_path / "weights.safetensors", tmp_path / "standardiser.safetensors")


def test_the_same_seed_gives_the_same_bytes(chapter, tmp_path, lm_folders):
    again = run_chapter(tmp_path, lm_folders["llama"])
    for name in ("secondary", "discovery", "candidates", "effects", "checks", "singles", "table"):
        assert getattr(again, name).read_bytes() == getattr(chapter, name).read_bytes(), name


def test_clamps_must_hold_the_identity(chapter):
    with pytest.raises(ParamsError, match="multiplier 1"):
        replace(clamp_step(chapter.lm), clamps=(-4.0, 4.0))
