"""The train step: arms of a seed are paired, checkpoints carry their configuration, runs repeat."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from train.small_training import D_MODEL, JOINT, PARAMS, SAE, SEQUENTIAL, arm_row, run

from fispace.chapters.factorial.encoder_stack import load_arm
from fispace.chapters.train.arm import train_candidate
from fispace.chapters.train.choose_lr import choose_lr
from fispace.errors import ArtifactError, ArtifactMismatchError, DivergedError, ParamsError
from fispace.models import topk
from fispace.models.topk import selection_dtype
from fispace.models.trained import initial_model, load_trained, training_record
from fispace.store.checkpoint import data_record
from fispace.store.files import read_json, sha256_of, write_json
from fispace.store.standardiser import unit_standardiser
from fispace.store.tables import read_recipe, read_table
from fispace.study.config.train import ArmModel, ChooseLrStep, Rates


def test_the_same_seed_twice_gives_the_same_bytes(store):
    first, second = run(store, "joint", JOINT, folder="a"), run(store, "joint", JOINT, folder="b")
    assert first.read_bytes() == second.read_bytes()
    assert (store / "a/joint.parquet").read_bytes() == (store / "b/joint.parquet").read_bytes()


def test_the_life_cycle_is_written_at_every_validation(store):
    run(store, "joint", JOINT, params=PARAMS.changed(val_every=20))
    history = read_table(store / "out/joint.lifecycle.parquet")
    assert history["step"].unique().tolist() == [20, 40, 60]
    last = history[history["step"] == 60]
    assert last["latent"].tolist() == list(range(PARAMS.n_latents))
    assert last["firings"].sum() <= 60 * PARAMS.batch_tokens * PARAMS.k
    assert (last["tokens_since_last_firing"] <= last["n_tokens"]).all()
    assert (last["distance_from_initial"] > 0).any()


@pytest.mark.parametrize(
    ("capability", "n_latents", "expected"),
    [("avx512_bf16", 4608, "bfloat16"), ("amx_bf16", 4608, "bfloat16"),
     ("avx512_bf16", 800, "float32"), ("avx2", 4608, "float32")],
)  # fmt: skip
def test_auto_is_bfloat16_for_large_saes_on_processors_that_have_it(
    monkeypatch, capability, n_latents, expected
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {capability: True})
    assert selection_dtype("auto", 288, n_latents, 16) == expected
    assert selection_dtype("auto", 288, n_latents, 200) == "float32"  # many of the latents
    assert selection_dtype("float32", 288, n_latents, 16) == "float32"
    assert selection_dtype("bfloat16", 8, 10, 10) == "bfloat16"


def bfloat16_from(monkeypatch, n_weights):
    """Simulate a processor on which bfloat16 is faster above this number of encoder weights."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    monkeypatch.setattr(topk, "BFLOAT16_WEIGHTS", n_weights)
    monkeypatch.setattr(topk, "BFLOAT16_LATENTS_PER_K", 1)


def test_the_precision_of_the_selection_is_decided_once_for_all_arms_and_kept(store, monkeypatch):
    bfloat16_from(monkeypatch, D_MODEL * PARAMS.n_latents)
    params = PARAMS.changed(topk_dtype="auto")
    matched = run(
        store, "sae_matched", SAE | {"matched_to": "joint"}, params=params,
        matched_row=JOINT,
    )  # fmt: skip
    larger = load_trained(matched, {})
    assert larger.model.sae.W_enc.numel() > D_MODEL * PARAMS.n_latents
    assert larger.record.params.topk_dtype == larger.model.sae.topk_dtype == "float32"
    bfloat16_from(monkeypatch, 0)
    joint = load_trained(run(store, "joint", JOINT, params=params), {})
    assert joint.record.params.topk_dtype == joint.model.sae.topk_dtype == "bfloat16"
    changed = run(store, "cut", SAE, params=PARAMS, changed={"topk_dtype": "auto", "k": 2})
    assert load_trained(changed, {}).record.params.topk_dtype == "bfloat16"


