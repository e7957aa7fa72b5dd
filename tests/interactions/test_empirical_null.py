"""The empirical null: exact for a tail of its shape, and blind to the pairs above it."""

import numpy as np
import pytest

from fispace.stats.empirical_null import BODY_P, PRIOR_PAIRS, member_scales, tail_p_values

SHAPES = pytest.mark.parametrize("shape", [0.0, 0.1, 0.5])


@SHAPES
def test_of_a_tail_of_its_shape_the_p_values_are_exact(shape):
    upper = 1 - (np.arange(100_000) + 0.5) / 100_000
    # quantiles of the generalised Pareto distribution of scale 1: P(T > t) = (1 + x t)^(-1 / x)
    statistic = (upper**-shape - 1) / shape if shape else -np.log(upper)
    p = tail_p_values(statistic, 0.9, 0.99, shape)
    tail = statistic > np.quantile(statistic, 0.9)
    np.testing.assert_allclose(p[tail], upper[tail], rtol=1e-2)
    assert (p[~tail] == BODY_P).all()


def test_the_tail_by_hand():
    """a = 0 and b = 3 at the quantiles 1/2 and 3/4; x = 1: s = 3 / (2 - 1), P(T > 6) = 1/2 / (1 + 6/3)."""
    statistic = np.array([-9.0, -5.0, 0.0, 3.0, 6.0])
    p = tail_p_values(statistic, 0.5, 0.75, 1.0)
    np.testing.assert_allclose(p, [BODY_P, BODY_P, BODY_P, 1 / 4, 1 / 6])


def test_a_heavier_tail_makes_no_p_value_beyond_its_end_smaller():
    statistic = np.random.default_rng(4).exponential(size=2000)
    light, heavy = (tail_p_values(statistic, 0.9, 0.99, shape) for shape in (0.0, 0.1))
    beyond = statistic > np.quantile(statistic, 0.99)
    assert (heavy[beyond] > light[beyond]).all()


def test_p_values_scale_and_shift_with_the_statistic():
    statistic = np.random.default_rng(0).gumbel(size=2000)
    p = tail_p_values(statistic, 0.9, 0.99, 0.1)
    np.testing.assert_allclose(tail_p_values(7 + 3 * statistic, 0.9, 0.99, 0.1), p, rtol=1e-9)


def test_what_lies_above_the_end_of_the_tail_does_not_change_the_null():
    statistic = np.random.default_rng(1).exponential(size=1000)
    order = np.argsort(statistic)
    more = statistic.copy()
    more[order[-9:]] += 1e6  # fewer than 1 % of the pairs
    rest = order[:-9]
    p, changed = (tail_p_values(each, 0.9, 0.99, 0.1) for each in (statistic, more))
    np.testing.assert_allclose(changed[rest], p[rest], rtol=1e-12)
    assert (changed[order[-9:]] < 1e-40).all()


def test_more_interactions_than_the_tail_leaves_room_for_make_p_values_larger_and_never_smaller():
    statistic = np.random.default_rng(2).exponential(size=1000)
    more = statistic.copy()
    more[np.argsort(statistic)[-30:]] += 20
    assert (tail_p_values(more, 0.9, 0.99, 0.1) >= tail_p_values(statistic, 0.9, 0.99, 0.1))[
        more == statistic
    ].all()


def test_equal_statistics_and_no_statistics_give_no_small_p_value():
    assert (tail_p_values(np.full(50, 2.0), 0.9, 0.99, 0.1) == BODY_P).all()
    assert len(tail_p_values(np.zeros(0), 0.9, 0.99, 0.1)) == 0
    one_more = np.append(np.full(999, 2.0), 3.0)
    assert tail_p_values(one_more, 0.9, 0.99, 0.1)[-1] == pytest.approx(0.01)


def test_the_scale_of_a_pair_is_that_of_its_wider_member_by_hand():
    """Members 0 to 3 in all six pairs; the quantile 1/2 of all statistics is 1.5."""
    first, second = np.array([0, 0, 0, 1, 1, 2]), np.array([1, 2, 3, 2, 3, 3])
    statistic = np.array([5.0, 1.0, 1.0, 1.0, 2.0, 2.0])
    medians = {0: 1.0, 1: 2.0, 2: 1.0, 3: 2.0}
    shrunk = {
        k: (3 * v + PRIOR_PAIRS * 1.5) / ((3 + PRIOR_PAIRS) * 1.5) for k, v in medians.items()
    }
    expected = [
        max(1.0, shrunk[a], shrunk[b]) for a, b in zip(first.tolist(), second.tolist(), strict=True)
    ]
    np.testing.assert_allclose(member_scales(statistic, first, second, 0.5), expected)


def test_a_member_with_wide_statistics_does_not_widen_pairs_of_others():
    stream = np.random.default_rng(3)
    first, second = np.triu_indices(40, 1)
    statistic = stream.exponential(size=len(first))
    faulty = (first == 7) | (second == 7)
    statistic[faulty] *= 10
    scales = member_scales(statistic, first, second, 0.9)
    assert scales[faulty].min() > 4
    assert np.median(scales[~faulty]) < 1.2
