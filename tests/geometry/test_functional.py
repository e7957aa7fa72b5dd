"""Functional contributions: the closed forms equal removing each latent by hand."""

from typing import get_args

import pytest
import torch
from torch import Tensor
from train.records import untrained

from fispace.models.integrated import IntegratedModel
from fispace.models.leave_one_out import DecoderTerms, interaction_growth
from fispace.models.sparse import Codes, active_entries
from fispace.seeds import torch_stream
from fispace.study.config.parts import PARTS, Pooling
from fispace.study.config.train import InitConfig

D_MODEL, N_LATENTS = 7, 12


@pytest.fixture(params=get_args(Pooling))
def any_model(request: pytest.FixtureRequest) -> IntegratedModel:
    """One model for each pooling."""
    return model_with(request.param)


@pytest.fixture
def model() -> IntegratedModel:
    return model_with("pairs")


def model_with(pooling: Pooling) -> IntegratedModel:
    found = untrained(
        PARTS, d_model=D_MODEL, n_latents=N_LATENTS, k=4, d_embed=5, dropout=0.2, pooling=pooling,
        init=InitConfig(factors=0.8, linear=0.3, mlp=0.6),
    )  # fmt: skip
    return found.eval().requires_grad_(False)


@pytest.fixture
def z() -> Tensor:
    return torch.randn(30, D_MODEL, generator=torch_stream(0, "tests", "z"))


def squared_error(model: IntegratedModel, z: Tensor, codes: Codes, **taken: int) -> float:
    """Error of the model with one latent removed from the codes of one part."""
    total = -z
    for part in model.parts:
        values = codes.values.clone()
        if part in taken:
            values[codes.indices == taken[part]] = 0
        total = total + model.contribution(Codes(values, codes.indices), part)
    return total.double().square().sum().item()


def residual_of(model: IntegratedModel, z: Tensor, codes: Codes) -> Tensor:
    return z - model.reconstruct(codes, model.parts)


@pytest.mark.parametrize("part", ["sae", "linear"])
def test_the_closed_form_of_a_decoder_equals_removing_the_latent(
    part: str, model: IntegratedModel, z: Tensor
) -> None:
    codes = model.sae.encode(z)
    terms = DecoderTerms(N_LATENTS, D_MODEL)
    for rows in torch.arange(30).split(11):  # batches change nothing
        some = Codes(codes.values[rows], codes.indices[rows])
        active = active_entries(some.values, some.indices)
        terms.add(active, residual_of(model, z[rows], some))
    found = terms.growth(model.sae.W_dec if part == "sae" else model.W_lin)
    full = squared_error(model, z, codes)
    expected = [squared_error(model, z, codes, **{part: i}) - full for i in range(12)]
    assert found.tolist() == pytest.approx(expected, abs=1e-3)


def test_removing_a_latent_from_the_interaction_is_exact_for_every_pooling(
    any_model: IntegratedModel, z: Tensor
) -> None:
    codes = any_model.sae.encode(z)
    found = growth_of_interaction(any_model, z, codes, torch.ones(12, dtype=torch.bool))
    full = squared_error(any_model, z, codes)
    expected = [squared_error(any_model, z, codes, interaction=i) - full for i in range(12)]
    assert found.tolist() == pytest.approx(expected, abs=1e-3)
    assert found.abs().max() > 0.01


def growth_of_interaction(
    model: IntegratedModel, z: Tensor, codes: Codes, is_measured: Tensor
) -> Tensor:
    return interaction_growth(model.interaction, codes, residual_of(model, z, codes), is_measured)


def test_only_drawn_latents_are_measured(any_model: IntegratedModel, z: Tensor) -> None:
    codes = any_model.sae.encode(z)
    whole = growth_of_interaction(any_model, z, codes, torch.ones(12, dtype=torch.bool))
    is_measured = torch.arange(12) < 5
    some = growth_of_interaction(any_model, z, codes, is_measured)
    assert torch.equal(some[5:], torch.zeros(7, dtype=torch.float64))
    assert torch.allclose(some[:5], whole[:5])


def test_a_latent_alone_on_its_token_interacts_with_nothing(model: IntegratedModel) -> None:
    values = torch.tensor([[2.0, 0.0]])
    codes = Codes(values, torch.tensor([[3, 5]]))
    found = growth_of_interaction(model, torch.ones(1, 7), codes, torch.ones(12, dtype=torch.bool))
    assert found.abs().max() == pytest.approx(0, abs=1e-9)


def test_the_growth_by_hand() -> None:
    # f = 2, w = (1, 0), residual (3, 4): 2 * 2 * 3 + 4 * 1 = 16 = |(5, 4)|^2 - |(3, 4)|^2
    terms = DecoderTerms(2, 2)
    active = active_entries(torch.tensor([[2.0]]), torch.tensor([[0]]))
    terms.add(active, torch.tensor([[3.0, 4.0]]))
    assert terms.growth(torch.tensor([[1.0, 0.0], [1.0, 1.0]])).tolist() == [16.0, 0.0]
