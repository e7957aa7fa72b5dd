"""The dip test and the mixture on samples whose modes are known."""

import numpy as np
import pytest

from fispace.seeds import numpy_stream
from fispace.stats.bimodality import Mixture, dip_test, two_modes


def normal(n: int, name: str) -> np.ndarray:
    return numpy_stream(0, "tests", name).standard_normal(n)


def two_groups(n: int, apart: float) -> np.ndarray:
    return np.concatenate([normal(n, "low"), apart + normal(n, "high")])


def mixture(values: np.ndarray, name: str = "modes") -> Mixture:
    return two_modes(values, numpy_stream(0, "tests", name))


def test_two_modes_are_distinguished_from_one() -> None:
    assert dip_test(two_groups(500, 6.0)).p < 0.001
    assert dip_test(normal(1000, "one")).p > 0.5


def test_the_dip_of_two_points_is_a_quarter() -> None:
    # half the mass at each of two values gives the largest possible dip
    found = dip_test(np.repeat([0.0, 1.0], 200))
    assert found.statistic == pytest.approx(0.25, abs=0.01)


def test_the_dip_rejects_no_more_than_it_should_on_the_uniform() -> None:
    stream = numpy_stream(0, "tests", "uniform")
    p = [dip_test(stream.random(100)).p for _ in range(200)]
    assert np.mean(np.array(p) < 0.05) < 0.1


def test_the_dip_ignores_shift_and_scale() -> None:
    values = two_groups(100, 3.0)
    assert dip_test(5 - 2 * values).statistic == pytest.approx(dip_test(values).statistic)


@pytest.mark.parametrize("values", [np.ones(50), np.array([1.0, 2.0])])
def test_too_few_values_count_as_one_mode(values: np.ndarray) -> None:
    assert dip_test(values) == (0.0, 1.0)


def test_the_threshold_of_equal_groups_lies_in_their_middle() -> None:
    found = mixture(two_groups(2000, 6.0))
    assert found.threshold == pytest.approx(3.0, abs=0.1)
    assert (found.low_mean, found.high_mean) == (
        pytest.approx(0, abs=0.1),
        pytest.approx(6, abs=0.1),
    )
    assert found.bic_gain > 0.3


def test_one_gaussian_needs_no_second() -> None:
    assert mixture(normal(2000, "one")).bic_gain < 0


def test_equal_values_give_equal_groups() -> None:
    values = two_groups(300, 4.0)
    assert mixture(values) == mixture(values.copy())


@pytest.mark.parametrize("apart", [2.5, 6.0])
def test_the_threshold_does_not_depend_on_the_random_start(apart: float) -> None:
    values = two_groups(300, apart)
    found = [mixture(values, str(number)) for number in range(6)]
    assert np.ptp([one.threshold for one in found]) < 0.01
    assert np.ptp([one.bic_gain for one in found]) < 1e-3


def test_a_constant_has_no_second_mode() -> None:
    assert mixture(np.full(9, 2.0)) == (2.0, 0.0, 2.0, 2.0)
