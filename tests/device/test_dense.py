"""Dense products over sparse codes equal the sparse sums, values and gradients."""

import pytest
import torch
from torch import Tensor

from fispace.models import dense, topk
from fispace.models.shuffled import shuffled_pair_sum
from fispace.models.sparse import Codes, Pattern, pair_sum, sparse_sum, sum_by_latent

N_TOKENS, N_LATENTS, K, WIDTH = 23, 40, 5, 7


def drawn(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    stream = torch.Generator().manual_seed(0)
    indices = torch.stack(
        [torch.randperm(N_LATENTS, generator=stream)[:K] for _ in range(N_TOKENS)]
    )
    values = torch.rand(N_TOKENS, K, generator=stream, dtype=dtype)
    A, B = (torch.randn(N_LATENTS, WIDTH, generator=stream, dtype=dtype) for _ in range(2))
    return values, indices.sort(1).values, A, B


def operations(partner: Tensor):
    return {
        "one matrix": lambda codes, a, _: sparse_sum(codes, a),
        "two matrices": sparse_sum,
        "pairs": lambda codes, a, _: pair_sum(codes, a),
        "shuffled pairs": lambda codes, a, _: shuffled_pair_sum(codes, partner, a),
    }


def value_and_gradients(name: str, is_dense: bool, dtype: torch.dtype, monkeypatch) -> list[Tensor]:
    monkeypatch.setattr(dense, "is_faster", lambda *_: is_dense)
    monkeypatch.setattr(dense, "SLICE_NUMBERS", 10 * N_LATENTS)  # three slices
    values, indices, A, B = (
        x.requires_grad_() if x.is_floating_point() else x for x in drawn(dtype)
    )
    partner = torch.randperm(N_TOKENS, generator=torch.Generator().manual_seed(1))
    codes = Codes(values, Pattern(indices, product_dtype=dtype))
    found = operations(partner)[name](codes, A, B)
    weight = torch.randn(found.shape, generator=torch.Generator().manual_seed(2), dtype=dtype)
    (found * weight).sum().backward()
    gradients = [x.grad for x in (values, A, B) if x.grad is not None]
    return [found.detach(), *gradients]


@pytest.mark.parametrize("name", operations(torch.arange(N_TOKENS)))
def test_dense_products_give_the_values_and_gradients_of_sparse_sums(name, monkeypatch):
    found, expected = (
        value_and_gradients(name, is_dense, torch.float64, monkeypatch)
        for is_dense in (True, False)
    )
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("width", [7, 8, 300])
def test_columns_that_align_a_matrix_add_nothing(width):
    stream = torch.Generator().manual_seed(4)
    values, indices, *_ = drawn(torch.float32)
    rows = torch.randn(N_LATENTS, width, generator=stream).bfloat16()
    vectors = torch.randn(N_TOKENS, width, generator=stream).bfloat16()
    f = torch.zeros(N_TOKENS, N_LATENTS).scatter_(1, indices, values.bfloat16().float())
    close = {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(dense.bag(indices, values, rows), f @ rows.float(), **close)
    by_latent = dense.bag_by_latent(indices, values, vectors, N_LATENTS, torch.bfloat16)
    torch.testing.assert_close(by_latent, f.T @ vectors.float(), **close)
    products = (vectors.float() @ rows.float().T).gather(1, indices)
    torch.testing.assert_close(dense.products(indices, vectors, rows), products, **close)


def test_products_in_bfloat16_round_the_factors_and_not_the_sum():
    """The exact sum of rounded factors: had the sum been rounded too, it would be off by up to 0.4 %."""
    values, indices, A, _ = (x.float() if x.is_floating_point() else x for x in drawn())
    found = dense.bag(indices, values, A.bfloat16())
    rounded = values.bfloat16().double(), A.bfloat16().double()
    f = torch.zeros(N_TOKENS, N_LATENTS, dtype=torch.float64).scatter_(1, indices, rounded[0])
    torch.testing.assert_close(found.double(), f @ rounded[1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("scaled", [False, True])
def test_one_product_selects_the_latents_and_gives_their_pre_activations(scaled, monkeypatch):
    monkeypatch.setattr(topk, "SLICE_NUMBERS", 10 * N_LATENTS)
    stream = torch.Generator().manual_seed(3)
    z = torch.randn(N_TOKENS, WIDTH, generator=stream)
    W = torch.randn(N_LATENTS, WIDTH, generator=stream)
    b = torch.randn(N_LATENTS, generator=stream)
    scale = torch.rand(N_LATENTS, generator=stream) + 0.5 if scaled else None
    chosen, pre_acts = topk._selected_on_device(z, W, b, scale, K, torch.float32)
    whole = z @ W.T + b
    ranked = whole if scale is None else whole * scale
    assert torch.equal(chosen, ranked.topk(K, 1).indices.sort(1).values)
    torch.testing.assert_close(pre_acts, whole.gather(1, chosen))


def test_the_processor_never_multiplies_densely():
    like = torch.zeros(1)
    assert not dense.is_faster(like, N_LATENTS, N_LATENTS, torch.float32)


@pytest.mark.parametrize(("n_latents", "k", "dtype", "is_dense"), [
    (50_000, 1024, torch.float32, True), (50_000, 1024, torch.bfloat16, True),
    (50_000, 250, torch.float32, False), (12_288, 32, torch.bfloat16, True),
    (1_000_000, 64, torch.bfloat16, False),
])  # fmt: skip
def test_elsewhere_sums_are_dense_where_few_latents_stand_behind_an_active_one(
    n_latents, k, dtype, is_dense
):
    elsewhere = torch.zeros(1, device="meta")
    assert dense.is_faster(elsewhere, n_latents, k, dtype) == is_dense


def test_row_sparse_gradients_stay_sparse():
    pattern = Pattern(torch.zeros(2, 2, dtype=torch.long), has_sparse_gradients=True)
    assert not pattern.is_dense(torch.zeros(1, device="meta"), 4)


def test_values_are_summed_by_latent_alike(monkeypatch):
    values, indices, *_ = drawn()
    pattern = Pattern(indices, product_dtype=torch.float64)
    sums = []
    for is_dense in (True, False):
        monkeypatch.setattr(dense, "is_faster", lambda *_, found=is_dense: found)
        monkeypatch.setattr(dense, "SLICE_NUMBERS", 10 * N_LATENTS)
        sums.append(sum_by_latent(pattern, values, N_LATENTS))
    torch.testing.assert_close(*sums, rtol=1e-12, atol=1e-12)