def test_a_copied_sae_selects_in_its_trained_precision_on_every_machine(store, monkeypatch):
    params = PARAMS.changed(topk_dtype="auto")
    bfloat16_from(monkeypatch, 0)
    sae = run(store, "sae", SAE, params=params)
    bfloat16_from(monkeypatch, 10**9)
    copied = run(store, "sequential", SEQUENTIAL, params=params, frozen=sae)
    assert load_trained(copied, {}).model.sae.topk_dtype == "bfloat16"
    told = run(store, "sequential", SEQUENTIAL, params=PARAMS, frozen=sae, folder="told")
    assert load_trained(told, {}).model.sae.topk_dtype == "float32"


def test_a_candidate_rate_is_tried_in_the_precision_of_the_arms(store, monkeypatch):
    bfloat16_from(monkeypatch, 0)
    out = store / "out"
    out.mkdir()
    train_candidate(
        PARAMS.changed(topk_dtype="auto"), lr=0.01, seed=0, manifest=store / "manifest.json",
        standardiser=store / "standardiser.safetensors", scratch=out / "scratch",
        checkpoint_seconds=60.0, curve=out / "curve.parquet",
    )  # fmt: skip
    assert read_recipe(out / "curve.parquet")["params"]["topk_dtype"] == "bfloat16"


@pytest.mark.parametrize(("key", "value"), [("topk_dtype", "auto"), ("select_by", "size")])
def test_a_record_with_an_unknown_selection_is_refused(store, key, value):
    record = load_trained(run(store, "sae", SAE), {}).record.plain()
    record["params"][key] = value
    with pytest.raises(ArtifactMismatchError, match=rf"params\.{key}.*'{value}'"):
        training_record(record, Path("a.safetensors"))


def test_another_seed_gives_another_model(store):
    first, second = run(store, "sae", SAE, folder="a"), run(store, "sae", SAE, seed=1, folder="b")
    assert first.read_bytes() != second.read_bytes()


def test_the_sequential_arm_keeps_the_trained_sae_and_lowers_its_error(store):
    sae = run(store, "sae", SAE)
    sequential = run(store, "sequential", SEQUENTIAL, frozen=sae)
    before, after = load_trained(sae, {}).model, load_trained(sequential, {}).model
    assert all(
        torch.equal(value, after.sae.state_dict()[name])
        for name, value in before.sae.state_dict().items()
    )
    curves = [read_table(store / f"out/{arm}.parquet") for arm in ("sae", "sequential")]
    assert curves[1]["val_fvu"].iloc[-1] < curves[0]["val_fvu"].iloc[-1]


@pytest.mark.parametrize("options", [{"subtract_bias": True}, {"select_by": "contribution"}])
def test_a_stored_model_is_the_one_that_was_validated_last(store, options):
    from fispace.stats.metrics import FvuSums
    from fispace.store.activations import ActivationStore
    from fispace.store.standardiser import load_standardiser

    row = arm_row(["sae", "bias"])
    plain = load_trained(run(store, "plain", row), {}).model
    model = load_trained(run(store, "arm", row, params=PARAMS.changed(**options)), {}).model
    assert not torch.equal(model.sae.W_enc, plain.sae.W_enc)
    units, sums = (
        load_standardiser(store / "standardiser.safetensors"),
        FvuSums(model.d_model),
    )
    for x in ActivationStore(store / "manifest.json").groups("val"):
        z = units.standardise(torch.from_numpy(x))
        sums.add(z, model(z, model.parts))
    last = read_table(store / "out/arm.parquet")["val_fvu"].iloc[-1]
    assert sums.fvu == pytest.approx(last, rel=1e-4)


def test_a_frozen_sae_reads_activations_as_they_are(store):
    options = PARAMS.changed(subtract_bias=True)
    sae = run(store, "sae", SAE, params=options)
    ours = run(store, "sequential", SEQUENTIAL, frozen=sae, params=options, folder="a")
    plain = run(store, "sequential", SEQUENTIAL, frozen=sae, folder="b")
    weights = [load_trained(path, {}).model.state_dict() for path in (ours, plain)]
    assert all(torch.equal(weights[0][name], value) for name, value in weights[1].items())


