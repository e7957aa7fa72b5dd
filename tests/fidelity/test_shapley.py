"""Shapley values by hand, their axioms, and their values for a decoder divided into two parts."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from train.records import untrained

from fispace.chapters.fidelity.arm import without_decoder
from fispace.chapters.fidelity.shapley import DECODER, games
from fispace.chapters.fidelity.tables import CANONICAL, PUBLISHED
from fispace.models.integrated import ablations
from fispace.models.sparse import sparse_sum
from fispace.stats.gains import gain
from fispace.stats.metrics import squared_error
from fispace.stats.shapley import coalitions, leave_one_out, shapley_value, total_value
from fispace.study.config.parts import PARTS
from fispace.study.config.train import InitConfig

PLAYERS = ("bias", "interaction", "linear")


def game(*values, players=PLAYERS):
    return {c: np.array(v, dtype=float) for c, v in zip(coalitions(players), values, strict=True)}


def test_two_players_by_hand():
    # a adds 10 first and 20 - 4 = 16 last, so 13; b adds 4 first and 10 last, so 7
    values = game(0, 10, 4, 20, players=("a", "b"))
    assert (shapley_value(values, "a"), shapley_value(values, "b")) == (13, 7)
    assert (leave_one_out(values, "a"), leave_one_out(values, "b")) == (16, 10)


def test_three_players_by_hand():
    # the glove game: `a` and `b` hold a left glove, `c` the only right one; a pair is worth 1
    values = game(0, 0, 0, 0, 0, 1, 1, 1, players=("a", "b", "c"))
    found = [float(shapley_value(values, player)) for player in "abc"]
    assert found == pytest.approx([1 / 6, 1 / 6, 2 / 3])
    assert [float(leave_one_out(values, player)) for player in "abc"] == [0, 0, 1]


numbers = st.lists(st.floats(-5, 5), min_size=8, max_size=8)


@settings(max_examples=30, deadline=None)
@given(numbers)
def test_efficiency_shares_sum_to_what_all_players_add_together(values):
    found = game(*values)
    assert sum(shapley_value(found, p) for p in PLAYERS) == pytest.approx(
        total_value(found), abs=1e-9
    )


@settings(max_examples=30, deadline=None)
@given(numbers)
def test_symmetry_players_that_add_the_same_everywhere_get_the_same(values):
    found = game(*values)
    for rest in coalitions(("linear",)):
        found[rest | {"bias"}] = found[rest | {"interaction"}]
    assert shapley_value(found, "bias") == pytest.approx(
        shapley_value(found, "interaction"), abs=1e-9
    )


@settings(max_examples=30, deadline=None)
@given(numbers)
def test_a_dummy_that_adds_the_same_to_every_coalition_gets_just_that(values):
    found = game(*values)
    for rest in coalitions(("bias", "linear")):
        found[rest | {"interaction"}] = found[rest] + 3
    assert shapley_value(found, "interaction") == pytest.approx(3)
    assert leave_one_out(found, "interaction") == pytest.approx(3)


def test_resamples_are_computed_one_by_one():
    one, other = game(0, 10, 4, 20, players=("a", "b")), game(0, 1, 2, 9, players=("a", "b"))
    both = {c: np.array([one[c], other[c]]) for c in one}
    assert shapley_value(both, "a").tolist() == [float(shapley_value(g, "a")) for g in (one, other)]


def test_a_missing_coalition_is_an_error():
    values = game(0, 10, 4, 20, players=("a", "b"))
    del values[frozenset({"b"})]
    with pytest.raises(KeyError):
        shapley_value(values, "a")


def model_of(parts=("sae", "linear", "bias", "interaction")):
    init = InitConfig(factors=0.5, linear=0.3, mlp=0.5)
    model = untrained(parts, d_model=8, n_latents=24, k=4, d_embed=3, init=init, root_seed=7)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name == "bias":
                weight.copy_(torch.linspace(-0.5, 0.5, 8))
    return model.eval().requires_grad_(False)


def tokens(n=200):
    return torch.randn(n, 8, generator=torch.Generator().manual_seed(5))


def error(z, z_hat):
    return squared_error(z, z_hat).sum().numpy()[None]


def shares(model, z):
    """Shapley shares in FVU by form and part; the FVU's denominator cancels, so errors suffice."""
    codes = model.sae.encode(z)
    sets = [*ablations(model.parts), *without_decoder(model.parts)]
    losses = {frozenset(p): error(z, model.reconstruct(codes, p)) for p in sets}
    nothing = error(z, torch.zeros_like(z))
    return {
        form: {p: float((shapley_value(g, p) / total_value(g))[0]) for p in max(g, key=len)}
        for form, g in games(losses, nothing).items()
    }


