"""Each arm's own settings: as many tries for every arm, the best by validation, and rates by part."""

import json
from pathlib import Path

import pytest
import torch
from train.records import untrained
from train.small_training import JOINT, PARAMS, SAE, SEQUENTIAL, run

from fispace.chapters.train.arm import train_try
from fispace.chapters.train.settings import chosen_settings, tried_settings
from fispace.chapters.train.tables import TUNING as TUNING_TABLE
from fispace.chapters.train.tune import tabulate_tuning, tune
from fispace.errors import ArtifactError, DivergedError, ParamsError
from fispace.models.optimiser import build_optimiser
from fispace.models.parts import rate_of
from fispace.models.trained import initial_model, load_trained
from fispace.store.files import read_json, write_json
from fispace.store.tables import read_csv, read_recipe, read_table
from fispace.study.config.parts import PARTS
from fispace.study.config.train import (
    ArmModel,
    HeadTry,
    InitConfig,
    Rates,
    Settings,
    TryArmStep,
    TuneArmStep,
    TuningConfig,
)
from fispace.study.params import load_study

ROOT = Path(__file__).parents[2]
OWN = InitConfig(factors=0.2, linear=0.02, mlp=0.3)
HEADS = (
    HeadTry(sae=1.0, linear=1e-3, interaction=1e-3, dropout=PARAMS.dropout, init=PARAMS.init),
    HeadTry(sae=3.0, linear=0.5, interaction=2.0, dropout=0.0, init=OWN),
)
TUNING = TuningConfig(token_share=0.5, heads=HEADS)
RATES = (1e-2, 1e-5)
TRIED = TuneArmStep(lr_candidates=RATES, tuning=TUNING, dropout=PARAMS.dropout, init=PARAMS.init)
TRY = TryArmStep.read(
    PARAMS.plain() | {"lr_candidates": list(RATES), "tuning": TUNING.plain()}, "train"
)


def try_arm(store, arm, row, number, params=TRY, frozen=None, matched_row=None):
    curve = store / "tries" / arm / f"{number}.parquet"
    train_try(
        params, arm=arm, row=json.dumps(row), number=number, seed=0, lr=store / "lr.json",
        matched_row=None if matched_row is None else json.dumps(matched_row), frozen=frozen,
        manifest=store / "manifest.json", standardiser=store / "standardiser.safetensors",
        scratch=store / "scratch/try", checkpoint_seconds=60.0, curve=curve,
    )  # fmt: skip
    return curve


def tuned(store, arm, row, curves, params=TRIED):
    chosen = store / "tuned" / f"{arm}.json"
    tune(params, arm=arm, row=json.dumps(row), lr=store / "lr.json", curves=curves, chosen=chosen)
    return chosen


@pytest.mark.parametrize("kind", ["adam", "row_sparse_adam"])
def test_a_weight_with_a_multiple_moves_as_by_that_rate_and_no_other_weight_does(kind):
    def moved(lr, multiples):
        model = untrained(PARTS, d_model=8, n_latents=24, k=5, d_embed=3, init=OWN, root_seed=1)
        start = {name: weight.detach().clone() for name, weight in model.named_parameters()}
        optimiser = build_optimiser(model, kind, lr, (0.9, 0.999), 1e-8, multiples)
        z = torch.randn(30, 8, generator=torch.Generator().manual_seed(3))
        (model(z, PARTS) - z).square().mean().backward()
        optimiser.step()
        return {name: weight.detach() - start[name] for name, weight in model.named_parameters()}

    shared, double = moved(0.01, {}), moved(0.02, {})
    own = moved(0.01, {"interaction.V": 2.0})
    for name, change in own.items():
        expected = double if name == "interaction.V" else shared
        assert torch.equal(change, expected[name])
    assert own["interaction.V"].abs().max() > 0


