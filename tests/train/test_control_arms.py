"""Control arms: what each shares with the arm that it controls, and what it must lack."""

import json

import pytest
import torch
from train.records import untrained
from train.small_training import D_MODEL, JOINT, PARAMS, SAE, SEQUENTIAL, arm_row, run

from fispace.errors import ParamsError
from fispace.models.integrated import IntegratedModel
from fispace.models.interaction import FirstOrder
from fispace.models.parts import Widths, matched_n_latents, n_parameters
from fispace.models.trained import load_trained
from fispace.store.tables import read_table
from fispace.study.config.parts import ALL_PARTS, Part
from fispace.study.config.train import ArmModel, InitConfig

MATCHED = SAE | {"matched_to": "joint"}
MLP_PROBE = SEQUENTIAL | {"pooling": "sum"}
PAPER = Widths(d_model=3200, n_latents=50_000, d_embed=300)
SMALL = Widths(d_model=6, n_latents=20, d_embed=3)
INIT = InitConfig(factors=0.1, linear=0.1, mlp=0.1)
WHOLE: list[Part] = ["sae", "linear", "bias", "interaction"]


def total(model: IntegratedModel) -> int:
    return sum(weight.numel() for weight in model.parameters())


def test_the_counted_parameters_are_those_of_the_model():
    for part in ALL_PARTS:
        parts: list[Part] = ["sae", part] if part != "sae" else ["sae"]
        model = untrained(parts, **SMALL._asdict(), k=4, init=INIT, root_seed=1)
        assert total(model) == sum(n_parameters(SMALL, counted) for counted in parts)


def test_at_the_papers_sizes_an_sae_of_77504_latents_has_the_joint_models_parameters():
    assert matched_n_latents(PAPER, ["sae"], WHOLE) == 77_504


@pytest.mark.parametrize("sizes", [(6, 20, 3), (128, 1536, 32), (9, 7, 11), (1, 1, 1)])
@pytest.mark.parametrize("parts", [["sae"], ["sae", "bias"], ["sae", "linear"]])
def test_matched_parameter_counts_differ_by_less_than_one_latents(sizes, parts):
    widths = Widths(*sizes)
    target = sum(n_parameters(widths, part) for part in WHOLE)
    matched = widths._replace(n_latents=matched_n_latents(widths, parts, WHOLE))
    one_more = matched._replace(n_latents=matched.n_latents + 1)
    assert sum(n_parameters(matched, part) for part in parts) <= target
    assert sum(n_parameters(one_more, part) for part in parts) > target


def test_the_matched_sae_has_the_joint_models_parameters_and_its_record_says_how_many_latents(
    store,
):
    matched = load_trained(run(store, "sae_matched", MATCHED, matched_row=JOINT), {})
    joint = load_trained(run(store, "joint", JOINT), {}).model
    assert 0 <= total(joint) - total(matched.model) < 2 * D_MODEL + 1
    assert matched.record.params.n_latents == matched.model.config.n_latents > PARAMS.n_latents
    assert matched.record.params.k == PARAMS.k


def test_the_first_order_probe_differs_from_the_sequential_arm_in_its_pooling_alone(store):
    sae = run(store, "sae", SAE)
    probe = load_trained(run(store, "mlp_probe", MLP_PROBE, frozen=sae), {})
    sequential = load_trained(run(store, "sequential", SEQUENTIAL, frozen=sae), {})
    assert type(probe.model.interaction) is FirstOrder
    assert (probe.model.pooling, sequential.model.pooling) == ("sum", "pairs")
    assert probe.model.config == sequential.model.config
    assert probe.model.d_model == sequential.model.d_model
    assert total(probe.model) == total(sequential.model)
    assert torch.equal(probe.model.sae.W_dec, sequential.model.sae.W_dec)
    assert probe.record.row.plain() == MLP_PROBE
    assert {k: v for k, v in probe.record.plain().items() if k not in ("arm", "row")} == {
        k: v for k, v in sequential.record.plain().items() if k not in ("arm", "row")
    }


def test_the_recorded_row_of_a_plain_arm_keeps_its_format(store):
    assert load_trained(run(store, "joint", JOINT), {}).record.row.plain() == JOINT


