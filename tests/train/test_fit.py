"""Laws of the training loop and its schedule."""

import itertools

import pytest
import torch
from train.records import untrained

from fispace.errors import DivergedError
from fispace.models.fit import Schedule, fit, mean_variance
from fispace.models.objective import squared_error_objective
from fispace.stats.metrics import FvuSums
from fispace.study.config.parts import PARTS
from fispace.study.config.train import InitConfig, OptimiserConfig


def schedule(n_steps=40, **changes):
    config = OptimiserConfig(
        lr_end_fraction=0.1, lr_decay_fraction=0.8, optimiser="adam",
        adam_betas=(0.9, 0.999), adam_eps=1e-8, grad_clip=1.0,
    )  # fmt: skip
    of_config = {name: changes.pop(name) for name in set(changes) & set(vars(config))}
    options = {"lr": 0.01, "n_steps": n_steps, "log_every": 10, "val_every": 20} | changes
    return Schedule(config.changed(**of_config), **options)


def small_model(parts=PARTS, seed=0):
    return untrained(
        parts, d_model=8, n_latents=24, k=4, d_embed=3, dropout=0.15,
        init=InitConfig(factors=0.05, linear=0.01, mlp=0.01), root_seed=1, seed=seed,
    )  # fmt: skip


def linear_data(n_steps, seed=0):
    """Sparse non-negative combinations of fixed directions, without anything non-linear."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(16, 8, generator=generator)
    for _ in range(n_steps):
        active = torch.rand(64, 16, generator=generator) < 0.15
        yield (active * torch.rand(64, 16, generator=generator)) @ directions


def train(parts, n_steps=40, batches=None, **changes):
    model = small_model(parts)
    torch.manual_seed(0)
    data = batches if batches is not None else linear_data(n_steps)
    curve = fit(
        model,
        squared_error_objective(lambda z: model(z, model.parts)),
        data,
        schedule(n_steps, **changes),
        lambda: 0.5,
    )
    return model, curve


@pytest.mark.parametrize("n_copies", [1, 4])
@pytest.mark.parametrize(("clip", "is_clipped"), [(0.5, True), (1e6, False)])
def test_gradients_are_clipped_at_the_norm_of_those_of_the_error_summed_over_dimensions(
    clip, is_clipped, n_copies
):
    # copies of every dimension raise the summed error and its gradient, but not the clipping norm
    weight = torch.nn.Parameter(torch.ones(8 * n_copies))
    model = torch.nn.ParameterList([weight])
    z = next(linear_data(1)).repeat(1, n_copies)
    fit(
        model,
        squared_error_objective(lambda x: x * weight + 1),
        [z],
        schedule(1, grad_clip=clip),
        lambda: 0.0,
    )
    of_summed = weight.grad.norm() * z.shape[1]
    raw = (2 * z.mean(0)).norm()  # of mean over tokens of the sum of (z w + 1 - z)^2, at w = 1
    assert of_summed.item() == pytest.approx(clip if is_clipped else raw.item(), rel=1e-3)


def test_learning_rate_falls_linearly_to_a_tenth_over_80_percent_of_the_steps_taken():
    rates = [schedule(1000).lr_at(step) for step in range(1000)]
    assert rates[0] == 0.01
    assert rates[799] == pytest.approx(0.001)
    assert rates[800:] == pytest.approx([0.001] * 200)
    steps = [a - b for a, b in itertools.pairwise(rates[:800])]
    assert min(steps) == pytest.approx(max(steps))


def test_training_lowers_the_loss_and_logs_the_last_step():
    _, curve = train(["sae"], n_steps=205)
    assert curve[-1].step == 205 and curve[-1].val_fvu == 0.5
    assert curve[-1].n_tokens == 205 * 64
    assert curve[-1].train_fvu < 0.5 * curve[0].train_fvu
    assert curve[-1].lr == pytest.approx(0.001)


def test_the_same_seed_gives_the_same_bits():
    first, second = (train(PARTS)[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_decoder_and_linear_part_never_drift_apart():
    # Finding 1 of the reference: identical gradients and identical Adam updates.
    model = small_model(["sae", "linear"])
    before = (model.sae.W_dec - model.W_lin).detach().clone()
    fit(
        model,
        squared_error_objective(lambda z: model(z, model.parts)),
        linear_data(300),
        schedule(300),
        lambda: 0.0,
    )
    drift = (model.sae.W_dec - model.W_lin - before).abs().max()
    assert drift < 1e-5 < (model.W_lin - small_model(["sae", "linear"]).W_lin).abs().max()


def test_a_frozen_sae_does_not_move():
    model = small_model()
    model.freeze_sae()
    before = {name: value.clone() for name, value in model.sae.state_dict().items()}
    fit(
        model,
        squared_error_objective(lambda z: model(z, model.parts)),
        linear_data(30),
        schedule(30),
        lambda: 0.0,
    )
    assert all(torch.equal(before[name], value) for name, value in model.sae.state_dict().items())
    assert not torch.equal(model.W_lin, small_model().W_lin)


def test_divergence_stops_with_the_step():
    batches = [torch.ones(4, 8), torch.full((4, 8), float("inf"))]
    with pytest.raises(DivergedError, match="step 2"):
        train(["sae"], n_steps=2, batches=batches)


def test_non_finite_weights_after_the_last_step_are_refused():
    # a step's loss is that of the weights before it
    with pytest.raises(DivergedError, match=r"sae\.\w+ holds a NaN or an infinity after step 1"):
        train(["sae"], n_steps=1, lr=1e39, grad_clip=None)


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (0.01, 3.0), (5.0, 1000.0)])
def test_the_variance_of_a_batch_is_exact_far_from_zero(scale, offset):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(500, 7, generator=generator) * scale + offset + torch.arange(7.0)
    expected = z.double().var(0, correction=0).mean().item()
    assert mean_variance(z) == pytest.approx(expected, rel=1e-5)


def test_the_curves_train_error_of_one_batch_is_its_fvu():
    z = torch.randn(64, 8, generator=torch.Generator().manual_seed(1)) * 3 + 2
    zero = torch.zeros(8, requires_grad=True)
    losses = squared_error_objective(zero.expand_as)
    model = torch.nn.ParameterList([zero])
    curve = fit(model, losses, [z], schedule(n_steps=1, lr=0.0), validate=lambda: 0.5)
    sums = FvuSums(8)
    sums.add(z, torch.zeros_like(z))
    assert curve[-1].train_fvu == pytest.approx(sums.fvu, rel=1e-5)
    assert curve[-1].val_fvu == 0.5
