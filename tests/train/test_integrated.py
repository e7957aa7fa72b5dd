"""Laws of the integrated model: what its parts compute, and what is not identifiable."""

import itertools

import pytest
import torch
from train.records import untrained

from fispace.models.integrated import ablations, parts_name
from fispace.models.sparse import Codes, sparse_sum
from fispace.study.config.parts import PARTS
from fispace.study.config.train import InitConfig

SIZES = {"d_model": 6, "n_latents": 20, "k": 4, "d_embed": 3}
INIT = InitConfig(factors=0.5, linear=0.1, mlp=0.3)


def model_of(parts=PARTS, seed=0, **sizes):
    return untrained(parts, **(SIZES | sizes), init=INIT, root_seed=7, seed=seed)


def tokens(n=11):
    return torch.randn(n, SIZES["d_model"], generator=torch.Generator().manual_seed(5))


def test_sae_plus_linear_is_one_sae_with_the_merged_decoder():
    model, z = model_of(), tokens()
    codes = model.sae.encode(z)
    merged = sparse_sum(codes, model.sae.W_dec + model.W_lin)
    torch.testing.assert_close(model.reconstruct(codes, ["sae", "linear"]), merged)


def test_decoder_and_linear_part_get_identical_gradients():
    model, z = model_of(), tokens()
    (model(z, model.parts) - z).square().mean().backward()
    torch.testing.assert_close(model.sae.W_dec.grad, model.W_lin.grad)


def subtracting():
    model = model_of()
    model.bias.data = (
        torch.randn(SIZES["d_model"], generator=torch.Generator().manual_seed(2)) * 0.3
    )
    model.sae.b_enc.data.add_(0.1)
    model.subtracts_bias = True
    return model


def test_a_subtracted_bias_gets_gradients_from_input_and_output():
    model, z = subtracting().double(), tokens().double()
    (model(z, ["sae", "bias"]) - z).square().mean().backward()
    found = model.bias.grad.clone()
    sae, b = model.sae, model.bias.detach().clone().requires_grad_()
    kept = torch.zeros(len(z), SIZES["n_latents"]).scatter(1, sae.encode(z - b).indices, 1.0)
    f = ((z - b) @ sae.W_enc.T + sae.b_enc).relu() * kept
    (f @ sae.W_dec + b - z).square().mean().backward()
    torch.testing.assert_close(found, b.grad)


def test_absorbing_the_subtracted_bias_leaves_every_reconstruction_unchanged():
    model, z = subtracting(), tokens()
    before = model(z, model.parts)
    model.absorb_bias()
    torch.testing.assert_close(model(z, model.parts), before)
    codes = model.sae.encode(z)  # the codes that every use of a trained SAE reads
    torch.testing.assert_close(model.reconstruct(codes, model.parts), before)
    model.absorb_bias()
    torch.testing.assert_close(model(z, model.parts), before)


def test_factor_pooling_equals_the_double_loop_over_pairs():
    model, z = model_of(), tokens()
    codes = model.sae.encode(z)
    V = model.interaction.V
    by_hand = torch.zeros(len(z), SIZES["d_embed"])
    for token, (values, indices) in enumerate(zip(codes.values, codes.indices, strict=True)):
        for a, b in itertools.combinations(range(SIZES["k"]), 2):
            by_hand[token] += values[a] * values[b] * V[indices[a]] * V[indices[b]]
    torch.testing.assert_close(model.interaction.pool(codes), by_hand)


def test_pooling_of_a_single_latent_is_zero():
    codes = Codes(torch.tensor([[3.0, 0.0]]), torch.tensor([[4, 9]]))
    assert model_of().interaction.pool(codes).abs().max() < 1e-6


def test_moving_the_interactions_mean_to_the_bias_leaves_the_sum_unchanged():
    model, z = model_of().eval(), tokens()
    before = model(z, model.parts)
    alone = model(z, ["interaction"])
    model.interaction.mean_output.copy_(alone.mean(0))
    torch.testing.assert_close(model(z, model.parts), before)
    torch.testing.assert_close(
        model(z, ["interaction"]).mean(0), torch.zeros(SIZES["d_model"]), atol=1e-6, rtol=0
    )


def test_parts_sum_to_the_whole():
    model, z = model_of().eval(), tokens()
    total = sum(model(z, [part]) for part in model.parts)
    torch.testing.assert_close(total, model(z, model.parts))


def test_encoder_starts_as_a_copy_of_the_decoder_and_is_not_tied_to_it():
    sae = model_of().sae
    torch.testing.assert_close(sae.W_enc, sae.W_dec)
    with torch.no_grad():
        sae.W_dec += 1
    assert (sae.W_enc - sae.W_dec).abs().min() > 0.5


def test_arms_of_a_seed_share_initial_weights_and_seeds_differ():
    joint, without = model_of(), model_of(["sae", "bias", "interaction"])
    torch.testing.assert_close(joint.sae.W_dec, without.sae.W_dec)
    torch.testing.assert_close(joint.interaction.V, without.interaction.V)
    assert not torch.equal(joint.sae.W_dec, model_of(seed=1).sae.W_dec)


def test_decoder_starts_uniform_within_the_published_bound():
    W_dec = model_of(["sae"], d_model=64, n_latents=400).sae.W_dec
    bound = 400**-0.5
    assert W_dec.abs().max() <= bound
    assert W_dec.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


def test_a_part_the_model_does_not_have_is_refused():
    with pytest.raises(ValueError, match="linear"):
        model_of(["sae"])(tokens(), ["linear"])


def test_ablations_are_every_subset_that_keeps_the_sae():
    names = [parts_name(parts) for parts in ablations(PARTS)]
    assert len(names) == len(set(names)) == 8
    assert names[0] == "sae" and names[-1] == "sae+linear+bias+interaction"
    assert all(name.startswith("sae") for name in names)


def test_parameter_count_of_the_paper():
    # N17: 496,106,700 in all, 32.25 % of them the linear part, 3.2 % the interaction part
    d_model, n_latents, d_embed = 3200, 50_000, 300
    with torch.device("meta"):
        sae, linear = 2 * d_model * n_latents + n_latents, d_model * n_latents
    interaction = n_latents * d_embed + d_embed * d_embed + d_embed + d_embed * d_model
    assert sae + linear + interaction + 2 * d_model == 496_106_700
    counted = model_of()
    small = {part: counted.n_parameters(part) for part in PARTS}
    assert small == {
        "sae": 2 * 6 * 20 + 20,
        "linear": 120,
        "bias": 6,
        "interaction": 60 + 9 + 3 + 18,
    }
