"""The sparse codes are exact: values, choice and gradients equal a dense float64 reference."""

from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fispace.models import topk
from fispace.models.sae import TopKSae
from fispace.models.sparse import Codes, sparse_sum
from fispace.models.topk import encode_top_k, largest_codes, select_top_k
from fispace.study.config.train import SelectBy, SelectionDtype


def dense_reference(z, W_enc, b_enc, W_dec, k):
    """f = TopK(ReLU(z W_enc^T + b)), f W_dec, all dense."""
    pre_acts = z @ W_enc.T + b_enc
    kept = torch.zeros_like(pre_acts).scatter(1, pre_acts.topk(k, dim=1).indices, 1.0)
    return (pre_acts.relu() * kept) @ W_dec


def sparse(z, W_enc, b_enc, W_dec, k):
    return sparse_sum(encode_top_k(z, W_enc, b_enc, k), W_dec)


def leaves(n_tokens, d_model, n_latents, seed, shift=0.0):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    b_enc = (draw(n_latents).detach() + shift).requires_grad_()
    return draw(n_tokens, d_model), draw(n_latents, d_model), b_enc, draw(n_latents, d_model)


@settings(max_examples=60, deadline=None)
@given(
    n_tokens=st.integers(1, 9), d_model=st.integers(1, 7), n_latents=st.integers(1, 12),
    share=st.floats(0, 1), seed=st.integers(0, 10**6), shift=st.sampled_from([0.0, -2.0, -50.0]),
)  # fmt: skip
def test_output_and_gradients_equal_the_dense_reference(
    n_tokens, d_model, n_latents, share, seed, shift
):
    # shift -2: fewer than k positive pre-activations; -50: none at all
    k = max(1, round(share * n_latents))
    inputs = leaves(n_tokens, d_model, n_latents, seed, shift)
    outputs = [function(*inputs, k) for function in (sparse, dense_reference)]
    torch.testing.assert_close(*outputs)
    weights = torch.randn_like(outputs[0])
    gradients = [torch.autograd.grad((out * weights).sum(), inputs) for out in outputs]
    for ours, dense in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, dense)


def test_gradcheck_with_fewer_than_k_positives():
    z, W_enc, b_enc, W_dec = leaves(4, 3, 6, seed=1, shift=-1.5)
    positives = ((z @ W_enc.T + b_enc) > 0).sum(1)
    assert (positives < 5).any()
    assert torch.autograd.gradcheck(lambda *inputs: sparse(*inputs, 5), (z, W_enc, b_enc, W_dec))


def test_a_selected_latent_that_is_not_positive_gets_no_gradient():
    z = torch.tensor([[1.0, 0.0]])
    W_enc = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    codes = encode_top_k(z, W_enc, torch.zeros(2), 2)
    codes.values.sum().backward()
    assert codes.values.sum() == 1.0
    torch.testing.assert_close(W_enc.grad, torch.tensor([[1.0, 0.0], [0.0, 0.0]]))


def test_ties_and_zero_rows_choose_the_same_latents_every_time():
    pre_acts = torch.zeros(5, 40)
    first = select_top_k(pre_acts, 7)
    assert all(torch.equal(first, select_top_k(pre_acts, 7)) for _ in range(5))
    assert all(len(set(row.tolist())) == 7 for row in first)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_choice_is_the_largest_k_in_every_dtype(dtype):
    pre_acts = torch.randn(50, 33, generator=torch.Generator().manual_seed(0)).to(dtype)
    chosen = pre_acts.gather(1, select_top_k(pre_acts, 6)).float().sort(1).values
    torch.testing.assert_close(chosen, pre_acts.float().topk(6, dim=1).values.sort(1).values)


def test_non_contiguous_input_gives_the_same_codes():
    z, W_enc, b_enc, _ = leaves(6, 4, 9, seed=3)
    wide = torch.stack([z, z], dim=2)[:, :, 0]
    assert not wide.is_contiguous()
    ours, theirs = (encode_top_k(inputs, W_enc, b_enc, 3) for inputs in (wide, z))
    torch.testing.assert_close(ours.values, theirs.values)
    assert torch.equal(ours.indices, theirs.indices)


