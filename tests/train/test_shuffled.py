"""Pooling with the latents of a partner token: formula, gradients, and the choice of partners."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from train.small_training import D_MODEL, JOINT, PARAMS, run
from train.test_sparse import SHAPES, assert_same_with_gradients, drawn, drawn_codes

from fispace.models.interaction import ShuffledPairs
from fispace.models.shuffled import shuffled_pair_sum, values_at
from fispace.models.sparse import Codes, pair_sum
from fispace.models.trained import load_trained
from fispace.seeds import random_cycle
from fispace.store.tables import read_table

SHUFFLED = JOINT | {"pooling": "shuffled"}


def cycle(n_tokens, seed):
    return random_cycle(n_tokens, torch.Generator().manual_seed(seed))


def dense_shuffled_pair_sum(f, partner, V):
    """The double loop over pairs of latents, one from the token and one from its partner."""
    g = f[partner]
    total = torch.zeros(len(f), V.shape[1], dtype=f.dtype)
    for i, j in itertools.combinations(range(f.shape[1]), 2):
        weight = (f[:, i] * g[:, j] + f[:, j] * g[:, i]) / 2
        total = total + weight[:, None] * (V[i] * V[j])
    return total


@settings(max_examples=60, deadline=None)
@given(**SHAPES)
def test_shuffled_pooling_and_its_gradients_equal_the_double_loop_over_pairs_of_two_tokens(
    n_tokens, n_latents, width, share, seed
):
    k = max(1, round(share * n_latents))
    codes, dense = drawn_codes(n_tokens, n_latents, k, seed)
    partner = cycle(n_tokens, seed)
    V, weights = drawn(n_latents, width, seed=seed + 1), drawn(n_tokens, width, seed=seed + 2)
    inputs = (codes.values, V)
    outputs = [shuffled_pair_sum(codes, partner, V), dense_shuffled_pair_sum(dense, partner, V)]
    assert_same_with_gradients(outputs, weights, inputs)


def test_two_tokens_by_hand():
    codes = Codes(torch.tensor([[2.0, 1.0], [3.0, 5.0]]), torch.tensor([[0, 1], [1, 2]]))
    V = torch.tensor([[1.0, 2.0], [3.0, 1.0], [1.0, 4.0]])
    # token 0: pairs (0,1): (2*3 + 1*0)/2 = 3, (0,2): 2*5/2 = 5, (1,2): (1*5 + 0*3)/2 = 2.5
    own = 3 * V[0] * V[1] + 5 * V[0] * V[2] + 2.5 * V[1] * V[2]
    found = shuffled_pair_sum(codes, torch.tensor([1, 0]), V)
    torch.testing.assert_close(
        found, own.expand(2, -1)
    )  # with two tokens, each is the partner of the other


def test_with_every_token_its_own_partner_the_pooling_is_the_ordinary_one():
    codes, _ = drawn_codes(7, 9, 4, seed=3)
    V, weights = drawn(9, 5, seed=4), drawn(7, 5, seed=5)
    outputs = [shuffled_pair_sum(codes, torch.arange(7), V), pair_sum(codes, V)]
    torch.testing.assert_close(*outputs)
    for ours, theirs in zip(
        *(torch.autograd.grad((out * weights).sum(), (codes.values, V)) for out in outputs),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_gradcheck_of_the_shuffled_pooling():
    codes, _ = drawn_codes(4, 6, 3, seed=5, live=1.0)
    partner = cycle(4, 1)
    assert torch.autograd.gradcheck(
        lambda values, V: shuffled_pair_sum(codes.with_values(values), partner, V),
        (codes.values, drawn(6, 3, seed=6)),
    )


def test_sparse_gradients_of_the_shuffled_pooling_equal_the_dense_ones_at_active_rows():
    rows, weights, partner = drawn(50, 4, seed=1), drawn(5, 4, seed=2), cycle(5, 3)
    found = []
    for has_sparse_gradients in (False, True):
        codes, _ = drawn_codes(5, 50, 3, seed=3, has_sparse_gradients=has_sparse_gradients)
        total = (shuffled_pair_sum(codes, partner, rows) * weights).sum()
        found.append(torch.autograd.grad(total, rows)[0])
        listed = codes.indices.unique()
    assert not found[0].is_sparse and found[1].is_sparse
    assert torch.equal(found[1].indices()[0], listed)
    torch.testing.assert_close(found[1].to_dense(), found[0])


def test_values_at_wanted_latents_are_those_of_the_dense_codes_in_any_order():
    codes, dense = drawn_codes(6, 11, 4, seed=8)
    wanted = torch.randint(11, (6, 4), generator=torch.Generator().manual_seed(1))
    assert torch.equal(values_at(codes.values, codes.indices, wanted), dense.gather(1, wanted))


@pytest.mark.parametrize("n", [2, 3, 10, 257])
def test_no_token_is_its_own_partner_and_every_token_is_a_partner_once(n):
    partner = cycle(n, n)
    assert (partner != torch.arange(n)).all()
    assert partner.sort().values.tolist() == list(range(n))
    assert torch.equal(partner, cycle(n, n))


def test_the_shuffled_arm_differs_in_pooling_alone_and_is_deterministic(store):
    first = run(store, "joint_shuffled", SHUFFLED, folder="a")
    second = run(store, "joint_shuffled", SHUFFLED, folder="b")
    assert first.read_bytes() == second.read_bytes()
    shuffled, joint = (
        load_trained(first, {}).model,
        load_trained(run(store, "joint", JOINT), {}).model,
    )
    assert type(shuffled.interaction) is ShuffledPairs
    assert (shuffled.pooling, joint.pooling) == ("shuffled", "pairs")
    assert (shuffled.config, shuffled.d_model) == (joint.config, joint.d_model)


def test_a_killed_shuffled_training_continues_to_the_same_bytes(store, monkeypatch):
    from fispace.models import fit as fitting

    whole = run(store, "joint_shuffled", SHUFFLED, folder="whole").read_bytes()
    step, taken = fitting._step, []

    def until_killed(*arguments):
        if len(taken) == 25:
            raise KeyboardInterrupt
        taken.append(step(*arguments))

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "_step", until_killed)
        with pytest.raises(KeyboardInterrupt):
            run(store, "joint_shuffled", SHUFFLED, folder="again", seconds=0.0)
    assert run(store, "joint_shuffled", SHUFFLED, folder="again").read_bytes() == whole


def test_evaluation_uses_the_same_partners_each_time(store):
    model = load_trained(run(store, "joint_shuffled", SHUFFLED), {}).model
    z = torch.randn(40, D_MODEL, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(model(z, ["interaction"]), model(z, ["interaction"]), rtol=0, atol=0)
    moved = z.clone()
    moved[0] += 1.0  # changes the first token, and the token whose partner it is
    changed = (model(moved, ["interaction"]) - model(z, ["interaction"])).abs().sum(1) > 0
    assert changed.sum() == 2 and changed[0]


def test_training_with_row_sparse_adam_lowers_the_error(store):
    params = PARAMS.changed(optimiser="row_sparse_adam", val_every=20)
    run(store, "joint_shuffled", SHUFFLED, params=params)
    fvu = read_table(store / "out/joint_shuffled.parquet")["val_fvu"].dropna()
    assert fvu.iloc[-1] < fvu.iloc[0]
