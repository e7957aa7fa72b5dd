"""Refitted magnitudes are the exact non-negative least squares on a token's active latents."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from fispace.errors import NonFiniteError, RefitError
from fispace.models import refit
from fispace.models.refit import lost_without, pursued, refitted
from fispace.models.sparse import Codes, sparse_sum
from fispace.models.topk import encode_top_k


def drawn(n_tokens, d_model, n_latents, k, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    z, W_dec, W_enc = (
        torch.randn(n, d_model, generator=generator, dtype=dtype)
        for n in (n_tokens, n_latents, n_latents)
    )
    return z, encode_top_k(z, W_enc, torch.zeros(n_latents, dtype=dtype), k), W_dec


def reference(z, codes, W_dec):
    """scipy's active-set method, token by token, on the active latents."""
    found = np.zeros(codes.values.shape)
    for token, active in enumerate((codes.values > 0).numpy()):
        rows = W_dec[codes.indices[token]].numpy()[active]
        if active.any():
            found[token, active] = nnls(rows.T, z[token].numpy())[0]
    return found


def squared_error(z, codes, W_dec):
    return (z - sparse_sum(codes, W_dec)).square().sum(1)


@settings(max_examples=40, deadline=None)
@given(
    n_tokens=st.integers(1, 12), d_model=st.integers(4, 9), n_latents=st.integers(1, 20),
    k=st.integers(1, 4), seed=st.integers(0, 10**6),
)  # fmt: skip
def test_magnitudes_equal_those_of_scipy_for_every_token(n_tokens, d_model, n_latents, k, seed):
    z, codes, W_dec = drawn(n_tokens, d_model, n_latents, min(k, n_latents), seed)
    found = refitted(z, codes, W_dec).values.numpy()
    assert np.allclose(found, reference(z, codes, W_dec), atol=1e-6)


def test_conditions_of_the_optimum_hold_at_every_token():
    z, codes, W_dec = drawn(300, 16, 60, 12, seed=1)
    found = refitted(z, codes, W_dec)
    residual = z - sparse_sum(found, W_dec)
    gradient = (W_dec[codes.indices] @ residual[:, :, None])[:, :, 0]  # of -error / 2
    is_active = codes.values > 0
    assert (found.values >= 0).all()
    assert gradient[found.values > 0].abs().max() < 1e-7
    assert gradient[is_active & (found.values == 0)].max() < 1e-7


def test_error_never_exceeds_that_of_the_encoder():
    z, codes, W_dec = drawn(300, 16, 60, 12, seed=2)
    before, after = (
        squared_error(z, codes, W_dec),
        squared_error(z, refitted(z, codes, W_dec), W_dec),
    )
    assert (after <= before + 1e-10).all()
    assert after.mean() < 0.9 * before.mean()


def test_inactive_latents_stay_zero_and_silent_tokens_stay_silent():
    z, codes, W_dec = drawn(50, 8, 20, 6, seed=3)
    codes.values[:10] = 0
    codes.values[10:20, 2] = 0
    found = refitted(z, codes, W_dec).values
    assert (found[:10] == 0).all()
    assert (found[10:20, 2] == 0).all()
    assert (found[10:] > 0).any()


def test_one_latent_is_its_projection():
    z = torch.tensor([[2.0, 1.0], [-2.0, 0.0]], dtype=torch.float64)
    W_dec = torch.tensor([[4.0, 0.0]], dtype=torch.float64)
    codes = Codes(torch.ones(2, 1, dtype=torch.float64), torch.zeros(2, 1, dtype=torch.int64))
    assert torch.allclose(refitted(z, codes, W_dec).values[:, 0], torch.tensor([0.5, 0.0]).double())


def test_magnitudes_scale_with_activations_and_against_rows():
    z, codes, W_dec = drawn(40, 8, 20, 5, seed=4)
    found = refitted(z, codes, W_dec).values
    assert torch.allclose(refitted(3 * z, codes, W_dec).values, 3 * found, atol=1e-9)
    scale = torch.rand(20, generator=torch.Generator().manual_seed(5)).double() + 0.5
    scaled = refitted(z, codes, W_dec * scale[:, None]).values
    assert torch.allclose(scaled * scale[codes.indices], found, atol=1e-8)