def test_the_interactions_mean_over_train_tokens_is_zero_after_training(store):
    from fispace.store.activations import ActivationStore
    from fispace.store.standardiser import load_standardiser

    model = load_trained(run(store, "joint", JOINT), {}).model
    assert model.interaction.mean_output.abs().max() > 0
    units = load_standardiser(store / "standardiser.safetensors")
    x = np.concatenate(list(ActivationStore(store / "manifest.json").groups("train")))
    mean = model(units.standardise(torch.from_numpy(x)), ["interaction"]).mean(0)
    assert mean.abs().max() < 1e-5


def test_a_part_of_the_train_tokens_gives_about_the_same_mean(store):
    whole, part = (
        load_trained(
            run(
                store,
                "joint",
                JOINT,
                params=PARAMS.changed(interaction_mean_tokens=n),
                folder=str(n),
            ),
            {},
        ).model
        for n in (10**6, 1000)
    )
    assert torch.equal(whole.sae.W_dec, part.sae.W_dec)
    difference = whole.interaction.mean_output - part.interaction.mean_output
    assert 0 < difference.norm() < 0.2 * whole.interaction.mean_output.norm()


def test_dropout_and_data_order_do_not_depend_on_other_arms(store):
    alone = run(store, "joint", JOINT, folder="alone").read_bytes()
    run(store, "sae", SAE, folder="after")
    assert run(store, "joint", JOINT, folder="after").read_bytes() == alone


def test_a_checkpoint_carries_its_configuration_and_its_initial_model(store):
    path = run(store, "joint", JOINT, seed=3)
    trained = load_trained(path, {"arm": "joint", "seed": 3})
    assert trained.record.params.k == 4
    assert trained.record.rates == Rates(sae=0.01, linear=0.01, interaction=0.01)
    assert trained.record.manifest == sha256_of(store / "manifest.json")
    initial = initial_model(trained.record)
    assert torch.equal(initial.sae.W_enc, initial.sae.W_dec)
    assert not torch.equal(initial.sae.W_dec, trained.model.sae.W_dec)


@pytest.mark.parametrize(("key", "value"), [("arm", "sae"), ("seed", 1), ("manifest", "0")])
def test_a_checkpoint_of_another_arm_is_refused_by_name(store, key, value):
    with pytest.raises(ArtifactMismatchError, match=key):
        load_trained(run(store, "joint", JOINT), {key: value})


def test_a_checkpoint_of_another_width_is_refused_with_both_widths(store):
    path = run(store, "joint", JOINT)
    manifest = read_json(store / "manifest.json")
    write_json(store / "wider.json", manifest | {"d_model": 96})
    data = data_record(store / "wider.json", store / "standardiser.safetensors")
    with pytest.raises(ArtifactMismatchError, match=f"d_model is {D_MODEL} in the .* and 96 here"):
        load_trained(path, data)


def test_a_standardiser_of_another_width_is_refused_with_both_widths(store):
    wider = store / "wider.safetensors"
    unit_standardiser(96).save(wider, {})
    with pytest.raises(ArtifactMismatchError, match=f"d_model is {D_MODEL} in the .* and 96 here"):
        load_arm(run(store, "joint", JOINT), wider)


def test_a_frozen_sae_of_another_seed_is_refused(store):
    sae = run(store, "sae", SAE, seed=1)
    with pytest.raises(ArtifactMismatchError, match="seed"):
        run(store, "sequential", SEQUENTIAL, seed=0, frozen=sae)


def test_a_damaged_checkpoint_is_refused(store):
    path = run(store, "sae", SAE)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ArtifactError, match=r"sae\.safetensors"):
        load_trained(path, {})


def test_an_altered_shard_stops_the_training(store):
    shard = store / "train/shard-1-of-1.parquet"
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match="checksum"):
        run(store, "sae", SAE)
    assert not (store / "out").exists()


