"""The chapter from stimuli to inference on a tiny LM, and the laws of clamping."""

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from factorial.small_chapter import (
    FACTORS,
    clamp_step,
    infer_step,
    run_chapter,
    secondary_step,
    write_model,
    write_stimuli,
)

from fispace.chapters.factorial.conditions import Condition, moved_activations, replacement
from fispace.chapters.factorial.discover import discover
from fispace.chapters.factorial.encoder_stack import (
    Pipeline,
    encode_all,
    load_arm,
    load_pipeline,
    read_stimulus_tokens,
)
from fispace.chapters.factorial.infer import infer
from fispace.chapters.factorial.plots import write_factorial_plots
from fispace.chapters.factorial.responses import measure_responses
from fispace.chapters.factorial.secondary import train_secondary
from fispace.chapters.factorial.single_latent_response import single_latent
from fispace.chapters.factorial.tables import (
    CANDIDATES,
    CLAMP_CELLS,
    CLAMP_ITEMS,
    CLAMPING_PLOT,
    FAMILY,
    HISTOGRAM,
    HYPOTHESES,
    SECONDARY,
    SINGLES,
)
from fispace.errors import ArtifactMismatchError, ParamsError, StimuliError
from fispace.lm.hooks import logits, splice
from fispace.lm.load import load_lm
from fispace.lm.score import plan_words, score_words
from fispace.models.interventions import Intervention, activation_of, base_of, movement
from fispace.models.pairs import active_pairs, pair_readout, pair_weights
from fispace.models.secondary import hidden_vectors, residual_vectors
from fispace.models.training_state import Checkpoints, Training
from fispace.stats.metrics import kl_per_token, log_probabilities
from fispace.store.responses import Responses, read_responses, write_responses
from fispace.store.tables import read_csv, read_recipe, read_table, write_table
from fispace.study.config.factorial import (
    DiscoverStep,
    FactorConfig,
    ResponsesStep,
    SingleLatentStep,
)


@pytest.fixture(scope="module")
def chapter(tmp_path_factory, lm_folders: dict[str, Path]) -> SimpleNamespace:
    return run_chapter(tmp_path_factory.mktemp("chapter"), lm_folders["llama"])


@pytest.fixture(scope="module")
def pipe(chapter) -> Pipeline:
    return load_pipeline(chapter.weights, chapter.standardiser, chapter.secondary, chapter.residual)


@pytest.fixture(scope="module")
def z(chapter, pipe) -> torch.Tensor:
    return read_stimulus_tokens(chapter.confirm, pipe.units).z


def _all_active(pipe, z) -> list[int]:
    codes = encode_all(pipe, z)["secondary"]
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


TARGETS = ("secondary", "primary", "linear", "direction", "primary_direction")


def _condition(target: str, latent: int, amount: float, mode: str = "multiply") -> Condition:
    unit = torch.zeros(16)
    unit[3] = 1.0
    change = Intervention(target, latent, mode, amount)
    return Condition(target, 1, latent, mode, amount, change, unit)


def _moved(pipe, z, target: str, latent: int, amount: float, mode: str = "multiply"):
    base = base_of(pipe.model, pipe.secondary, z, True)
    condition = _condition(target, latent, amount, mode)
    return movement(pipe.model, pipe.secondary, base, condition.change, condition.direction)


@pytest.mark.parametrize("target", TARGETS)
def test_multiplier_1_is_the_identity_at_every_token(chapter, pipe, target):
    lm, _ = load_lm(chapter.lm, None)
    ids = torch.randint(3, 60, (6, 15), generator=torch.Generator().manual_seed(3))
    ids[:, 0] = 1
    mask = torch.ones_like(ids)
    original = log_probabilities(logits(lm, ids, mask))
    for latent in range(5):
        identity = replacement(pipe, _condition(target, latent, 1.0), True, 1)
        with splice(lm, chapter.lm.hook_point, identity):
            spliced = log_probabilities(logits(lm, ids, mask))
        assert kl_per_token(original, spliced).max() <= 1e-6