def test_sparse_sum_is_the_dense_product():
    codes = Codes(torch.tensor([[2.0, 3.0]]), torch.tensor([[1, 0]]))
    rows = torch.tensor([[1.0, 10.0], [100.0, 1000.0]])
    torch.testing.assert_close(sparse_sum(codes, rows), torch.tensor([[203.0, 2030.0]]))


@settings(max_examples=80, deadline=None)
@given(
    n_tokens=st.integers(1, 5), n_latents=st.integers(1, 400), share=st.floats(0, 1),
    seed=st.integers(0, 10**6), n_levels=st.sampled_from([2, 5, 10**6]),
)  # fmt: skip
def test_selection_is_the_k_largest_whatever_the_groups(n_tokens, n_latents, share, seed, n_levels):
    # few levels give many ties, among which the first latents are chosen
    k = max(1, round(share * n_latents))
    generator = torch.Generator().manual_seed(seed)
    pre_acts = torch.randint(n_levels, (n_tokens, n_latents), generator=generator).float()
    largest = pre_acts.sort(dim=1, descending=True, stable=True).indices[:, :k]
    assert torch.equal(select_top_k(pre_acts, k), largest.sort(1).values)
    used = torch.ones(n_tokens, n_latents, dtype=torch.bool)
    assert torch.equal(select_top_k(pre_acts, k, used), largest.sort(1).values)


def test_infinities_are_ordered_by_size_and_nan_counts_as_the_largest():
    row = torch.tensor([0.0, -torch.inf, 3.0, torch.inf, torch.nan, 1.0])
    pre_acts = torch.cat([row.repeat(40), torch.zeros(7)]).expand(3, -1)
    nans, infinities = (torch.arange(place, 240, 6) for place in (4, 3))
    chosen = select_top_k(pre_acts, 80)
    assert torch.equal(chosen, torch.cat([nans, infinities]).sort().values.expand(3, -1))
    lowest = select_top_k(torch.full((2, 50), -torch.inf), 3)
    assert torch.equal(lowest, torch.arange(3).expand(2, -1))


@pytest.mark.parametrize(
    "place", [0, 17, 35]
)  # in one group, in another, after the last full group
def test_a_nan_is_chosen_even_where_k_numbers_are_larger_than_the_rest(place):
    row = torch.zeros(36)
    row[[1, 9]] = 5.0  # of one group of 8
    row[place] = torch.nan
    assert place in select_top_k(row[None], 2)[0]


def test_candidates_are_more_than_k_even_for_k_1():
    # larger than 8 equal values before it, by less than bfloat16 resolves
    z, W_enc = torch.ones(1, 1), torch.ones(400, 1)
    W_enc[8] += 2**-12
    for topk_dtype in get_args(SelectionDtype):
        assert encode_top_k(z, W_enc, torch.zeros(400), 1, topk_dtype).indices.tolist() == [[8]]


def test_codes_of_a_token_do_not_depend_on_the_tokens_beside_it(monkeypatch):
    z, W_enc, b_enc, _ = leaves(40, 6, 64, seed=4)
    together = encode_top_k(z, W_enc, b_enc, 5)
    monkeypatch.setattr(topk, "SLICE_TOKENS", 3)
    sliced = encode_top_k(z, W_enc, b_enc, 5)
    assert torch.equal(together.indices, sliced.indices)
    assert torch.equal(together.values, sliced.values)
    alone = encode_top_k(z[7:8], W_enc, b_enc, 5)
    assert torch.equal(alone.indices, together.indices[7:8])
    assert torch.equal(alone.values, together.values[7:8])


def test_bfloat16_picks_candidates_and_float32_decides():
    generator = torch.Generator().manual_seed(0)
    z, W_enc = torch.randn(200, 48, generator=generator), torch.randn(512, 48, generator=generator)
    exact, picked = (
        encode_top_k(z, W_enc, torch.zeros(512), 16, topk_dtype)
        for topk_dtype in ("float32", "bfloat16")
    )
    same = [
        set(a) == set(b)
        for a, b in zip(exact.indices.tolist(), picked.indices.tolist(), strict=True)
    ]
    assert sum(same) >= 198
    agreeing = torch.tensor(same)
    assert torch.equal(exact.values[agreeing], picked.values[agreeing])


