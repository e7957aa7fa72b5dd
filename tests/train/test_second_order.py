"""The pooled pairs without an MLP: a bilinear function of the codes, whose every pair has an exact weight."""

from itertools import combinations

import numpy as np
import pytest
import torch
from train.records import untrained
from train.small_training import JOINT, run

from fispace.models.integrated import IntegratedModel
from fispace.models.pair_scores import all_pairs, double_difference, factor_scores
from fispace.models.parts import Widths, matched_n_latents, n_parameters
from fispace.models.sparse import Codes
from fispace.models.trained import load_trained
from fispace.seeds import torch_stream
from fispace.study.config.parts import PARTS
from fispace.study.config.train import InitConfig

WIDTHS = Widths(d_model=6, n_latents=10, d_embed=4, pooling="second_order")
INIT = InitConfig(factors=0.7, linear=0.1, mlp=0.5)


def model_of(pooling: str = "second_order") -> IntegratedModel:
    return untrained(PARTS, d_model=6, n_latents=10, k=4, d_embed=4, init=INIT, pooling=pooling)


@torch.no_grad()
def codes_of(model: IntegratedModel, n_tokens: int = 20) -> Codes:
    z = torch.randn(n_tokens, model.d_model, generator=torch_stream(0, "tests", "second"))
    return model.sae.encode(z)


def test_it_is_the_double_sum_over_the_pairs_of_active_latents():
    model = model_of()
    codes = codes_of(model)
    f = torch.zeros(20, 10).scatter_(1, codes.indices, codes.values)
    head = model.interaction
    expected = torch.zeros(20, 6)
    for i, j in combinations(range(10), 2):
        expected += (f[:, i] * f[:, j])[:, None] * (head.W_out @ (head.V[i] * head.V[j]))
    torch.testing.assert_close(model.contribution(codes, "interaction"), expected)


def test_it_starts_from_the_factors_and_the_output_layer_of_the_published_head():
    own, published = model_of().interaction, model_of("pairs").interaction
    assert torch.equal(own.V, published.V) and torch.equal(own.W_out, published.W_out)
    assert {name for name, _ in own.named_parameters()} == {"V", "W_out"}


def test_it_has_the_weights_that_it_counts_and_is_matched_by_them():
    model = model_of()
    own = sum(weight.numel() for weight in model.interaction.parameters())
    assert own == model.n_parameters("interaction") == n_parameters(WIDTHS, "interaction")
    assert n_parameters(WIDTHS._replace(pooling="pairs"), "interaction") == own + 4 * 4 + 4
    n_latents = matched_n_latents(WIDTHS, ["sae"], PARTS)
    target = sum(n_parameters(WIDTHS, part) for part in PARTS)
    assert 0 <= target - n_parameters(WIDTHS._replace(n_latents=n_latents), "sae") < 2 * 6 + 1


def test_the_weight_of_a_pair_is_exact_on_every_token():
    model = model_of()
    codes = codes_of(model)
    head = model.interaction
    for a, b in combinations(range(4), 2):
        i, j = codes.indices[:, a], codes.indices[:, b]
        product = (codes.values[:, a] * codes.values[:, b])[:, None]
        torch.testing.assert_close(
            double_difference(model, codes, a, b), product * head.V[i] * head.V[j]
        )
    pairs = all_pairs(np.arange(10))
    found = factor_scores(model, codes, pairs)
    mean = torch.zeros(10).index_add_(0, codes.indices.reshape(-1), codes.values.reshape(-1))
    count = torch.zeros(10).index_add_(
        0, codes.indices.reshape(-1), (codes.values > 0).float().reshape(-1)
    )
    scale = (mean / count.clamp(min=1)).numpy()
    weights = (head.V[pairs.first] * head.V[pairs.second]) @ head.W_out.T
    expected = weights.norm(dim=1).detach().numpy() * scale[pairs.first] * scale[pairs.second]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_an_arm_with_it_is_trained_and_read_back(store):
    row = JOINT | {"pooling": "second_order"}
    model = load_trained(run(store, "second_order", row), {}).model
    codes = codes_of(model)
    assert model.interaction.hidden(codes).shape == (20, model.config.d_embed)
    assert model.contribution(codes, "interaction").abs().max() > 0
    head = model.interaction
    assert torch.equal(head.W_hidden, torch.eye(model.config.d_embed))


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_its_output_is_quadratic_in_the_scale_of_the_codes(scale):
    model = model_of()
    codes = codes_of(model)
    once = model.contribution(codes, "interaction")
    scaled = model.contribution(codes.with_values(scale * codes.values), "interaction")
    torch.testing.assert_close(scaled, scale**2 * once)
