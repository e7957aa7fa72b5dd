"""The sparse core in edge cases: every gradient equals the dense one, and no dense tensor is made."""

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from train.records import untrained
from train.small_training import JOINT, PARAMS, SAE, run

from fispace.models.objective import ArmObjective
from fispace.models.optimiser import build_optimiser
from fispace.models.sparse import Codes, pair_sum, sparse_sum
from fispace.models.topk import encode_top_k
from fispace.study.config.parts import PARTS
from fispace.study.config.train import AuxKConfig, InitConfig


def drawn(*shape, seed, whole_numbers=False, is_transposed=False):
    """A float64 leaf: small whole numbers, so that ties are exact, or transposed strides."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randn(*shape, generator=generator, dtype=torch.float64)
    numbers = numbers.round() if whole_numbers else numbers
    return (numbers.T.contiguous().T if is_transposed else numbers).requires_grad_()


def dense_codes(z, W_enc, b_enc, k):
    """All n_latents codes of each token; among equal pre-activations the first latents are chosen."""
    pre_acts = z @ W_enc.T + b_enc
    chosen = pre_acts.sort(dim=1, descending=True, stable=True).indices[:, :k]
    return pre_acts.relu() * torch.zeros_like(pre_acts).scatter(1, chosen, 1.0)


def dense_output(z, W_enc, b_enc, rows, V, k):
    """f W and the pair sum with every product written out, side by side."""
    f = dense_codes(z, W_enc, b_enc, k)
    pairs = ((f @ V).square() - f.square() @ V.square()) / 2
    return torch.cat([f @ rows, pairs], dim=1)


def sparse_output(z, W_enc, b_enc, rows, V, k):
    codes = encode_top_k(z, W_enc, b_enc, k)
    return torch.cat([sparse_sum(codes, rows), pair_sum(codes, V)], dim=1)


@settings(max_examples=150, deadline=None)
@given(
    sizes=st.tuples(st.integers(0, 6), st.integers(1, 5), st.integers(1, 30), st.integers(1, 4)),
    share=st.one_of(st.just(0.0), st.just(1.0), st.floats(0, 1)),
    bias=st.sampled_from([0.0, -1.0, -50.0]), n_zero_rows=st.integers(0, 3),
    whole_numbers=st.booleans(), is_transposed=st.booleans(), seed=st.integers(0, 10**6),
)  # fmt: skip
def test_every_gradient_is_the_dense_one_with_ties_zero_rows_dead_latents_and_any_strides(
    sizes, share, bias, n_zero_rows, whole_numbers, is_transposed, seed
):
    n_tokens, d_model, n_latents, width = sizes
    k = max(1, round(share * n_latents))
    options = {"whole_numbers": whole_numbers, "is_transposed": is_transposed}
    shapes = [(n_tokens, d_model), (n_latents, d_model), (n_latents, width), (n_latents, width)]
    z, W_enc, rows, V = (drawn(*shape, seed=seed + i, **options) for i, shape in enumerate(shapes))
    with torch.no_grad():
        z[:n_zero_rows] = 0
    b_enc = torch.full((n_latents,), bias, dtype=torch.float64, requires_grad=True)
    inputs = (z, W_enc, b_enc, rows, V)
    outputs = [function(*inputs, k) for function in (sparse_output, dense_output)]
    torch.testing.assert_close(*outputs)
    incoming = drawn(n_tokens, 2 * width, seed=seed + 9, is_transposed=is_transposed).detach()
    ours, dense = (torch.autograd.grad(out, inputs, incoming) for out in outputs)
    for found, expected in zip(ours, dense, strict=True):
        torch.testing.assert_close(found, expected)
    is_dead = dense_codes(z, W_enc, b_enc, k).detach().eq(0).all(0)
    assert all(bool((ours[place][is_dead] == 0).all()) for place in (1, 2, 3, 4))


def joint_model(n_latents, k, dropout=0.0):
    return untrained(
        PARTS, d_model=5, n_latents=n_latents, k=k, d_embed=3, dropout=dropout,
        init=InitConfig(factors=0.3, linear=0.3, mlp=0.5), root_seed=1,
    ).double()  # fmt: skip


@pytest.mark.parametrize(("n_latents", "k"), [(1, 1), (24, 1), (24, 5), (24, 24)])
def test_gradcheck_of_the_whole_joint_model_in_input_and_every_weight(n_latents, k):
    model = joint_model(n_latents, k)
    with torch.no_grad():
        model.interaction.b_hidden += 0.1  # off the ReLU's kink
    names, weights = zip(*model.named_parameters(), strict=True)
    z = drawn(4, 5, seed=3)

    def output(z, *values):
        return functional_call(model, dict(zip(names, values, strict=True)), (z, PARTS))

    inputs = (z, *(weight.detach().clone().requires_grad_() for weight in weights))
    assert torch.autograd.gradcheck(output, inputs)


def test_codes_and_incoming_gradients_may_have_any_strides():
    indices = torch.tensor([[0, 2], [1, 3], [0, 3]])
    values, rows = drawn(3, 2, seed=1), drawn(4, 3, seed=2)
    weights = drawn(3, 3, seed=3).detach()
    found = []
    for turned in (False, True):
        codes = Codes(values.T.contiguous().T if turned else values,
                      indices.T.contiguous().T if turned else indices)  # fmt: skip
        matrix = rows.T.contiguous().T if turned else rows
        incoming = weights.T.contiguous().T if turned else weights
        for function in (sparse_sum, pair_sum):
            found.append(torch.autograd.grad(function(codes, matrix), (values, rows), incoming))
    for plain, turned in zip(found[:2], found[2:], strict=True):
        for ours, theirs in zip(plain, turned, strict=True):
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("changed", [{"threads": 2}, {"topk_dtype": "bfloat16"}])
@pytest.mark.parametrize("optimiser", ["adam", "row_sparse_adam"])
def test_the_same_seed_gives_the_same_bytes_with_two_threads_and_in_bfloat16(
    store, changed, optimiser
):
    params = PARAMS.changed(**changed, optimiser=optimiser)
    first, second = (run(store, "joint", JOINT, params=params, folder=name) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("row", [SAE, JOINT])
def test_with_every_latent_selected_both_optimisers_train_alike_under_schedule_and_clipping(
    store, row
):
    # every row has a gradient in every step, so the lazy update skips none
    params = PARAMS.changed(
        k=PARAMS.n_latents, n_tokens=64 * 20, grad_clip=0.05 * 8, dropout=0.0, log_every=4
    )

    def curve(**changed):
        path = run(store, "arm", row, params=params.changed(**changed), folder=str(changed))
        return pd.read_parquet(path.with_suffix(".parquet"))

    dense = curve()
    pd.testing.assert_frame_equal(curve(optimiser="row_sparse_adam"), dense, rtol=1e-4)
    assert dense["lr"].nunique() > 2
    for other in (curve(lr_decay_fraction=0.1), curve(grad_clip=None)):
        assert abs(other["val_fvu"].iloc[-1] / dense["val_fvu"].iloc[-1] - 1) > 1e-3


@pytest.mark.parametrize("parts", [("sae",), PARTS])
def test_gradients_of_the_whole_objective_with_aux_k_are_the_same_sparse_and_dense(parts):
    found = []
    for optimiser in ("adam", "row_sparse_adam"):
        init = InitConfig(factors=0.3, linear=0.3, mlp=0.5)
        model = untrained(parts, d_model=8, n_latents=40, k=2, d_embed=3, init=init, root_seed=1)
        build_optimiser(model, optimiser, 0.01, (0.9, 0.999), 1e-8)
        with torch.no_grad():
            model.sae.W_enc[:20] *= 1e-3  # never among the two largest, so dead after one batch
        aux_k = AuxKConfig(k=6, coefficient=1.0, dead_tokens=50)
        objective = ArmObjective(model, is_frozen=False, aux_k=aux_k)
        for seed in (1, 2):
            model.zero_grad()
            z = torch.randn(60, 8, generator=torch.Generator().manual_seed(seed))
            losses = objective(z)
            losses.total.backward()
        assert losses.total > losses.error  # there is a dead latent
        found.append([weight.grad for weight in model.parameters()])
    assert any(gradient.is_sparse for gradient in found[1])
    for dense, sparse in zip(*found, strict=True):
        torch.testing.assert_close(sparse.to_dense(), dense)


class Largest(TorchDispatchMode):
    """Records the number of elements of every new tensor."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = {id(value) for value in [*args, *(kwargs or {}).values()]}
        out = func(*args, **(kwargs or {}))
        for value in out if isinstance(out, tuple | list) else [out]:
            if isinstance(value, torch.Tensor) and value.layout == torch.strided:
                is_new = id(value) not in given and value._base is None
                self.sizes += [value.numel()] * is_new
        return out


@pytest.mark.parametrize("topk_dtype", ["float32", "bfloat16"])
def test_a_step_makes_no_tensor_of_all_tokens_and_latents(topk_dtype):
    n_tokens, n_latents = 2048, 1024
    model = untrained(
        PARTS, d_model=16, n_latents=n_latents, k=8, d_embed=4, dropout=0.1, topk_dtype=topk_dtype,
        init=InitConfig(factors=0.05, linear=0.01, mlp=0.01), root_seed=1,
    )  # fmt: skip
    z = torch.randn(n_tokens, 16, generator=torch.Generator().manual_seed(0))
    with Largest() as seen:
        (model(z, PARTS) - z).square().mean().backward()
    assert max(seen.sizes) < n_tokens * n_latents / 4