def test_the_published_variant_is_not_the_identity_but_moves_by_multipliers_alike(pipe, z):
    latent = _all_active(pipe, z)[0]
    base = base_of(pipe.model, pipe.secondary, z, False)
    assert (base.z - z).abs().max() > 1e-2
    codes = pipe.model.sae.encode(z)
    decoded = pipe.secondary.decode(pipe.secondary.encode(pipe.model.interaction.hidden(codes)))
    linear = pipe.model.reconstruct(codes, ["sae", "linear", "bias"])
    expected = linear + pipe.model.interaction.output(decoded) - pipe.model.interaction.mean_output
    torch.testing.assert_close(base.z, expected)
    still = Intervention("secondary", latent, "multiply", 1.0)
    assert movement(pipe.model, pipe.secondary, base, still).abs().max() == 0


def test_clamping_goes_through_the_second_layer_along_the_latents_own_direction(pipe, z):
    hidden, latent = hidden_vectors(pipe.model, z), _all_active(pipe, z)[0]
    moved = _moved(pipe, z, "secondary", latent, -4.0)
    activation = activation_of(pipe.secondary.encode(hidden), latent)
    direction = pipe.secondary.sae.W_dec[latent] * pipe.secondary.std
    after = pipe.model.interaction.output(hidden - 5 * activation[:, None] * direction)
    torch.testing.assert_close(moved, after - pipe.model.interaction.output(hidden))
    assert moved.abs().max() > 1e-4


def test_an_inactive_latent_cannot_be_multiplied_but_can_be_set(pipe, z):
    active = set(pipe.secondary.encode(hidden_vectors(pipe.model, z[:1])).indices.ravel().tolist())
    latent = next(i for i in range(30) if i not in active)
    assert _moved(pipe, z[:1], "secondary", latent, 4.0).abs().max() == 0
    assert _moved(pipe, z[:1], "secondary", latent, 4.0, "set").abs().max() > 0


def test_setting_a_latent_to_its_own_activation_is_the_identity(pipe, z):
    codes = pipe.model.sae.encode(z[:1])
    latent, value = int(codes.indices[0, 0]), float(codes.values[0, 0])
    assert _moved(pipe, z[:1], "primary", latent, value, "set").abs().max() < 1e-6


def test_a_primary_latent_moves_along_its_decoder_and_linear_rows(pipe, z):
    codes, model = pipe.model.sae.encode(z), pipe.model
    latent = int(codes.indices[0, 0])
    expected = 3 * activation_of(codes, latent)[:, None] * (model.sae.W_dec + model.W_lin)[latent]
    torch.testing.assert_close(_moved(pipe, z, "primary", latent, 4.0), expected)


def test_the_linear_part_alone_moves_by_its_own_contribution(pipe, z):
    own = pipe.model.contribution(pipe.model.sae.encode(z), "linear")
    torch.testing.assert_close(_moved(pipe, z, "linear", -1, 4.0), 3 * own)


@pytest.mark.parametrize("clamp", [-4.0, 0.0, 4.0])
@pytest.mark.parametrize("kind", ["secondary", "primary"])
def test_a_random_direction_moves_every_token_as_far_as_the_latent(pipe, z, clamp, kind):
    codes = encode_all(pipe, z)[kind]
    latent = int(codes.indices[codes.values > 0].min())
    control = {"secondary": "direction", "primary": "primary_direction"}[kind]
    own, other = (_moved(pipe, z, target, latent, clamp) for target in (kind, control))
    torch.testing.assert_close(own.norm(dim=1), other.norm(dim=1))
    assert other[:, 3].abs().max() > 0 and other[:, :3].abs().max() == 0


def test_bos_is_never_touched_and_the_first_variant_is_the_unmoved_one(pipe):
    x = torch.randn(3, 7, 16, generator=torch.Generator().manual_seed(0)) * 5
    conditions = [_condition("linear", -1, 4.0)]
    base, moved = moved_activations(pipe, conditions, True, 1)(x)
    torch.testing.assert_close(base, x)
    assert torch.equal(moved[:, 0], x[:, 0]) and not torch.equal(moved[:, 1], x[:, 1])