def test_rotation_of_the_activations_changes_nothing():
    z, codes, W_dec = drawn(40, 8, 20, 5, seed=6)
    turn = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64))[0]
    assert torch.allclose(
        refitted(z @ turn, codes, W_dec @ turn).values, refitted(z, codes, W_dec).values, atol=1e-9
    )


def test_equal_rows_share_their_magnitude_and_a_row_of_zeros_gets_none():
    z = torch.tensor([[2.0, 0.0]], dtype=torch.float64)
    W_dec = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]], dtype=torch.float64)
    codes = Codes(torch.ones(1, 3, dtype=torch.float64), torch.arange(3)[None])
    assert torch.allclose(
        refitted(z, codes, W_dec).values, torch.tensor([[1.0, 1.0, 0.0]]).double()
    )


def test_slices_do_not_change_a_bit(monkeypatch):
    z, codes, W_dec = drawn(100, 8, 30, 5, seed=7)
    whole = refitted(z, codes, W_dec).values
    monkeypatch.setattr(refit, "SLICE_NUMBERS", 7 * 5 * 8)
    assert torch.allclose(refitted(z, codes, W_dec).values, whole, atol=1e-12)


def test_no_tokens_and_single_precision_are_served():
    z, codes, W_dec = drawn(30, 8, 20, 5, seed=8, dtype=torch.float32)
    assert refitted(z[:0], codes[:0], W_dec).values.shape == (0, 5)
    found = refitted(z, codes, W_dec).values
    assert found.dtype == torch.float32
    assert np.allclose(found.numpy(), reference(z.double(), codes, W_dec.double()), atol=1e-4)


def test_pursuit_adds_the_latent_that_lowers_the_error_most():
    z, codes, W_dec = drawn(40, 8, 20, 3, seed=9)
    fitted = refitted(z, codes, W_dec)
    wider = pursued(z, fitted, W_dec)
    assert wider.indices.shape == (40, 4)
    assert all(len(set(row.tolist())) == 4 for row in wider.indices)
    residual = z - sparse_sum(fitted, W_dec)
    along = (residual @ W_dec.T / W_dec.norm(dim=1)).scatter(1, codes.indices, -torch.inf)
    expected = residual.square().sum(1) - along.amax(1).clamp(min=0).square()
    assert torch.allclose(squared_error(z, wider, W_dec), expected)


def test_a_refit_that_does_not_converge_is_one_error(monkeypatch):
    z, codes, W_dec = drawn(40, 8, 20, 5, seed=10)
    monkeypatch.setattr(refit, "ROUNDS_PER_LATENT", 0)
    with pytest.raises(RefitError, match="did not converge"):
        refitted(z, codes, W_dec)


def test_activations_that_are_not_finite_are_refused():
    z, codes, W_dec = drawn(4, 8, 20, 5, seed=11)
    z[1, 2] = torch.nan
    with pytest.raises(NonFiniteError, match="activation"):
        refitted(z, codes, W_dec)


def test_what_is_lost_without_a_latent_is_the_error_of_refitting_the_others():
    z, codes, W_dec = drawn(30, 12, 20, 3, seed=12)
    fitted = refitted(z, codes, W_dec)
    lost, before = lost_without(fitted, W_dec), squared_error(z, fitted, W_dec)
    for token in range(30):
        for place in range(3):
            others = [p for p in range(3) if p != place and fitted.values[token, p] > 0]
            rows = W_dec[fitted.indices[token, others]].T.numpy()
            best = np.linalg.lstsq(rows, z[token].numpy(), rcond=None)[0]
            error = float(np.square(z[token].numpy() - rows @ best).sum())
            expected = error - float(before[token]) if fitted.values[token, place] > 0 else 0.0
            assert float(lost[token, place]) == pytest.approx(expected, abs=1e-7)