def test_every_weight_of_a_model_has_the_rate_of_its_part():
    model = untrained(PARTS, d_model=8, n_latents=24, k=5, d_embed=3, init=OWN)
    found = {name: rate_of(name) for name, _ in model.named_parameters()}
    assert found == {
        "sae.W_enc": "sae", "sae.b_enc": "sae", "sae.W_dec": "sae", "bias": "sae",
        "W_lin": "linear", "interaction.V": "interaction", "interaction.W_hidden": "interaction",
        "interaction.b_hidden": "interaction", "interaction.W_out": "interaction",
    }  # fmt: skip


def test_every_arm_gets_as_many_tries_its_head_or_its_rate():
    joint, sae = (ArmModel.read(row, "row") for row in (JOINT, SAE))
    of_head, of_sae = (tried_settings(TRIED, row, 0.02) for row in (joint, sae))
    assert len(of_head) == len(of_sae) == 2
    assert of_head[1] == Settings(
        rates=Rates(sae=0.06, linear=0.01, interaction=0.04), dropout=0.0, init=OWN
    )
    assert [each.rates.sae for each in of_sae] == list(RATES)
    assert {each.init for each in of_sae} == {PARAMS.init}


def test_the_try_with_the_lowest_validation_fvu_is_chosen_and_the_arm_is_trained_with_it(store):
    curves = [try_arm(store, "joint", JOINT, number) for number in (0, 1)]
    ends = [read_table(curve)["val_fvu"].iloc[-1] for curve in curves]
    assert ends[1] < ends[0]  # a head that hardly moves is the worse one
    chosen = tuned(store, "joint", JOINT, curves[::-1])
    assert read_json(chosen)["try"] == 1
    assert [each["val_fvu"] for each in read_json(chosen)["tries"]] == ends
    expected = tried_settings(TRIED, ArmModel.read(JOINT, "row"), 0.01)[1]
    assert chosen_settings(chosen, PARAMS) == expected
    (store / "lr.json").write_bytes(chosen.read_bytes())  # `run` reads the settings from there
    record = load_trained(run(store, "joint", JOINT), {}).record
    assert record.rates == expected.rates
    assert (record.params.init, record.params.dropout) == (expected.init, expected.dropout)
    assert initial_model(record).interaction.V.std().item() == pytest.approx(
        expected.init.factors, rel=0.3
    )


def test_a_try_takes_its_share_of_the_tokens(store):
    curve = try_arm(store, "sae", SAE, 0)
    recipe = read_recipe(curve)["params"]
    assert recipe["n_tokens"] == PARAMS.n_tokens // 2
    assert set(recipe) == set(PARAMS.plain())  # those of a training, not those of the search
    assert read_table(curve)["n_tokens"].iloc[-1] <= PARAMS.n_tokens // 2


def test_an_sae_without_a_head_is_tuned_by_its_rate(store):
    curves = [try_arm(store, "sae", SAE, number) for number in (0, 1)]
    chosen = read_json(tuned(store, "sae", SAE, curves))
    assert chosen["settings"]["rates"]["sae"] == 1e-2  # 1e-5 learns next to nothing in these steps


def test_a_head_over_a_frozen_sae_is_tried_on_that_sae(store):
    def last_fvu(frozen):
        curve = try_arm(store, "sequential", SEQUENTIAL, 0, frozen=frozen)
        return read_table(curve)["val_fvu"].iloc[-1]

    trained = run(store, "sae", SAE)
    hardly = run(store, "sae", SAE, params=PARAMS.changed(n_tokens=PARAMS.batch_tokens), folder="b")
    assert last_fvu(trained) < 0.8 * last_fvu(hardly)


def test_a_matched_arm_is_tried_at_its_own_size(store):
    row = SAE | {"matched_to": "joint"}
    recipe = read_recipe(try_arm(store, "sae_matched", row, 0, matched_row=JOINT))
    assert recipe["params"]["n_latents"] > PARAMS.n_latents


