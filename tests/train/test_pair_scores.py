"""Pair scores against their literal definition; fixed codes, readout and first-order control."""

import numpy as np
import pytest
import torch
from train.records import untrained

from fispace.models.fit import Schedule, fit
from fispace.models.integrated import IntegratedModel
from fispace.models.interaction import FirstOrder, Interaction
from fispace.models.objective import FixedCodes
from fispace.models.pair_scores import (
    all_pairs,
    double_difference,
    factor_scores,
    functional_scores,
)
from fispace.models.readout import fit_readout
from fispace.models.sparse import Codes, from_dense, to_dense
from fispace.study.config.train import InitConfig, OptimiserConfig

N_LATENTS, K, TOKENS = 7, 4, 60
INIT = InitConfig(factors=0.7, linear=0.1, mlp=0.7)


def model(pooling: str = "pairs") -> IntegratedModel:
    made = untrained(
        ("linear", "bias", "interaction"), d_model=5, n_latents=N_LATENTS, k=K, d_embed=6,
        pooling=pooling, init=INIT,
    ).eval()  # fmt: skip
    with torch.no_grad():  # away from the ReLU's kink, and with units of both signs
        made.interaction.b_hidden.copy_(torch.linspace(-0.4, 0.5, 6))
    return made


def codes() -> Codes:
    stream = torch.Generator().manual_seed(3)
    matrix = torch.rand(TOKENS, N_LATENTS, generator=stream)
    matrix *= torch.rand(TOKENS, N_LATENTS, generator=stream) < 0.5
    return from_dense(matrix, K)


def output(of: IntegratedModel, matrix: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return of.interaction(from_dense(matrix, K))


@pytest.mark.parametrize("pooling", ["pairs", "sum"])
def test_a_functional_score_is_the_mean_double_finite_difference(pooling: str) -> None:
    of, found = model(pooling), codes()
    latents = np.array([5, 0, 3, 6, 1])
    scores = functional_scores(of, found, latents)
    matrix = to_dense(found, N_LATENTS)
    for score, (i, j) in zip(scores, zip(*np.triu_indices(5, 1), strict=True), strict=True):
        one, other = int(latents[i]), int(latents[j])
        both = (matrix[:, one] > 0) & (matrix[:, other] > 0)
        drops = [matrix[both].clone() for _ in range(4)]
        drops[1][:, one] = drops[3][:, one] = 0
        drops[2][:, other] = drops[3][:, other] = 0
        full, without_one, without_other, without = (output(of, drop) for drop in drops)
        expected = (full - without_one - without_other + without).mean(0).norm()
        assert score == pytest.approx(float(expected), rel=1e-4, abs=1e-6)


def test_a_pair_that_is_never_active_together_scores_nothing() -> None:
    matrix = torch.eye(N_LATENTS).repeat(3, 1)
    assert not functional_scores(model(), from_dense(matrix, K), np.arange(N_LATENTS)).any()


def test_with_all_hidden_units_open_a_double_difference_is_pair_weight_times_product() -> None:
    of, found = model(), codes()
    with torch.no_grad():
        of.interaction.b_hidden.fill_(
            100.0
        )  # every unit is open, so the output is linear in the pool
        change = double_difference(of, found, 0, 1) @ of.interaction.W_out.T
        V, rows = of.interaction.V, found.indices
        through = of.interaction.W_out @ of.interaction.W_hidden
        product = (found.values[:, 0] * found.values[:, 1])[:, None]
        expected = product * ((V[rows[:, 0]] * V[rows[:, 1]]) @ through.T)
    assert change == pytest.approx(expected, abs=1e-3)


def test_a_factor_score_is_the_norm_of_the_derivative_by_the_product() -> None:
    of, found = model(), codes()
    scores = factor_scores(of, found, all_pairs(np.arange(N_LATENTS)))
    matrix = to_dense(found, N_LATENTS)
    head = of.interaction
    with torch.no_grad():
        gate = (head.hidden(found) > 0).float().mean(0)
    mean = matrix.sum(0) / (matrix > 0).sum(0)
    for score, (i, j) in zip(scores, zip(*np.triu_indices(7, 1), strict=True), strict=True):
        weight = head.W_out @ (gate * (head.W_hidden @ (head.V[i] * head.V[j])))
        expected = weight.norm() * mean[i] * mean[j]
        assert score == pytest.approx(float(expected.detach()), rel=1e-4)


def test_the_scale_of_a_latent_does_not_change_a_score() -> None:
    of, found = model(), codes()
    pairs = all_pairs(np.arange(N_LATENTS))
    before = factor_scores(of, found, pairs), functional_scores(of, found, pairs.first[:1])
    with torch.no_grad():
        of.interaction.V[2] /= 8
    scaled = found.with_values(torch.where(found.indices == 2, 8 * found.values, found.values))
    assert factor_scores(of, scaled, pairs) == pytest.approx(before[0], rel=1e-4)


def test_the_first_order_control_has_the_same_weights_and_pools_no_product() -> None:
    pairs, control = model(), model("sum")
    assert type(pairs.interaction) is Interaction and type(control.interaction) is FirstOrder
    for name, weight in pairs.state_dict().items():
        assert torch.equal(weight, control.state_dict()[name])
    found = codes()
    expected = to_dense(found, N_LATENTS) @ control.interaction.V
    assert torch.allclose(control.interaction.pool(found), expected, atol=1e-6)


def test_training_on_given_codes_takes_each_batch_with_its_own_codes() -> None:
    found, of = codes(), model()
    target = 2 * to_dense(found, N_LATENTS)[:, :5]
    objective = FixedCodes(of, found, target)
    order = [torch.arange(TOKENS).flip(0)[:40], torch.arange(20)] * 150
    schedule = Schedule(
        OptimiserConfig(
            lr_end_fraction=0.1,
            lr_decay_fraction=0.8,
            optimiser="adam",
            adam_betas=(0.9, 0.999),
            adam_eps=1e-8,
            grad_clip=None,
        ),
        lr=0.02,
        n_steps=300,
        log_every=300,
        val_every=300,
    )

    def error() -> float:
        with torch.no_grad():
            return float((of.reconstruct(found, of.parts) - target).square().mean())

    before = error()
    fit(of, objective, objective.batches(order), schedule, lambda: 0.0)
    assert error() < before / 50


def test_a_readout_is_least_squares_and_leaves_silent_latents_alone() -> None:
    matrix = torch.rand(80, 4, generator=torch.Generator().manual_seed(0))
    matrix[:, 2] = 0
    W = torch.arange(12.0).view(4, 3)
    readout = fit_readout(from_dense(matrix, 3), matrix @ W + 1, 4)
    assert torch.allclose(readout(from_dense(matrix, 3)), matrix @ W + 1, atol=1e-4)
    assert readout.W[2].abs().max() < 1e-6


def test_sparse_and_dense_are_inverse() -> None:
    matrix = to_dense(codes(), N_LATENTS)
    assert torch.equal(to_dense(from_dense(matrix, K), N_LATENTS), matrix)
