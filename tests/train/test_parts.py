"""Every named part and pooling has the properties that the registry states."""

import ast
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from train.records import untrained

from fispace.models.integrated import IntegratedModel
from fispace.models.interaction import POOLINGS
from fispace.models.pairs import Pairs, pair_weights
from fispace.models.parts import PART_KINDS, Widths, n_parameters
from fispace.models.sparse import Codes
from fispace.plotting.style import LOOKS
from fispace.seeds import torch_stream
from fispace.study.config.parts import ALL_PARTS, DECODERS, PART_FORMULAS, POOLED, Part, Pooling
from fispace.study.config.train import InitConfig

ROOT = Path(__file__).parents[2]
WIDTHS = Widths(d_model=6, n_latents=10, d_embed=4)
INIT = InitConfig(factors=0.7, linear=0.3, mlp=0.6)


def model_of(*parts: Part, pooling: Pooling = "pairs") -> IntegratedModel:
    widths = WIDTHS._replace(pooling=pooling)
    model = untrained(parts, **widths._asdict(), k=3, init=INIT)
    return model.eval().requires_grad_(False)


def codes_of(model: IntegratedModel, n_tokens: int = 20) -> Codes:
    z = torch.randn(n_tokens, WIDTHS.d_model, generator=torch_stream(0, "tests", "parts"))
    return model.sae.encode(z)


def test_every_named_part_has_a_computation_a_formula_and_a_look():
    assert (
        set(PART_KINDS) == set(LOOKS) == set(PART_FORMULAS) == set(ALL_PARTS) == set(get_args(Part))
    )
    assert tuple(PART_KINDS) == ALL_PARTS  # the order of initial weights, of sums and of tables
    assert set(POOLINGS) == set(POOLED) == set(get_args(Pooling))


@pytest.mark.parametrize("part", [part for part in ALL_PARTS if part != "sae"])
def test_a_part_has_the_number_of_weights_that_it_declares(part: Part):
    sizes = [
        sum(p.numel() for p in model_of(*parts).parameters()) for parts in (("sae",), ("sae", part))
    ]
    assert sizes[1] - sizes[0] == n_parameters(WIDTHS, part)
    assert sizes[0] == n_parameters(WIDTHS, "sae")


@pytest.mark.parametrize("part", ALL_PARTS)
def test_exactly_the_decoders_are_linear_in_the_codes(part: Part):
    model = model_of(*ALL_PARTS)
    assert (PART_KINDS[part].rows(model) is not None) == (part in DECODERS)
    if part in DECODERS:
        codes = codes_of(model)
        twice = model.contribution(codes.with_values(2 * codes.values), part)
        torch.testing.assert_close(twice, 2 * model.contribution(codes, part))


@pytest.mark.parametrize("pooling", get_args(Pooling))
def test_a_pooling_of_no_active_latent_is_zero(pooling: Pooling):
    model = model_of("sae", "interaction", pooling=pooling)
    codes = codes_of(model)
    silent = codes.with_values(torch.zeros_like(codes.values))
    assert model.interaction.pool(silent).abs().max() == 0


@pytest.mark.parametrize("pooling", get_args(Pooling))
def test_pair_weights_are_those_of_the_double_difference_or_are_missing_with_a_reason(
    pooling: Pooling,
):
    head = model_of("sae", "interaction", pooling=pooling).interaction
    model = model_of("sae", "interaction", pooling=pooling)
    values, indices = torch.tensor([[0.5, 2.0, 1.5]]), torch.tensor([[1, 4, 8]])
    readout = torch.tensor([1.0, -2.0, 0.5, 3.0])
    pairs = Pairs(np.array([1]), np.array([8]), np.array([0.75]))
    found = pair_weights(model, readout, pairs)

    def read(*kept: float) -> float:
        return float(head.pool(Codes(values * torch.tensor(kept), indices))[0] @ readout)

    if head.no_pair_weights is None:
        difference = read(1, 1, 1) - read(0, 1, 1) - read(1, 1, 0) + read(0, 1, 0)
        assert found[0] * 0.5 * 1.5 == pytest.approx(difference, rel=1e-5)
    else:
        assert np.isnan(found).all()
        assert len(head.no_pair_weights) > 20


def test_a_request_for_a_missing_part_is_refused_by_name():
    with pytest.raises(ValueError, match="'linear' is not in this model: sae, bias"):
        model_of("sae", "bias").rows("linear")
    with pytest.raises(ValueError, match="'bias' is not linear"):
        model_of("sae", "bias").rows("bias")


def test_dropout_is_declared_once_and_the_interaction_drops_with_it():
    declared = [
        f"{path.name}:{node.lineno}"
        for path in (ROOT / "src/fispace").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.arg) and node.arg == "dropout")
        or (isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "dropout")
    ]
    assert len(declared) == 1, declared
    model = untrained(
        ["sae", "interaction"],
        **WIDTHS._replace(pooling="sum")._asdict(),
        k=3,
        init=INIT,
        dropout=0.3,
    )
    assert model.interaction.dropout.p == 0.3