def test_pair_weights_add_up_to_the_pre_activation_by_the_double_loop(pipe, z):
    codes = pipe.model.sae.encode(z[:4])
    hidden = pipe.model.interaction.hidden(codes)
    sae = pipe.secondary.sae
    expected = ((hidden - pipe.secondary.mean) / pipe.secondary.std) @ sae.W_enc[7] + sae.b_enc[7]
    readout, constant = pair_readout(pipe.model, pipe.secondary, 7)
    V = pipe.model.interaction.V
    for token in range(4):
        total = constant
        for i in range(6):
            for j in range(i + 1, 6):
                a, b = codes.indices[token, i], codes.indices[token, j]
                pair = codes.values[token, i] * codes.values[token, j]
                total += float(pair * (V[a] * V[b]) @ readout)
        assert total == pytest.approx(float(expected[token]), rel=1e-3, abs=1e-3)


def test_active_pairs_hold_the_mean_product_of_every_pair_that_occurs(pipe, z):
    codes = pipe.model.sae.encode(z)
    dense = torch.zeros(len(z), 40).scatter_(1, codes.indices, codes.values).double()
    products = np.triu((dense.T @ dense / len(z)).numpy(), k=1)
    pairs = active_pairs(codes, 40)
    np.testing.assert_allclose(pairs.mean_product, products[pairs.first, pairs.second])
    assert len(pairs.first) == (products > 0).sum() and (pairs.first < pairs.second).all()
    readout, _ = pair_readout(pipe.model, pipe.secondary, 3)
    weights = pair_weights(pipe.model, readout, pairs, batch=7)
    V = pipe.model.interaction.V
    expected = ((V[pairs.first] * V[pairs.second]) @ readout).numpy()
    np.testing.assert_allclose(weights, expected, rtol=1e-5, atol=1e-7)


def test_residuals_are_what_the_linear_parts_leave_over(pipe, z):
    expected = z - pipe.model(z, ["sae", "linear", "bias"])
    torch.testing.assert_close(residual_vectors(pipe.model, z), expected)


def test_a_single_latent_has_no_interaction(pipe, z):
    codes = pipe.model.sae.encode(z)
    alone = codes.with_values(codes.values * (torch.arange(codes.values.shape[1]) == 0))
    assert pipe.model.interaction.pool(alone).abs().max() < 1e-5


def test_singles_state_that_the_latent_alone_adds_nothing(chapter):
    numbers = read_csv(chapter.singles, SINGLES).set_index("metric")["value"]
    assert numbers["pool_alone_max_abs"] < 1e-5 < numbers["pool_among_others_max_abs"]
    assert read_csv(chapter.histogram, HISTOGRAM)["count"].sum() > 0


def test_histogram_counts_the_non_zero_activations(pipe, z):
    latent = int(pipe.model.sae.encode(z).indices[0, 0])
    numbers, bars = single_latent(
        SingleLatentStep(histogram_bins=7, threads=1, device="cpu"), pipe, z, latent
    )
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


def _infer(chapter, folder: Path, **changed) -> pd.DataFrame:
    """The family's table, inferred again into `folder` with some inputs changed."""
    inputs = {
        "candidates": [chapter.candidates], "responses": [chapter.confirm_responses],
        "effects": [chapter.effects], "planted": [chapter.planted],
        "quality": [chapter.quality], "checks": [chapter.checks],
    }  # fmt: skip
    names = ("table", "hypotheses", "activation_cells", "cells", "points", "fits", "secondary")
    outputs = {name: folder / f"{name}.csv" for name in names}
    infer(infer_step(), **inputs | changed, family=folder / "f.parquet", **outputs)
    return read_csv(outputs["table"], FAMILY)


