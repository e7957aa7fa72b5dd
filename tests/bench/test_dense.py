"""The dense references are the package's model written out: same outputs, same gradients."""

import pytest
import torch
from train.records import untrained

from benchmarks.contestants.dense import DenseJoint, DenseSae
from benchmarks.contestants.fispace_arms import INIT
from benchmarks.job import Size
from fispace.study.config.parts import PARTS

SIZE = Size(d_model=6, n_latents=24, k=5, d_embed=4, batch_tokens=13)
INTERACTION = ("V", "W_hidden", "b_hidden", "W_out")


def pair(parts, shift):
    """A model of the package and the dense one with the same weights, in float64, dropout off."""
    ours = untrained(
        parts, d_model=SIZE.d_model, n_latents=SIZE.n_latents, k=SIZE.k, d_embed=SIZE.d_embed,
        init=INIT, root_seed=3,
    ).double()  # fmt: skip
    dense = DenseSae(SIZE) if parts == ("sae",) else DenseJoint(SIZE, dropout=0.0)
    with torch.no_grad():
        ours.sae.b_enc += shift  # below zero: fewer than k positive pre-activations
        if "interaction" in parts:
            ours.interaction.b_hidden += 0.1  # off the ReLU's kink, where rounding decides
    dense.double().load_state_dict(named(ours))
    return ours, dense


def drawn_batch():
    generator = torch.Generator().manual_seed(0)
    shape = (SIZE.batch_tokens, SIZE.d_model)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def named(model):
    """Weights of the package's model under the dense model's names."""
    return {
        name.removeprefix("sae.").removeprefix("interaction."): value
        for name, value in model.state_dict().items()
        if "mean_output" not in name
    }


def gradients(model):
    return {
        name.removeprefix("sae.").removeprefix("interaction."): weight.grad
        for name, weight in model.named_parameters()
    }


@pytest.mark.parametrize("shift", [0.0, -1.0])
@pytest.mark.parametrize("parts", [("sae",), PARTS])
def test_outputs_and_gradients_equal_the_package_in_float64(parts, shift):
    ours, dense = pair(parts, shift)
    z = drawn_batch()
    outputs = ours(z, parts), dense(z)
    torch.testing.assert_close(*outputs)
    for output in outputs:
        (output - z).square().mean().backward()
    expected, found = gradients(dense), gradients(ours)
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, msg=name)


def test_the_joint_models_interaction_reaches_its_weights():
    _, dense = pair(PARTS, 0.0)
    z = drawn_batch()
    (dense(z) - z).square().mean().backward()
    assert all(gradients(dense)[name].abs().sum() > 0 for name in INTERACTION)
