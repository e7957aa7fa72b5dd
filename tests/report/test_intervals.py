"""Intervals over seeds, by hand and by their coverage."""

import numpy as np
import pytest
from scipy import stats

from fispace.seeds import numpy_stream
from fispace.stats.intervals import (
    Interval,
    detectable_effect,
    joined_interval,
    prediction_interval,
    repetitions_to_decide,
    t_interval,
)


def test_the_interval_of_three_seeds_by_hand() -> None:
    # mean 2, s = 1, t_2(.975) = 4.3027, half-width 4.3027 / sqrt(3)
    found = t_interval(np.array([1.0, 2.0, 3.0]), 0.95)
    assert found.mean == 2
    assert (found.low, found.high) == (
        pytest.approx(-0.4841, abs=1e-4),
        pytest.approx(4.4841, abs=1e-4),
    )
    assert found.n == 3


def test_one_seed_has_a_mean_and_no_interval() -> None:
    found = t_interval(np.array([0.5]), 0.95)
    assert found.mean == 0.5
    assert np.isnan(found.low)
    assert np.isnan(found.high)


def test_a_missing_value_is_not_averaged_away() -> None:
    assert np.isnan(t_interval(np.array([1.0, np.nan]), 0.95).mean)


def test_intervals_of_three_seeds_cover_at_their_level() -> None:
    draws = numpy_stream(0, "coverage").standard_normal((2000, 3))
    covers = [(i.low <= 0 <= i.high) for i in (t_interval(row, 0.9) for row in draws)]
    assert np.mean(covers) == pytest.approx(0.9, abs=0.03)


def test_the_prediction_interval_of_three_runs_by_hand() -> None:
    # mean 2, s = 1, t_2(.975) = 4.3027, half-width 4.3027 sqrt(1 + 1/3)
    found = prediction_interval(np.array([1.0, 2.0, 3.0]), 0.95)
    assert found.mean == 2
    assert found.low == pytest.approx(2 - 4.9683, abs=1e-4)
    assert found.high == pytest.approx(2 + 4.9683, abs=1e-4)


def test_prediction_intervals_hold_the_next_run_at_their_level_and_t_intervals_do_not() -> None:
    draws = numpy_stream(0, "prediction").standard_normal((4000, 5))
    held = {
        of: np.mean([i.low <= row[-1] <= i.high for row in draws for i in [of(row[:-1], 0.9)]])
        for of in (prediction_interval, t_interval)
    }
    assert held[prediction_interval] == pytest.approx(0.9, abs=0.02)
    assert held[t_interval] < 0.75


def test_one_run_predicts_nothing() -> None:
    assert np.isnan(prediction_interval(np.array([0.5]), 0.95).low)
    assert np.isnan(prediction_interval(np.array([1.0, np.nan, 2.0]), 0.95).low)


def test_two_crossed_sources_add_as_squares_on_each_side() -> None:
    seeds = Interval(1.0, 0.7, 1.3, 3)
    joined = joined_interval(seeds, 0.6, 1.4)
    assert (joined.low, joined.high) == (pytest.approx(0.5), pytest.approx(1.5))  # 3-4-5
    assert joined_interval(seeds, 1.0, 1.0)[:3] == pytest.approx(seeds[:3])
    assert joined_interval(seeds, 1.1, 1.4).low == pytest.approx(0.7)  # only the far side counts
    assert np.isnan(joined_interval(seeds, float("nan"), 1.4).low)


def test_a_joined_interval_covers_the_mean_of_crossed_effects() -> None:
    """Seeds x documents with both effects: 95 % intervals cover the true mean in at least 93 %."""
    rng, n_covered, n_worlds = np.random.default_rng(0), 0, 300
    for _ in range(n_worlds):
        of_seeds, of_documents = rng.normal(size=(4, 1)), rng.normal(size=(1, 60)) * 3
        values = of_seeds + of_documents + rng.normal(size=(4, 60))
        documents = values.mean(0)
        draws = documents[rng.integers(0, 60, size=(200, 60))].mean(1)
        low, high = np.quantile(draws, [0.025, 0.975])
        joined = joined_interval(t_interval(values.mean(1), 0.95), float(low), float(high))
        n_covered += joined.low <= 0 <= joined.high
    assert n_covered / n_worlds >= 0.93


def test_the_detectable_effect_is_found_with_its_power() -> None:
    rng, n, sd = np.random.default_rng(1), 5, 0.7
    noise = rng.normal(size=(4000, n)) * sd
    effects = [detectable_effect(t_interval(row, 0.95), 0.95, 0.8) for row in noise]
    effect = float(np.median(effects))
    found = [t_interval(row + effect, 0.95).low > 0 for row in noise]
    assert 0.7 < np.mean(found) < 0.9
    assert np.isnan(detectable_effect(t_interval(noise[0][:1], 0.95), 0.95, 0.8))


@pytest.mark.parametrize("edge", [0.2, 0.35])
def test_so_many_repetitions_decide_and_one_less_does_not(edge: float) -> None:
    values = np.array([0.5, 0.1, 0.6])
    over_seeds = t_interval(values, 0.95)
    n = repetitions_to_decide(over_seeds, over_seeds, edge, 0.95)
    assert n is not None
    for many, is_decided in ((n - 1, False), (n, True)):
        half = stats.t.ppf(0.975, many - 1) * values.std(ddof=1) / many**0.5
        assert bool(half < abs(values.mean() - edge)) == is_decided
    assert (
        repetitions_to_decide(over_seeds, joined_interval(over_seeds, 0.0, 0.8), edge, 0.95) is None
    )