def test_no_p_value_depends_on_the_order_of_rows(chapter, tmp_path):
    found, effects = read_responses(chapter.confirm_responses), read_table(chapter.effects)
    order = np.random.default_rng(0).permutation(len(found.texts))
    texts = found.texts.iloc[order].reset_index(drop=True)
    activations = {space: values[order] for space, values in found.activations.items()}
    write_responses(tmp_path / "r.parquet", Responses(texts, activations, found.recipe))
    shuffled = effects.sample(frac=1, random_state=1).reset_index(drop=True)
    write_table(tmp_path / "e.parquet", shuffled, {})
    again = _infer(
        chapter, tmp_path, responses=[tmp_path / "r.parquet"], effects=[tmp_path / "e.parquet"]
    )
    keys = ["family", "kind", "rank", "clamp"]
    one, other = (
        t.sort_values(keys, ignore_index=True) for t in (again, read_csv(chapter.table, FAMILY))
    )
    columns = [name for name in one if name == "q" or "p" in name.split("_")]
    assert {"p", "q", "p_sign_flip", "p_max", "p_equivalence", "mixed_p"} <= set(columns)
    pd.testing.assert_frame_equal(one[columns], other[columns], rtol=1e-6)


def test_no_item_is_in_both_halves(chapter):
    select, confirm = (
        set(read_responses(path).texts["item"])
        for path in (chapter.select_responses, chapter.confirm_responses)
    )
    assert len(select) == len(confirm) == 6 and not select & confirm


def test_discovery_refuses_the_confirm_half_and_inference_the_select_half(chapter, tmp_path):
    with pytest.raises(ArtifactMismatchError, match="half"):
        discover(
            DiscoverStep(
                factors=FACTORS, alpha=0.05, n_candidates=2, n_permutations=200, root_seed=0
            ),
            responses=chapter.confirm_responses,
            discovery=tmp_path / "d.parquet",
            candidates=tmp_path / "c.csv",
        )
    with pytest.raises(ArtifactMismatchError, match="half"):
        _infer(chapter, tmp_path, responses=[chapter.select_responses])


def test_what_is_selected_does_not_change_with_the_confirm_half(chapter, tmp_path):
    """A leak between the halves would move the table or the candidates."""
    measure_responses(
        ResponsesStep(batch_tokens=100, threads=1, device="cpu"),
        item_table=chapter.items, weights=chapter.weights,
        standardiser=chapter.standardiser, secondary=chapter.secondary, select=chapter.select,
        residual=chapter.residual, confirm=chapter.select, select_responses=tmp_path / "s.parquet",
        confirm_responses=tmp_path / "c.parquet",
    )  # fmt: skip
    discover(
        DiscoverStep(factors=FACTORS, alpha=0.05, n_candidates=2, n_permutations=200, root_seed=0),
        responses=tmp_path / "s.parquet",
        discovery=tmp_path / "d.parquet",
        candidates=tmp_path / "c.csv",
    )
    assert (tmp_path / "d.parquet").read_bytes() == chapter.discovery.read_bytes()
    assert (tmp_path / "c.csv").read_bytes() == chapter.candidates.read_bytes()


class Killed(BaseException):
    """Ends a training as a signal would."""


@pytest.mark.parametrize("site", ["secondary", "residual"])
def test_a_killed_secondary_training_goes_on_to_the_same_bytes(
    chapter, tmp_path, monkeypatch, site
):
    def run(seconds: float) -> None:
        train_secondary(
            secondary_step(), site=site, weights=chapter.weights, lr=chapter.lr,
            manifest=chapter.manifest, standardiser=chapter.standardiser,
            scratch=tmp_path / "scratch", checkpoint_seconds=seconds,
            secondary=tmp_path / "sae", curve=tmp_path / "curve", quality=tmp_path / "quality",
        )  # fmt: skip

    def killed_at_25(self: Checkpoints, training: Training) -> None:
        if training.progress.n_steps == 25:
            raise Killed
        offer(self, training)

    offer, taken = Checkpoints.offer, []
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Checkpoints, "offer", killed_at_25)
        run(0.0)
    assert [path.name for path in tmp_path.iterdir()] == ["scratch"]
    monkeypatch.setattr(
        Checkpoints, "offer", lambda _, training: taken.append(training.progress.n_steps)
    )
    run(60.0)
    assert taken == list(range(25, secondary_step().n_steps + 1))
    undisturbed = {
        "secondary": (chapter.secondary, chapter.curve, chapter.quality),
        "residual": (chapter.residual, chapter.res_curve, chapter.res_quality),
    }[site]
    for name, path in zip(("sae", "curve", "quality"), undisturbed, strict=True):
        assert (tmp_path / name).read_bytes() == path.read_bytes()
    assert not (tmp_path / "scratch").exists()