def test_a_diverging_training_leaves_no_checkpoint(store):
    write_json(store / "lr.json", {"lr": 1e30})
    with pytest.raises(DivergedError, match=r"^arm joint, seed 3: .* step \d+"):
        run(store, "joint", JOINT, seed=3, params=PARAMS.changed(grad_clip=None))
    assert not list(store.glob("out/*"))


def test_the_learning_rate_with_the_lowest_validation_fvu_is_chosen(store):
    curves = []
    for lr in (1e-5, 1e-2, 1e-3):
        curves.append(store / f"{lr}.parquet")
        train_candidate(
            PARAMS, lr=lr, seed=0, manifest=store / "manifest.json",
            standardiser=store / "standardiser.safetensors", scratch=store / "scratch",
            checkpoint_seconds=60.0, curve=curves[-1],
        )  # fmt: skip
    choose_lr(
        ChooseLrStep(lr_candidates=(1e-5, 1e-2, 1e-3)), curves=curves, lr=store / "chosen.json"
    )
    chosen = json.loads((store / "chosen.json").read_text())
    final = {
        lr: read_table(store / f"{lr}.parquet")["val_fvu"].iloc[-1] for lr in (1e-5, 1e-2, 1e-3)
    }
    assert chosen["lr"] == min(final, key=final.get) == 1e-2
    assert chosen["is_at_edge"] is True


def test_a_single_candidate_needs_no_training(store):
    choose_lr(ChooseLrStep(lr_candidates=(1e-4,)), curves=[], lr=store / "chosen.json")
    assert json.loads((store / "chosen.json").read_text())["lr"] == 1e-4


def test_the_curve_ends_at_the_last_step_with_a_tenth_of_the_peak(store):
    run(store, "sae", SAE)
    curve: pd.DataFrame = read_table(store / "out/sae.parquet")
    assert curve["step"].iloc[-1] == PARAMS.n_steps
    assert curve["lr"].iloc[-1] == pytest.approx(0.001)
    assert curve["n_tokens"].iloc[-1] == PARAMS.n_tokens


def test_more_active_latents_than_latents_are_refused():
    with pytest.raises(ParamsError, match="k=33 must be <= n_latents=32"):
        PARAMS.changed(k=33)


@pytest.mark.parametrize("parts", [["linear"], ["sae", "sae"]])
def test_an_arm_needs_the_sae_once(parts):
    with pytest.raises(ParamsError, match="parts"):
        ArmModel.read(arm_row(parts), "train.arms.x")


def test_a_changed_parameter_replaces_that_of_the_study_and_is_recorded(store):
    plain = load_trained(run(store, "joint", JOINT), {}).record.plain()
    changed = {"lr_decay_fraction": 0.1, "adam_betas": [0.8, 0.99]}
    other = load_trained(run(store, "joint", JOINT, changed=changed, folder="b"), {}).record.plain()
    assert other["params"] == plain["params"] | changed
    again = run(
        store, "joint", JOINT, params=PARAMS.changed(lr_decay_fraction=0.1, adam_betas=(0.8, 0.99))
    )
    assert again.read_bytes() == (store / "b/joint.safetensors").read_bytes()


def test_an_unknown_changed_parameter_is_refused(store):
    with pytest.raises(ParamsError, match=r"train\.learning_rate: unknown parameter"):
        run(store, "joint", JOINT, changed={"learning_rate": 1})


def test_standardising_per_row_group_changes_the_data_and_not_their_order(store):
    plain = run(store, "sae", SAE, folder="a")
    alone = run(store, "sae", SAE, changed={"standardise_per": "row_group"}, folder="b")
    first, second = load_trained(plain, {}), load_trained(alone, {})
    assert second.record.params.standardise_per == "row_group"
    assert not torch.equal(first.model.sae.W_dec, second.model.sae.W_dec)
    # the groups of 256 tokens have similar moments, so the trained models are similar
    fvu = [read_table(store / f"{name}/sae.parquet")["val_fvu"].iloc[-1] for name in "ab"]
    assert fvu[1] == pytest.approx(fvu[0], rel=0.2)
