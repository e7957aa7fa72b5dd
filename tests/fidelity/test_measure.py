"""Metrics against hand-computed values, and laws that common implementations of them violate."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from fispace.chapters.fidelity.document_sums import MASKED, metric_samples
from fispace.chapters.fidelity.spliced_evaluation import Scored, UnchangedPass
from fispace.lm.window_batches import WindowBatch
from fispace.stats.bootstrap import interval_of, ratio_samples, resample_counts
from fispace.stats.metrics import (
    FiringCounts,
    FvuSums,
    dead_fraction,
    kl_and_ce,
    kl_per_token,
    l0,
    log_probabilities,
    next_token_ce,
    prediction_of,
)
from fispace.store.standardiser import Standardiser

X = torch.tensor([[2.0, 0.0], [0.0, 4.0]])
X_HAT = torch.tensor([[2.0, 1.0], [0.0, 3.0]])


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def fvu(x, x_hat):
    sums = FvuSums(x.shape[1])
    sums.add(x, x_hat)
    return sums.fvu


def test_fvu_of_a_hand_computed_table():
    # errors 1 + 1; deviations from (1, 2): 5 + 5
    assert fvu(X, X_HAT) == pytest.approx(0.2)


def test_the_mean_predictor_has_fvu_one_whatever_the_mean():
    x = gaussian(500, 4) + 5
    assert fvu(x, x.double().mean(0).expand(500, 4)) == pytest.approx(1)


def test_a_constant_error_counts():
    # 1 - var(x - x_hat)/var(x) would call this perfect
    x = gaussian(500, 4)
    assert fvu(x, x + 1) == pytest.approx(1, rel=0.2)


@settings(max_examples=30, deadline=None)
@given(scale=st.floats(0.01, 100), shift=st.floats(-100, 100), seed=st.integers(0, 99))
def test_fvu_is_invariant_under_a_common_affine_map(scale, shift, seed):
    x = gaussian(40, 3, seed=seed).double()
    x_hat = x + 0.3 * gaussian(40, 3, seed=seed + 1).double()
    mapped = fvu(scale * x + shift, scale * x_hat + shift)
    assert mapped == pytest.approx(fvu(x, x_hat), rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(1, 99), max_size=6, unique=True))
def test_fvu_does_not_depend_on_how_the_split_is_batched(cuts):
    x, x_hat = gaussian(100, 5) * 3 + 10, gaussian(100, 5, seed=1) * 3 + 10
    sums = FvuSums(5)
    for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), 100], strict=True):
        sums.add(x[a:b], x_hat[a:b])
    assert sums.fvu == pytest.approx(fvu(x, x_hat), rel=1e-9)


def test_the_sums_over_windows_give_the_same_fvu_in_both_units():
    x = gaussian(6, 9, 5) * 3 + 10
    ids, scored = torch.zeros(6, 9, dtype=torch.long), torch.arange(54).view(6, 9) % 4 > 0
    batch = WindowBatch(ids, torch.ones_like(ids), scored, np.arange(6))
    done: Any = UnchangedPass(None, 0, batch, x, None, None)
    rows, units = x[scored], Standardiser(gaussian(5, seed=2), gaussian(5, seed=3).abs() + 0.5)
    x_hat = rows + gaussian(*rows.shape, seed=4)
    sums = Scored(done, MASKED).errors(units, x_hat, rows.double().mean(0))
    by_window = pd.DataFrame({name: values.sum(1).numpy() for name, values in sums.items()})
    found = {name: metric_samples(by_window, name, np.ones((1, 6))) for name in ("fvu", "fvu_raw")}
    assert found["fvu_raw"] == pytest.approx(fvu(rows, x_hat), rel=1e-6)
    z, z_hat = units.standardise(rows), units.standardise(x_hat)
    assert found["fvu"] == pytest.approx(fvu(z, z_hat), rel=1e-6)


def test_l0_counts_values_above_zero():
    assert l0(torch.tensor([[1.0, 0.0, 2.0], [0.0, 0.0, 0.0]])).tolist() == [2, 0]


def test_dead_fraction_is_the_share_that_never_fired():
    assert dead_fraction(torch.tensor([True, False, False, True])) == 0.5


def test_kl_of_a_distribution_with_itself_is_zero_and_never_negative():
    log_p = log_probabilities(gaussian(6, 9) * 20)
    log_q = log_probabilities(gaussian(6, 9, seed=1) * 20)
    assert kl_per_token(log_p, log_p).abs().max() == 0
    assert kl_per_token(log_p, log_q).min() > 0


def test_kl_of_two_coins():
    log_p, log_q = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.9, 0.1]]).log()
    expected = 0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1)
    assert kl_per_token(log_p, log_q).item() == pytest.approx(expected)


def test_kl_stays_exact_where_an_epsilon_in_the_logarithm_would_bound_it():
    log_p, log_q = (
        log_probabilities(torch.tensor([[0.0, 90.0]])),
        log_probabilities(torch.tensor([[90.0, 0.0]])),
    )
    assert kl_per_token(log_p, log_q).item() == pytest.approx(90)


def test_next_token_ce_is_torchs_cross_entropy_shifted_by_one():
    logits, ids = (
        gaussian(2, 7, 11),
        torch.randint(11, (2, 7), generator=torch.Generator().manual_seed(0)),
    )
    ours = next_token_ce(log_probabilities(logits), ids)
    theirs = F.cross_entropy(
        logits[:, :-1].reshape(-1, 11).double(), ids[:, 1:].reshape(-1), reduction="none"
    )
    torch.testing.assert_close(ours[:, :-1].reshape(-1), theirs)
    assert (ours[:, -1] == 0).all()


def test_one_pass_over_the_vocabulary_gives_the_kl_and_ce_of_the_two_formulas():
    original, spliced = gaussian(3, 7, 11) * 5, gaussian(3, 7, 11, seed=1) * 5
    ids = torch.randint(11, (3, 7), generator=torch.Generator().manual_seed(0))
    log_p, log_q = log_probabilities(original), log_probabilities(spliced)
    kl, ce = kl_and_ce(prediction_of(log_p), spliced, ids)
    torch.testing.assert_close(kl, kl_per_token(log_p, log_q))
    torch.testing.assert_close(ce, next_token_ce(log_q, ids))
    assert kl_and_ce(prediction_of(log_p), original, ids)[0].abs().max() < 1e-14


def firing(values, indices, cuts, window_tokens):
    counts = FiringCounts(n_latents=4, n_tokens=len(values), window_tokens=window_tokens)
    for a, b in zip([0, *cuts], [*cuts, len(values)], strict=True):
        counts.add(values[a:b], indices[a:b])
    return counts


VALUES = torch.tensor([[1.0, 2.0], [1.0, 0.0], [3.0, 1.0], [0.5, 0.0], [1.0, 1.0]])
INDICES = torch.tensor([[0, 1], [0, 2], [0, 3], [1, 2], [2, 3]])


def test_a_latent_is_dead_in_a_window_if_it_fires_on_none_of_its_tokens():
    # windows of two: {0, 1} fire, then {0, 3, 1}; the fifth token is in no whole window
    counts = firing(VALUES, INDICES, [], 2)
    assert counts.n_windows == 2
    assert counts.n_windows_fired.tolist() == [2, 2, 0, 1]
    assert counts.n_fired.tolist() == [3, 2, 1, 2]  # over the whole split latent 2 is alive


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(1, 4), max_size=4, unique=True), window=st.integers(1, 9))
def test_firing_counts_do_not_depend_on_how_the_split_is_batched(cuts, window):
    whole, cut = firing(VALUES, INDICES, [], window), firing(VALUES, INDICES, sorted(cuts), window)
    assert whole.n_fired.tolist() == cut.n_fired.tolist()
    assert whole.n_windows_fired.tolist() == cut.n_windows_fired.tolist()


def ratio_interval(above, below, counts, confidence):
    """Interval as in every table of the chapter: the sample first, then its resamples."""
    weights = np.concatenate([np.ones((1, counts.shape[1])), counts])
    return interval_of(ratio_samples(above, below, weights), confidence)


def test_ratio_interval_is_the_ratio_of_sums_and_ignores_document_order():
    rng = np.random.default_rng(0)
    below = rng.integers(5, 50, 40).astype(float)
    above = below * rng.normal(2, 0.5, 40)
    counts = resample_counts(40, 2000, np.random.default_rng(1))
    interval = ratio_interval(above, below, counts, 0.95)
    assert interval.value == pytest.approx(above.sum() / below.sum())
    assert interval.low < interval.value < interval.high
    order = rng.permutation(40)
    again = ratio_interval(above[order], below[order], counts[:, order], 0.95)
    assert again == pytest.approx(interval)


def test_document_interval_covers_the_truth_about_95_percent_of_the_time():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(300):
        below = rng.integers(20, 60, 60).astype(float)
        above = below * rng.normal(1.0, 0.4, 60)
        counts = resample_counts(60, 300, rng)
        interval = ratio_interval(above, below, counts, 0.95)
        covered += interval.low <= 1.0 <= interval.high
    assert 0.89 <= covered / 300 <= 0.98


def test_resamples_draw_as_many_documents_as_there_are():
    counts = resample_counts(17, 50, np.random.default_rng(0))
    assert (counts.sum(1) == 17).all() and counts.std() > 0.5
