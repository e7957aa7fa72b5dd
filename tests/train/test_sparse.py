"""Sparse sums, pair sums and their gradients equal the dense float64 products, in all edge cases."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fispace.models.sparse import Codes, Pattern, pair_sum, products, sparse_sum


def drawn_codes(n_tokens, n_latents, k, seed, live=0.7, has_sparse_gradients=False):
    """Codes with `live` of the values positive, and the dense matrix they stand for."""
    generator = torch.Generator().manual_seed(seed)
    indices = torch.rand(n_tokens, n_latents, generator=generator).argsort(1)[:, :k].contiguous()
    values = torch.rand(n_tokens, k, generator=generator, dtype=torch.float64)
    values *= torch.rand(n_tokens, k, generator=generator) < live
    codes = Codes(values.requires_grad_(), Pattern(indices, has_sparse_gradients))
    return codes, torch.zeros(n_tokens, n_latents, dtype=torch.float64).scatter(1, indices, values)


def drawn(*shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()


def dense_pair_sum(f, V):
    """The double loop over pairs, one token at a time."""
    n_tokens, n_latents = f.shape
    total = torch.zeros(n_tokens, V.shape[1], dtype=f.dtype)
    for i in range(n_latents):
        for j in range(i + 1, n_latents):
            total = total + (f[:, i] * f[:, j])[:, None] * (V[i] * V[j])
    return total


def assert_same_with_gradients(outputs, weights, inputs):
    """Both outputs are equal, and so are the gradients of their weighted sums in every input."""
    torch.testing.assert_close(*outputs)
    gradients = [
        torch.autograd.grad((out * weights).sum(), inputs, materialize_grads=True)
        for out in outputs
    ]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)


SHAPES = {
    "n_tokens": st.integers(1, 6), "n_latents": st.integers(1, 9), "width": st.integers(1, 5),
    "share": st.floats(0, 1), "seed": st.integers(0, 10**6),
}  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(**SHAPES)
def test_pair_sum_and_its_gradients_equal_the_double_loop(n_tokens, n_latents, width, share, seed):
    k = max(1, round(share * n_latents))
    codes, dense = drawn_codes(n_tokens, n_latents, k, seed)
    V, weights = drawn(n_latents, width, seed=seed + 1), drawn(n_tokens, width, seed=seed + 2)
    inputs = (codes.values, V)
    outputs = [pair_sum(codes, V), dense_pair_sum(dense, V)]
    assert_same_with_gradients(outputs, weights, inputs)


@settings(max_examples=60, deadline=None)
@given(**SHAPES)
def test_sums_over_two_matrices_add_up_to_the_sum_over_their_sum(
    n_tokens, n_latents, width, share, seed
):
    k = max(1, round(share * n_latents))
    codes, dense = drawn_codes(n_tokens, n_latents, k, seed)
    rows = [drawn(n_latents, width, seed=seed + i) for i in (1, 2)]
    weights = drawn(n_tokens, width, seed=seed + 3)
    outputs = [sparse_sum(codes, *rows), dense @ (rows[0] + rows[1])]
    assert_same_with_gradients(outputs, weights, (codes.values, *rows))


def test_gradcheck_of_both_sums():
    codes, _ = drawn_codes(4, 6, 3, seed=5, live=1.0)
    rows = drawn(6, 3, seed=6)
    for function in (sparse_sum, pair_sum):
        assert torch.autograd.gradcheck(
            lambda values, matrix, f=function: f(codes.with_values(values), matrix),
            (codes.values, rows),
        )


@pytest.mark.parametrize("function", [sparse_sum, pair_sum])
def test_sparse_gradients_hold_the_rows_of_active_latents_and_equal_the_dense_ones(function):
    rows, weights = drawn(50, 4, seed=1), drawn(5, 4, seed=2)
    found = []
    for has_sparse_gradients in (False, True):
        codes, _ = drawn_codes(5, 50, 3, seed=3, has_sparse_gradients=has_sparse_gradients)
        total = (function(codes, rows) * weights).sum()
        found.append(torch.autograd.grad(total, rows)[0])
        listed = codes.indices.unique()
    assert not found[0].is_sparse and found[1].is_sparse
    assert torch.equal(found[1].indices()[0], listed) and len(listed) < 50
    torch.testing.assert_close(found[1].to_dense(), found[0])


def test_products_are_the_chosen_entries_of_the_dense_product():
    codes, _ = drawn_codes(6, 11, 4, seed=8)
    z, rows = drawn(6, 3, seed=9), drawn(11, 3, seed=10)
    expected = (z @ rows.T).gather(1, codes.indices)
    torch.testing.assert_close(products(codes.pattern, z, rows), expected)


@pytest.mark.parametrize("has_sparse_gradients", [False, True])
def test_products_grouped_by_latent_equal_those_by_token_bit_for_bit(
    has_sparse_gradients, monkeypatch
):
    generator = torch.Generator().manual_seed(0)
    places = torch.rand(30, 400, generator=generator).topk(5).indices
    z, rows = (torch.randn(n, 48, generator=generator) for n in (30, 400))
    by_token = products(Pattern(places, has_sparse_gradients), z, rows)
    monkeypatch.setattr("fispace.models.sparse.CACHED_NUMBERS", 0)
    pattern = Pattern(places, has_sparse_gradients)
    assert torch.equal(products(pattern, z, rows), by_token)
    assert pattern._by_latent, "the rows were not visited latent by latent"


def test_pairs_by_latent_are_sorted_and_complete():
    codes, _ = drawn_codes(7, 5, 2, seed=4)
    pairs = codes.pattern.by_latent(5)
    flat = codes.indices.reshape(-1)
    assert torch.equal(flat[pairs.order], flat.sort(stable=True).values)
    assert torch.equal(pairs.tokens, pairs.order // 2)
    counts = torch.bincount(flat, minlength=5)
    assert torch.equal(pairs.starts, counts.cumsum(0) - counts)


def test_codes_of_some_tokens_keep_their_values_and_latents():
    codes, _ = drawn_codes(6, 8, 3, seed=1)
    chosen = codes[torch.tensor([4, 1])]
    assert torch.equal(chosen.indices, codes.indices[[4, 1]])
    assert torch.equal(chosen.values, codes.values[[4, 1]])
