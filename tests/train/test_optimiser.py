"""Row-sparse Adam is Adam if every row has a gradient, and does not change rows without one."""

import pytest
import torch
from train.records import untrained

from fispace.models.optimiser import Adam, build_optimiser, clip_gradients, coalesced
from fispace.study.config.parts import PARTS
from fispace.study.config.train import InitConfig

SETTINGS = {"lr": 0.01, "betas": (0.9, 0.999), "eps": 1e-8}


def model_of(k, n_latents=24):
    init = InitConfig(factors=0.05, linear=0.1, mlp=0.1)
    return untrained(PARTS, d_model=8, n_latents=n_latents, k=k, d_embed=3, init=init, root_seed=1)


def trained(kind, k, n_steps=12, max_norm=None):
    model = model_of(k)
    optimiser = build_optimiser(model, kind, **SETTINGS)
    generator = torch.Generator().manual_seed(3)
    for _ in range(n_steps):
        z = torch.randn(30, 8, generator=generator)
        optimiser.zero_grad()
        (model(z, PARTS) - z).square().mean().backward()
        if max_norm is not None:
            clip_gradients(model.parameters(), max_norm)
        optimiser.step()
    return model


@pytest.mark.parametrize("max_norm", [None, 0.01])
def test_with_every_latent_selected_row_sparse_adam_is_adam(max_norm):
    dense, sparse = (trained(kind, 24, max_norm=max_norm) for kind in ("adam", "row_sparse_adam"))
    assert sparse.sae.W_dec.grad.is_sparse
    for name, weight in dense.state_dict().items():
        torch.testing.assert_close(sparse.state_dict()[name], weight, msg=name)


def test_adam_equals_torchs_adam_bit_for_bit():
    ours, theirs = model_of(k=4), model_of(k=4)
    pair = (
        build_optimiser(ours, "adam", **SETTINGS),
        torch.optim.Adam(theirs.parameters(), **SETTINGS, fused=True),
    )
    generator = torch.Generator().manual_seed(3)
    for _ in range(10):
        z = torch.randn(30, 8, generator=generator)
        for model, optimiser in zip((ours, theirs), pair, strict=True):
            optimiser.zero_grad()
            (model(z, PARTS) - z).square().mean().backward()
            optimiser.step()
    for name, weight in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], weight), name


@pytest.mark.parametrize("n_touched", [0, 1, 7, 20, 23, 39, 40])
@pytest.mark.parametrize("block_rows", [1, 6, 16, 40, 1000])
def test_row_sparse_adam_equals_torchs_sparse_adam(n_touched, block_rows, monkeypatch):
    monkeypatch.setattr("fispace.models.optimiser.BLOCK_NUMBERS", 5 * block_rows)
    start = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    optimiser = Adam([ours], **SETTINGS)
    pair = (optimiser, torch.optim.SparseAdam([theirs], **SETTINGS))
    for step in range(5):
        generator = torch.Generator().manual_seed(step)
        rows = torch.randperm(40, generator=generator)[:n_touched].sort().values
        numbers = torch.randn(n_touched, 5, generator=generator)
        before = {name: t.clone() for name, t in {"w": ours, **optimiser.tensors()}.items()}
        for weight, optimiser_of_it in zip((ours, theirs), pair, strict=True):
            weight.grad = torch.sparse_coo_tensor(
                rows[None], numbers, (40, 5), check_invariants=True, is_coalesced=True
            )
            optimiser_of_it.step()
        left = torch.ones(40, dtype=torch.bool).index_fill_(0, rows, value=False)
        for name, t in {"w": ours, **optimiser.tensors()}.items():
            if t.dim() == 2:
                assert torch.equal(t[left], before[name][left]), name
                assert (t[~left] != before[name][~left]).all(), name
    torch.testing.assert_close(ours, theirs)


def test_rows_without_a_gradient_keep_weight_and_moments():
    model = model_of(k=2, n_latents=200)
    optimiser = build_optimiser(model, "row_sparse_adam", **SETTINGS)
    before = model.W_lin.detach().clone()
    for seed in (1, 2):
        z = torch.randn(3, 8, generator=torch.Generator().manual_seed(seed))
        optimiser.zero_grad()
        model(z, PARTS).square().sum().backward()
        optimiser.step()
    touched = coalesced(model.W_lin.grad).indices()[0]
    moved = (model.W_lin.detach() != before).any(1)
    assert set(touched.tolist()) <= set(moved.nonzero()[:, 0].tolist())
    assert moved.sum() <= 2 * 3 * 2
    place = [weight is model.W_lin for weight in model.parameters()].index(True)
    assert (optimiser.tensors()[f"{place}.exp_avg"][~moved] == 0).all()