def diverging(params, *heads):
    tuning = {"token_share": 0.5, "heads": [head.plain() for head in heads]}
    return params.changed(**{"tuning": tuning, **({"grad_clip": None} if params is TRY else {})})


WILD = HeadTry(sae=1.0, linear=1e30, interaction=1e30, dropout=0.0, init=OWN)


def test_a_try_that_diverges_loses_and_leaves_nothing_behind(store):
    heads = WILD, HEADS[0]
    curves = [try_arm(store, "joint", JOINT, n, diverging(TRY, *heads)) for n in (0, 1)]
    found = read_json(tuned(store, "joint", JOINT, curves, diverging(TRIED, *heads)))
    assert found["try"] == 1 and found["tries"][0]["val_fvu"] is None
    assert not (store / "scratch/try").exists()


def test_an_arm_whose_every_try_diverges_is_refused_with_what_to_do(store):
    curve = try_arm(store, "joint", JOINT, 0, diverging(TRY, WILD))
    with pytest.raises(DivergedError, match=r"arm joint: every try diverged\. Lower .*heads"):
        tuned(store, "joint", JOINT, [curve], diverging(TRIED, WILD))


def test_curves_of_other_settings_are_refused(store):
    curve = try_arm(store, "joint", JOINT, 0)
    with pytest.raises(ArtifactError, match=r"arm joint: no curve of try 1 with the present"):
        tuned(store, "joint", JOINT, [curve])


@pytest.mark.parametrize(
    "content", [{}, {"lr": "fast"}, {"settings": {"rates": 1}}, {"lr": -1.0}, []]
)
def test_a_file_without_settings_is_refused_by_name(store, content):
    write_json(store / "lr.json", content)
    with pytest.raises(ArtifactError, match=r"lr\.json holds no"):
        chosen_settings(store / "lr.json", PARAMS)


def test_the_table_has_every_try_and_marks_the_chosen_one(store):
    curves = {arm: [try_arm(store, arm, row, n) for n in (0, 1)]
              for arm, row in (("joint", JOINT), ("sae", SAE))}  # fmt: skip
    files = [tuned(store, arm, JOINT if arm == "joint" else SAE, of) for arm, of in curves.items()]
    tabulate_tuning(chosen=files, table=store / "tuning.csv")
    table = read_csv(store / "tuning.csv", TUNING_TABLE)
    assert list(zip(table["arm"], table["try"], strict=True)) == [
        ("joint", 0), ("joint", 1), ("sae", 0), ("sae", 1)
    ]  # fmt: skip
    for _, rows in table.groupby("arm"):
        assert rows["is_chosen"].sum() == 1
        assert rows.loc[rows["is_chosen"], "val_fvu"].item() == rows["val_fvu"].min()
    assert table.loc[1, ["lr_interaction", "init_mlp", "dropout"]].tolist() == [0.02, 0.3, 0.0]


def test_unequal_budgets_are_refused_where_arms_are_tuned(tmp_path):
    overlay = tmp_path / "mine.yaml"
    overlay.write_text("train: {tuned: true, lr_candidates: [1.0e-2, 3.0e-2]}")
    with pytest.raises(
        ParamsError, match=r"train\.tuning\.heads.* has 3 settings, and lr_candidates has 2"
    ):
        load_study(ROOT, overrides={"overlay": str(overlay)})
    overlay.write_text(
        "train: {tuned: false, lr_candidates: [1.0e-2, 3.0e-2], audit: {switches: {untuned: null}}}"
    )
    load_study(ROOT, overrides={"overlay": str(overlay)})


def test_a_try_shorter_than_a_batch_is_refused(tmp_path):
    overlay = tmp_path / "mine.yaml"
    overlay.write_text("train: {tuned: true, tuning: {token_share: 0.0001}}")
    with pytest.raises(ParamsError, match=r"token_share.* is less than one batch"):
        load_study(ROOT, overrides={"overlay": str(overlay)})