def test_sae_plus_linear_is_one_sae_with_the_merged_decoder():
    model, z = model_of(), tokens()
    codes = model.sae.encode(z)
    merged = model_of()
    merged.sae.W_dec.add_(merged.W_lin)
    torch.testing.assert_close(
        model.reconstruct(codes, ["sae", "linear"]), merged.reconstruct(codes, ["sae"])
    )
    torch.testing.assert_close(
        model.reconstruct(codes, ["sae", "linear"]),
        sparse_sum(codes, model.sae.W_dec + model.W_lin),
    )


def test_moving_weight_between_the_two_decoders_changes_published_shares_and_no_canonical_one():
    model, z = model_of(), tokens()
    before = shares(model, z)
    moved = torch.randn(model.W_lin.shape, generator=torch.Generator().manual_seed(3)) * 0.3
    model.W_lin.add_(moved)
    model.sae.W_dec.sub_(moved)
    after = shares(model, z)
    assert after[CANONICAL] == pytest.approx(before[CANONICAL], abs=1e-4)
    change = [abs(after[PUBLISHED][p] - before[PUBLISHED][p]) for p in before[PUBLISHED]]
    assert max(change) > 0.05


def test_the_players_of_an_arm_are_its_own_parts():
    found = shares(model_of(("sae", "linear", "bias")), tokens())
    assert set(found[PUBLISHED]) == {"linear", "bias"}
    assert set(found[CANONICAL]) == {DECODER, "bias"}
    assert set(shares(model_of(("sae",)), tokens())) == {CANONICAL}


def purely_linear_data(n):
    """Sums of two of sixteen directions with positive strengths, centred: nothing interacts."""
    stream = torch.Generator().manual_seed(1)
    directions = torch.linalg.qr(torch.randn(16, 16, generator=stream)).Q
    chosen = torch.rand(n, 16, generator=stream).topk(2, dim=1).indices
    strengths = torch.zeros(n, 16).scatter_(1, chosen, 0.5 + torch.rand(n, 2, generator=stream))
    z = strengths @ directions
    return (z - z.mean(0)) / z.std()


def test_on_purely_linear_data_the_published_metric_still_reports_a_large_improvement():
    # paper's metric: 1 - MSE(all parts) / MSE(the same model without linear part and interaction)
    z = purely_linear_data(2048)
    init = InitConfig(factors=0.05, linear=0.01, mlp=0.01)
    model = untrained(PARTS, d_model=16, n_latents=64, k=4, d_embed=4, init=init)
    divided = (model.sae.W_dec - model.W_lin).detach().clone()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(300):
        optimiser.zero_grad()
        (model(z, model.parts) - z).square().mean().backward()
        optimiser.step()
    model.eval().requires_grad_(False)
    torch.testing.assert_close(  # equal gradients never change the division of the decoder
        model.sae.W_dec - model.W_lin, divided, atol=1e-4, rtol=0
    )
    codes = model.sae.encode(z)
    mse = {
        p: (model.reconstruct(codes, p) - z).square().mean().item() for p in ablations(model.parts)
    }
    assert gain(mse["sae",], mse[model.parts]) > 0.4
    assert abs(shares(model, z)[CANONICAL]["interaction"]) < 0.05
