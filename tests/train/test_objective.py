"""AuxK: which latents are dead, what the loss is, and which weights get its gradient."""

import pytest
import torch
from train.records import untrained
from train.test_fit import linear_data, schedule

from fispace.models.fit import fit
from fispace.models.latent_history import LatentHistory
from fispace.models.objective import ArmObjective, aux_k_loss, squared_error_objective
from fispace.study.config.train import AuxKConfig, InitConfig


def sae_model(n_latents=24, k=3):
    init = InitConfig(factors=0.05, linear=0.01, mlp=0.01)
    return untrained(
        ["sae"], d_model=8, n_latents=n_latents, k=k, d_embed=3, init=init, root_seed=1
    )


def test_a_latent_is_dead_after_the_given_tokens_without_a_positive_value():
    history = LatentHistory(torch.zeros(4, 2))
    history.add(torch.tensor([[1.0, 0.0], [2.0, 3.0]]), torch.tensor([[0, 1], [0, 2]]))
    assert history.tokens_since_last_firing.tolist() == [0, 2, 0, 2]
    assert history.dead(2).tolist() == [1, 3]  # latent 1 was selected, but not positive
    history.add(torch.tensor([[1.0]]), torch.tensor([[1]]))
    assert history.tokens_since_last_firing.tolist() == [1, 0, 1, 3]


def test_the_auxiliary_loss_is_the_dense_formula():
    sae = sae_model().sae
    z, residual = torch.randn(5, 8), torch.randn(5, 8)
    dead = torch.tensor([2, 3, 11, 20])
    with torch.no_grad():
        pre_acts = (z @ sae.W_enc[dead].T + sae.b_enc[dead]).relu()
        kept = torch.zeros_like(pre_acts).scatter(1, pre_acts.topk(2).indices, 1.0)
        expected = ((pre_acts * kept) @ sae.W_dec[dead] - residual).square().mean()
    torch.testing.assert_close(aux_k_loss(sae, z, residual, dead, 2), expected)


@pytest.mark.parametrize("is_sparse", [False, True])
def test_only_dead_latents_get_a_gradient_from_it(is_sparse):
    sae = sae_model().sae
    sae.has_sparse_gradients = is_sparse
    dead = torch.tensor([2, 3, 11])
    aux_k_loss(sae, torch.randn(50, 8), torch.randn(50, 8), dead, 64).backward()
    for weight in (sae.W_enc, sae.W_dec):
        gradient = weight.grad.to_dense() if is_sparse else weight.grad
        assert gradient.abs().sum(1).nonzero()[:, 0].tolist() == dead.tolist()


def test_without_a_dead_latent_it_is_zero():
    assert (
        aux_k_loss(sae_model().sae, torch.ones(2, 8), torch.ones(2, 8), torch.tensor([]).long(), 4)
        == 0
    )


@pytest.mark.parametrize("kind", ["adam", "row_sparse_adam"])
def test_it_revives_latents_that_stay_dead_without_it(kind):
    def n_revived(aux_k):
        model = sae_model(n_latents=60, k=2)
        with torch.no_grad():
            model.sae.W_enc[:30] *= 1e-3  # half of the latents are never among the largest
        objective = ArmObjective(model, False, aux_k)
        fit(model, objective, linear_data(200), schedule(200, optimiser=kind), lambda: 0.0)
        codes = model.sae.encode(torch.cat(list(linear_data(20, seed=9))))
        active = codes.indices[codes.values > 0].unique()
        return int((active < 30).sum())

    assert n_revived(None) == 0
    assert n_revived(AuxKConfig(k=8, coefficient=1.0, dead_tokens=256)) >= 2


def test_a_frozen_sae_is_not_revived():
    model = sae_model()
    model.freeze_sae()
    objective = ArmObjective(model, True, AuxKConfig(k=8, coefficient=1.0, dead_tokens=1))
    losses = objective(torch.randn(5, 8))
    assert losses.error is losses.total


def test_the_plain_objective_minimises_what_it_reports():
    losses = squared_error_objective(lambda z: z + 2.0)(torch.zeros(3, 2))
    assert losses.error == losses.total == 4.0
