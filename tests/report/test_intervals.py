"""Intervals over seeds, by hand and by their coverage."""

import numpy as np
import pytest

from fispace.measure.intervals import t_interval
from fispace.seeds import numpy_stream


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