def test_every_latent_is_in_the_table_and_candidates_are_its_strongest(chapter):
    table = read_table(chapter.discovery)
    sizes = table.groupby(["space", "effect"]).size()
    assert set(sizes["primary"]) == {40} and set(sizes["secondary"]) == {30}
    assert set(sizes["residual"]) == {30}
    own = table[(table["space"] == "secondary") & (table["effect"] == "interaction")]
    live = own[own["mean_activation"] > 0]
    strongest = live.reindex(live["t"].abs().sort_values(ascending=False).index)["latent"][:2]
    chosen = read_csv(chapter.candidates, CANDIDATES)
    assert chosen.loc[chosen["kind"] == "candidate", "latent"].tolist() == strongest.tolist()
    assert not chosen[["space", "effect", "latent"]].duplicated().any()
    counts = chosen["kind"].value_counts().to_dict()
    assert counts["primary"] == counts["residual"] == counts["main"] == 2


def test_family_holds_every_chosen_latent_and_control(chapter):
    table, chosen = read_table(chapter.family), read_csv(chapter.candidates, CANDIDATES)
    n_clamped = int((chosen["kind"] != "residual").sum()) + 4 + 1  # directions, linear part
    sizes = table["family"].value_counts().to_dict()
    assert sizes == {
        "set": 6, "activation": len(chosen), "clamp_slope": n_clamped, "clamp": 3 * n_clamped
    }  # fmt: skip
    kept = table[table["excluded"] == "no"]
    assert (kept["p_max"] >= kept["p_sign_flip"]).all() and (kept["p_sign_flip"] > 0).all()
    assert (kept["q"] >= kept["p"] - 1e-12).all()
    slopes = table[table["family"] == "clamp_slope"]
    assert slopes["mixed_value"].to_numpy() == pytest.approx(
        slopes["value"].to_numpy(), rel=1e-3, abs=1e-9
    )
    pd.testing.assert_frame_equal(table, read_csv(chapter.table, FAMILY), check_dtype=False)


def test_hypotheses_are_echoed_with_family_level_and_exclusion_rule(chapter):
    echo = read_csv(chapter.hypotheses, HYPOTHESES)
    assert echo["hypothesis"].tolist() == ["activation", "clamping", "planted", "controls"]
    assert set(echo["alpha"]) == {0.05} and set(echo["min_active_share"]) == {0.05}
    assert len(read_recipe(chapter.family)["declared"]) == 4
    assert set(read_table(chapter.family)["hypothesis"]) == {
        "activation",
        "clamping",
        "controls",
        "none",
    }


def test_an_excluded_latent_stays_in_the_table_but_leaves_its_family(chapter, tmp_path):
    checks = read_table(chapter.checks)
    checks.loc[checks["metric"] == "active_prompts_candidate_1", "value"] = 0.01
    write_table(tmp_path / "checks.parquet", checks, {})
    table = _infer(chapter, tmp_path, checks=[tmp_path / "checks.parquet"])
    row = table[(table["family"] == "clamp_slope") & (table["kind"] == "candidate")]
    row = row.sort_values("rank").iloc[0]
    assert row["excluded"] != "no" and np.isnan(row["q"]) and not row["is_significant"]
    before = read_csv(chapter.table, FAMILY)
    own = before[(before["hypothesis"] == "clamping") & (before["kind"] == "candidate")]
    assert row["n_family"] == own["n_family"].iloc[0] - 1


def test_effect_of_multiplier_1_is_zero_and_the_identity_costs_nothing(chapter):
    effects = read_table(chapter.effects)
    assert (effects.loc[effects["clamp"] == 1, "value"] == 0).all()
    assert effects.loc[effects["clamp"] == 4, "value"].abs().max() > 1e-6
    summary = read_csv(chapter.summary, SECONDARY).set_index(["site", "metric"])["value"]
    assert summary["clamp", "kl_identity_max"] <= 1e-6
    for site in ("secondary", "residual"):
        assert summary[site, "fvu"] > 0 and summary[site, "l0"] <= 3