def test_a_bias_fitted_beside_a_frozen_sae_only_shifts_the_mean(store):
    sae = run(store, "sae", SAE)
    row = arm_row(["sae", "bias"], frozen_sae_from="sae")
    bias_only = load_trained(run(store, "bias_only", row, frozen=sae), {}).model
    before = load_trained(sae, {}).model
    z = torch.randn(20, D_MODEL)
    moved = bias_only(z, bias_only.parts) - before(z, before.parts)
    torch.testing.assert_close(moved, bias_only.bias.expand(20, -1))
    curves = [read_table(store / f"out/{arm}.parquet") for arm in ("sae", "bias_only")]
    assert curves[1]["val_fvu"].iloc[-1] < curves[0]["val_fvu"].iloc[-1]


def test_an_unknown_option_of_a_row_is_refused_with_its_key(store):
    with pytest.raises(ParamsError, match=r"mlp_probe\.shuffle: unknown parameter"):
        run(store, "mlp_probe", MLP_PROBE | {"shuffle": True})


@pytest.mark.parametrize(("parts", "pooling"), [(["sae"], "sum"), (WHOLE, None)])
def test_a_pooling_belongs_to_an_interaction(parts, pooling):
    with pytest.raises(ParamsError, match="pooling"):
        row = {"parts": parts, "frozen_sae_from": None, "pooling": pooling, "matched_to": None}
        ArmModel.read(row, "train.arms.x")


def test_the_order_of_rows_and_of_their_keys_changes_no_byte(store):
    turned = json.loads(json.dumps(dict(reversed(MLP_PROBE.items()))))
    sae = run(store, "sae", SAE)
    first = run(store, "mlp_probe", MLP_PROBE, frozen=sae, folder="a")
    assert (
        run(store, "mlp_probe", turned, frozen=sae, folder="b").read_bytes() == first.read_bytes()
    )


RESIDUAL = arm_row(["sae", "bias", "residual_sae"], frozen_sae_from="sae")


def test_the_residual_sae_reads_the_same_input_and_is_fitted_to_the_residual_of_the_frozen_sae(
    store,
):
    sae = run(store, "sae", SAE)
    model = load_trained(run(store, "residual_sae", RESIDUAL, frozen=sae), {}).model
    before = load_trained(sae, {}).model
    assert torch.equal(model.sae.W_dec, before.sae.W_dec)
    z = torch.randn(30, D_MODEL)
    second = model.residual_sae.encode(z)
    added = model(z, model.parts) - before(z, before.parts) - model.bias
    torch.testing.assert_close(added, model.residual_sae.decode(second))
    curves = [read_table(store / f"out/{arm}.parquet") for arm in ("sae", "residual_sae")]
    assert curves[1]["val_fvu"].iloc[-1] < curves[0]["val_fvu"].iloc[-1]


def test_both_saes_of_the_residual_arm_have_the_same_size_and_different_initial_weights():
    model = untrained(("sae", "residual_sae"), **SMALL._asdict(), k=4, init=INIT, root_seed=1)
    assert model.residual_sae.W_dec.shape == model.sae.W_dec.shape
    assert model.residual_sae.k == model.sae.k
    assert not torch.equal(model.residual_sae.W_dec, model.sae.W_dec)
    assert n_parameters(SMALL, "residual_sae") == n_parameters(SMALL, "sae")


def test_the_residual_part_without_its_codes_is_refused():
    model = untrained(("sae", "residual_sae"), **SMALL._asdict(), k=4, init=INIT, root_seed=1)
    with pytest.raises(ValueError, match="residual_sae"):
        model.reconstruct(model.sae.encode(torch.randn(3, 6)), model.parts)


def test_the_life_cycle_of_the_residual_arm_is_that_of_its_second_sae(store):
    sae = run(store, "sae", SAE)
    run(store, "residual_sae", RESIDUAL, frozen=sae)
    history = read_table(store / "out/residual_sae.lifecycle.parquet")
    assert (history["distance_from_initial"] > 0).any()  # a frozen SAE does not move


def test_a_residual_sae_needs_a_frozen_one():
    with pytest.raises(ParamsError, match="frozen_sae_from"):
        row = arm_row(["sae", "residual_sae"])
        ArmModel.read(row, "train.arms.x")