def test_rows_are_updated_the_same_whatever_the_block(monkeypatch):
    whole = trained("row_sparse_adam", k=4).state_dict()
    monkeypatch.setattr("fispace.models.optimiser.BLOCK_NUMBERS", 16)
    for name, weight in trained("row_sparse_adam", k=4).state_dict().items():
        torch.testing.assert_close(weight, whole[name], rtol=1e-5, atol=1e-7, msg=name)


def test_clipping_scales_dense_and_sparse_gradients_together():
    weights = [torch.nn.Parameter(torch.zeros(3, 2)) for _ in range(2)]
    weights[0].grad = torch.full((3, 2), 2.0)
    rows, numbers = torch.tensor([[1]]), torch.tensor([[3.0, 4.0]])
    weights[1].grad = torch.sparse_coo_tensor(rows, numbers, (3, 2), check_invariants=True)
    clip_gradients(weights, 0.7)  # norm sqrt(6 * 4 + 25) = 7
    torch.testing.assert_close(weights[0].grad, torch.full((3, 2), 0.2), rtol=1e-5, atol=0)
    torch.testing.assert_close(
        weights[1].grad.to_dense()[1], torch.tensor([0.3, 0.4]), rtol=1e-5, atol=0
    )


def test_a_row_listed_twice_counts_twice():
    rows, numbers = torch.tensor([[2, 0, 2]]), torch.tensor([[1.0], [5.0], [2.0]])
    gradient = coalesced(torch.sparse_coo_tensor(rows, numbers, (3, 1), check_invariants=True))
    assert gradient.indices().tolist() == [[0, 2]]
    assert gradient.values().tolist() == [[5.0], [3.0]]


def test_small_gradients_are_not_scaled_up():
    weight = torch.nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([0.3, 0.4])
    clip_gradients([weight], 1.0)
    assert torch.equal(weight.grad, torch.tensor([0.3, 0.4]))


def one_weight(kind: str, start: float, gradients: list[float], lr: float, eps: float) -> float:
    weight = torch.nn.Parameter(torch.tensor([start]))
    optimiser = build_optimiser(torch.nn.ParameterList([weight]), kind, lr, (0.9, 0.999), eps)
    for gradient in gradients:
        weight.grad = torch.tensor([gradient])
        optimiser.step()
    return weight.item()


def test_half_precision_adam_holds_nothing_but_float16_numbers():
    model = model_of(k=4)
    optimiser = build_optimiser(model, "half_precision_adam", 0.01, (0.9, 0.999), 1e-5)
    z = torch.randn(30, 8, generator=torch.Generator().manual_seed(3))
    for _ in range(3):
        optimiser.zero_grad()
        (model(z, PARTS) - z).square().mean().backward()
        optimiser.step()
    held = [*model.parameters(), *(t for n, t in optimiser.tensors().items() if "exp_avg" in n)]
    assert len(held) == 3 * len(list(model.parameters()))
    for numbers in held:
        assert torch.equal(numbers, numbers.half().float())


def test_in_half_precision_a_step_below_half_an_ulp_does_not_change_the_weight():
    # neighbours of 1 in float16 are 2^-10 above and 2^-11 below; Adam's first step is the rate itself
    assert one_weight("half_precision_adam", 1.0, [1.0], 2.0**-13, 1e-5) == 1.0
    assert one_weight("adam", 1.0, [1.0], 2.0**-13, 1e-5) < 1.0
    assert one_weight("half_precision_adam", 1.0, [1.0], 2.0**-11, 1e-5) == 1 - 2.0**-11


def test_in_half_precision_the_second_moment_of_a_small_gradient_is_zero():
    # its square, a thousandth of which is added at a second beta of .999, must reach 2^-25 (W7)
    for gradient, is_kept in ((5e-3, False), (6e-3, True)):
        weight = torch.nn.Parameter(torch.ones(1))
        optimiser = build_optimiser(
            torch.nn.ParameterList([weight]), "half_precision_adam", 0.01, (0.9, 0.999), 1e-2
        )
        for _ in range(3):
            weight.grad = torch.tensor([gradient])
            optimiser.step()
        assert (optimiser.tensors()["0.exp_avg_sq"].item() > 0) == is_kept
