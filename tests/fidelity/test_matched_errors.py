"""Laws of the matched errors: each keeps its stated property of the error, and no other."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from fispace.chapters.fidelity.matched_errors import (
    cosine_matched_error,
    covariance_matched_error,
    error_moments,
    gaussian_directions,
    isotropic_error,
    shuffled_error,
)
from fispace.chapters.fidelity.split_errors import SplitErrors, matched_error
from fispace.seeds import random_cycle

N, D = 4000, 12
CONTROLS = ("epsilon_random", "cosine_noise", "covariance_noise", "shuffled_error")


def stream(seed=0):
    return torch.Generator().manual_seed(seed)


def case(seed=0, n=N):
    """Activations, and errors with a mean, unequal variances, and a component along x."""
    x = torch.randn(n, D, generator=stream(seed)) * 3 + 1
    error = (
        torch.randn(n, D, generator=stream(seed + 1)) * torch.linspace(0.1, 2, D) + 0.3 - 0.2 * x
    )
    return x, error


def of(control, x, error, seed=0):
    return matched_error(
        control, x, error, SplitErrors(error, stream(seed + 7)), 0, stream(seed + 8)
    )


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), control=st.sampled_from(CONTROLS))
def test_every_control_has_each_tokens_own_error_norm(seed, control):
    x, error = case(seed, 50)
    torch.testing.assert_close(of(control, x, error, seed).norm(dim=1), error.norm(dim=1))


@pytest.mark.parametrize("control", CONTROLS)
def test_no_control_is_aligned_with_the_error(control):
    x, error = case()
    along_x = (error * F.normalize(x, dim=1)).sum(1, keepdim=True) * F.normalize(x, dim=1)
    left = (error - error.mean(0)) if control != "cosine_noise" else error - along_x
    found = of(control, x, error)
    found = found - found.mean(0) if control != "cosine_noise" else found - along_x
    # beyond the shared mean or angle, error and control are uncorrelated token by token
    assert abs(F.cosine_similarity(found, left).mean()) < 0.02


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_depends_on_the_stream_alone(control):
    x, error = case(n=20)
    assert torch.equal(of(control, x, error), of(control, x, error))
    assert not torch.equal(of(control, x, error), of(control, x, error, seed=1))


def test_isotropic_directions_are_uniform_on_the_sphere():
    _, error = case()
    units = F.normalize(isotropic_error(error, stream()), dim=1)
    assert units.mean(0).abs().max() < 4 * (D * N) ** -0.5
    torch.testing.assert_close(units.T @ units / N, torch.eye(D) / D, atol=0.01, rtol=0)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999))
def test_cosine_noise_has_the_errors_angle_to_the_activation_and_the_reconstructions_norm(seed):
    x, error = case(seed, 50)
    noise = cosine_matched_error(x, error, stream(seed))
    torch.testing.assert_close(
        F.cosine_similarity(noise, x), F.cosine_similarity(error, x), atol=1e-5, rtol=0
    )
    torch.testing.assert_close((x + noise).norm(dim=1), (x + error).norm(dim=1))
    torch.testing.assert_close(
        F.cosine_similarity(x + noise, x), F.cosine_similarity(x + error, x), atol=1e-5, rtol=0
    )


def test_gaussian_directions_have_the_errors_mean_and_covariance_in_the_limit():
    _, error = case()
    drawn = gaussian_directions(400_000, error_moments(error), stream())
    torch.testing.assert_close(drawn.mean(0), error.double().mean(0), atol=0.01, rtol=0)
    torch.testing.assert_close(
        torch.cov(drawn.T), torch.cov(error.double().T, correction=0), atol=0.03, rtol=0
    )


def test_rescaled_covariance_noise_keeps_the_total_variance_exactly_and_the_axes_nearly():
    _, error = case()
    noise = covariance_matched_error(error, error_moments(error), stream())
    ours, theirs = noise.T @ noise / N, error.T @ error / N
    assert ours.trace().item() == pytest.approx(theirs.trace().item(), rel=1e-5)
    assert (ours - theirs).norm() < 0.1 * theirs.norm()


def test_errors_within_a_plane_give_directions_within_it():
    error = case()[1].clone()
    error[:, 2:] = 0
    assert gaussian_directions(100, error_moments(error), stream())[:, 2:].abs().max() < 1e-6


@settings(max_examples=30, deadline=None)
@given(n=st.integers(2, 60), seed=st.integers(0, 999))
def test_the_shuffle_is_a_permutation_in_which_no_token_keeps_its_own_error(n, seed):
    partner = random_cycle(n, stream(seed))
    assert sorted(partner.tolist()) == list(range(n))
    assert (partner != torch.arange(n)).all()


def test_a_shuffled_split_has_every_direction_of_the_errors_once():
    _, error = case(n=30)
    split = SplitErrors(error, stream())
    first, second = split.of_partners(0, 12), split.of_partners(12, 18)  # batch by batch
    shuffled = torch.cat([shuffled_error(error[:12], first), shuffled_error(error[12:], second)])
    units, own = F.normalize(shuffled, dim=1), F.normalize(error, dim=1)
    nearest = (units @ own.T).max(1)
    assert sorted(nearest.indices.tolist()) == list(range(30))
    torch.testing.assert_close(nearest.values, torch.ones(30))


def test_controls_of_the_split_without_its_errors_are_refused():
    x, error = case(n=5)
    with pytest.raises(ValueError, match="shuffled_error needs"):
        matched_error("shuffled_error", x, error, None, 0, stream())
