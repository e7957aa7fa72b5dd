"""Intervals over seeds, by hand and by their coverage."""

import numpy as np
import pytest

from fispace.seeds import numpy_stream
from fispace.stats.intervals import prediction_interval, t_interval


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
