"""Matching, AUC, captured variance and thresholds against known values."""

import math

import numpy as np
import pytest

from fispace.stats.recovery import (
    auc,
    beyond_linear,
    captured_share,
    match_features,
    net_captured_share,
    null_threshold,
    share_above,
)

RNG = np.random.default_rng(0)
LABELS = np.arange(400) < 40


def test_matching_recovers_a_permutation_among_spare_latents() -> None:
    features = RNG.random((500, 6)) * (RNG.random((500, 6)) < 0.2)
    order = RNG.permutation(9)
    latents = np.concatenate([3 * features, RNG.random((500, 3))], axis=1)[:, order]
    latents[:, order.argmax()] = 0  # one that never fires
    found = match_features(features, latents)
    assert order[found.latents].tolist() == list(range(6))
    assert found.correlations == pytest.approx(1)


def test_auc_of_perfect_reversed_equal_and_shuffled_scores() -> None:
    assert auc(LABELS.astype(float), LABELS) == 1
    assert auc(-LABELS.astype(float), LABELS) == 0
    assert auc(np.ones(400), LABELS) == 0.5
    shuffled = [auc(RNG.permutation(400).astype(float), LABELS) for _ in range(50)]
    assert np.mean(shuffled) == pytest.approx(0.5, abs=0.03)


def test_auc_counts_ties_half() -> None:
    # of the four (planted, other) pairs three are won and (2, 2) is a tie
    assert auc(np.array([1.0, 2, 2, 3]), np.array([False, True, False, True])) == 3.5 / 4


def test_auc_needs_both_kinds() -> None:
    assert math.isnan(auc(np.ones(3), np.zeros(3, dtype=np.bool_)))


def test_beyond_linear_leaves_products_less_their_linear_part() -> None:
    a = RNG.random((100_000, 2)) < 0.3
    product = (a[:, 0] & a[:, 1])[:, None].astype(float)
    left = beyond_linear(a.astype(float), 5 + product)
    expected = (a[:, :1] - 0.3) * (a[:, 1:] - 0.3)
    assert left == pytest.approx(expected, abs=0.02)


def test_captured_share_ignores_output_unrelated_to_the_pairs() -> None:
    one, other, rest = np.linalg.qr(RNG.standard_normal((60, 3)))[0].T[:, :, None]
    planted = one + other
    assert captured_share(planted, planted) == pytest.approx(1)
    assert captured_share(planted, one) == pytest.approx(0.5)
    assert captured_share(planted, one + 7 * rest) == pytest.approx(0.5)
    assert net_captured_share(planted, one) == pytest.approx(0.5)
    assert net_captured_share(planted, one + 2 * rest) == pytest.approx(0.5 - 4 / 2)
    assert math.isnan(captured_share(0 * planted, one))
    assert math.isnan(net_captured_share(0 * planted, one))


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_at_most_alpha_of_the_null_exceeds_its_own_threshold(alpha: float) -> None:
    scores = RNG.standard_normal(997)
    share = share_above(scores, null_threshold(scores, alpha))
    assert alpha - 2 / 997 < share <= alpha
    assert math.isnan(share_above(scores[:0], 0.0))