def test_clamp_cells_hold_four_cells_per_latent_and_clamp(chapter):
    cells, chosen = read_csv(chapter.cells, CLAMP_CELLS), read_csv(chapter.candidates, CANDIDATES)
    n_clamped = int((chosen["kind"] != "residual").sum()) + 4 + 1
    multiplied = cells[cells["mode"] == "multiply"]
    assert len(multiplied) == n_clamped * 4 * 4
    assert len(cells) - len(multiplied) == 6 * 4  # two candidates and two of each control, set
    assert (cells["low"] <= cells["value"]).all() and (cells["value"] <= cells["high"]).all()
    n_items = 8 + 6  # prompts, and confirm items
    assert (
        len(read_csv(chapter.points, CLAMP_ITEMS)) == 8 * n_items * 4 * 4
    )  # kinds x items x cells x clamps


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


OTHER_NAMES = {
    "register": "nan", "affect": "true", "formal": "1", "casual": "0", "neutral": "None",
    "emotional": "NA", **{f"i{n:02d}": f"{n:02d}" for n in range(12)},
}  # fmt: skip
"""For factors, levels and items; the items keep their order, by which signs are flipped."""


def renamed(battery: Path) -> Path:
    """The battery under other names."""
    for path in battery.glob("*.csv"):
        with path.open(newline="") as stream:
            rows = [[OTHER_NAMES.get(cell, cell) for cell in row] for row in csv.reader(stream)]
        with path.open("w", newline="") as stream:
            csv.writer(stream).writerows(rows)
    return battery


def plotted(chapter: SimpleNamespace, folder: Path) -> dict[str, str]:
    """Texts of the tables that figures draw."""
    names = ("clamping", "secondary_activations", "interaction", "forest", "generations")
    out = {name: folder / f"{name}.csv" for name in names}
    write_factorial_plots(
        cells=chapter.cells, points=chapter.points, fits=chapter.fits, histogram=chapter.histogram,
        activation=chapter.activation_cells, family=chapter.family, counts=[chapter.counts], **out,
    )  # fmt: skip
    return {name: path.read_text() for name, path in out.items()}


def test_no_number_depends_on_what_items_factors_and_levels_are_called(
    chapter, tmp_path, lm_folders
):
    factors = tuple(
        FactorConfig(
            name=OTHER_NAMES[f.name], levels=tuple(OTHER_NAMES[level] for level in f.levels)
        )
        for f in FACTORS
    )
    battery = renamed(write_stimuli(tmp_path / "battery", 12))
    again = run_chapter(tmp_path, lm_folders["llama"], battery, factors)
    for name in ("secondary", "table", "pairs", "singles", "histogram", "summary", "hypotheses"):
        assert getattr(again, name).read_bytes() == getattr(chapter, name).read_bytes(), name
    for name in ("candidates", "cells", "points", "fits", "activation_cells", "counts"):
        before, after = (
            list(csv.reader(getattr(c, name).open(newline=""))) for c in (chapter, again)
        )
        assert [[OTHER_NAMES.get(cell, cell) for cell in row] for row in before] == after, name
    (tmp_path / "plain").mkdir()
    plain, odd = plotted(chapter, tmp_path / "plain"), plotted(again, tmp_path)
    assert odd["forest"] == plain["forest"]
    assert sorted(set(read_csv(tmp_path / "clamping.csv", CLAMPING_PLOT)["cell"])) == [
        "0, NA", "0, None", "1, NA", "1, None"
    ]  # fmt: skip
    assert len(odd["clamping"].splitlines()) == len(plain["clamping"].splitlines())


def test_clamps_must_hold_the_identity(chapter):
    with pytest.raises(ParamsError, match="multiplier 1"):
        clamp_step(chapter.lm).changed(clamps=(-4.0, 4.0))