@settings(max_examples=40, deadline=None)
@given(
    n_tokens=st.integers(1, 6), n_latents=st.integers(1, 60), share=st.floats(0, 1),
    is_scaled=st.booleans(), seed=st.integers(0, 10**6),
)  # fmt: skip
def test_gradients_do_not_depend_on_how_candidates_were_picked(
    n_tokens, n_latents, share, is_scaled, seed
):
    # distinct whole numbers are exact in bfloat16, so the choice is the same
    k = max(1, round(share * n_latents))
    generator = torch.Generator().manual_seed(seed)
    order = torch.stack(
        [torch.randperm(n_latents, generator=generator) for _ in range(n_tokens)]
    ).double() - n_latents // 2  # fmt: skip
    scale = torch.full((n_latents,), 2.0, dtype=torch.float64) if is_scaled else None
    found = []
    for topk_dtype in ("float32", "bfloat16"):
        z = torch.eye(n_tokens, dtype=torch.float64, requires_grad=True)
        W_enc = order.T.clone().requires_grad_()
        b_enc = torch.zeros(n_latents, dtype=torch.float64, requires_grad=True)
        codes = encode_top_k(z, W_enc, b_enc, k, topk_dtype, scale=scale)
        codes.values.square().sum().backward()
        found.append((codes.indices, codes.values, z.grad, W_enc.grad, b_enc.grad))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("topk_dtype", ["float32", "bfloat16"])
def test_a_scale_changes_which_latents_are_chosen_and_not_their_values(topk_dtype):
    z, W_enc = torch.eye(2)[:1], torch.tensor([[3.0, 0], [2.0, 0], [1.0, 0], [-9.0, 0]])
    scale = torch.tensor([1.0, 1.0, 4.0, 7.0])  # times pre-activations: 3, 2, 4, -63
    codes = encode_top_k(z, W_enc, torch.zeros(4), 2, topk_dtype, scale=scale)
    assert codes.indices.tolist() == [[0, 2]]
    assert codes.values.tolist() == [[3.0, 1.0]]
    assert largest_codes(codes, 1).values.tolist() == [[3.0]]
    assert largest_codes(codes, 1, scale).values.tolist() == [[1.0]]


def test_selection_by_contribution_is_invariant_to_scale_moved_between_encoder_and_decoder():
    def chosen(sae):
        codes = sae.encode(z)
        return codes.indices, sae.cut(codes, 2).indices, sae.decode(codes)

    generator = torch.Generator().manual_seed(0)
    z, factor = (
        torch.randn(50, 8, generator=generator),
        torch.rand(64, 1, generator=generator) + 0.1,
    )
    is_same = {}
    for name in get_args(SelectBy):
        sae = TopKSae(8, 64, 5, generator, select_by=name)
        sae.b_enc.data = torch.randn(64, generator=generator) / 10
        before = chosen(sae)
        sae.W_dec.data /= factor
        sae.W_enc.data *= factor
        sae.b_enc.data *= factor[:, 0]
        is_same[name] = [torch.allclose(a, b) for a, b in zip(before, chosen(sae), strict=True)]
    assert is_same == {"pre_activation": [False] * 3, "contribution": [True] * 3}


def test_the_dense_product_never_exists_for_all_tokens(monkeypatch):
    monkeypatch.setattr(topk, "SLICE_TOKENS", 10)
    seen = []
    original = topk.select_top_k
    monkeypatch.setattr(
        topk, "select_top_k", lambda pre, *more: seen.append(pre.shape) or original(pre, *more)
    )
    z, W_enc, b_enc, _ = leaves(25, 6, 300, seed=4)
    encode_top_k(z, W_enc, b_enc, 5)
    assert seen == [(10, 300), (10, 300), (5, 300)]
