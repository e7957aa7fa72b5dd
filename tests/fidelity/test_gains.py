"""The gain over a baseline: by hand, and the same for a number and for resamples."""

import numpy as np
import pytest

from fispace.stats.gains import gain, gain_samples


def test_the_gain_is_the_share_of_the_baselines_loss_that_is_gone():
    assert gain(0.2747, 0.1613) == pytest.approx(0.413, abs=5e-4)  # the paper's 41.3 %
    assert gain(2.0, 2.0) == 0 and gain(2.0, 3.0) == -0.5


def test_the_gain_of_resamples_is_the_gain_of_each():
    baseline, value = np.random.default_rng(0).uniform(0.1, 2.0, (2, 50))
    each = [gain(*of) for of in zip(baseline.tolist(), value.tolist(), strict=True)]
    assert gain_samples(baseline, value) == pytest.approx(each, rel=1e-13, abs=1e-15)
    assert gain(baseline, value) == pytest.approx(each, rel=0, abs=0)


def test_a_resample_without_a_loss_in_the_baseline_has_no_gain():
    found = gain_samples(np.array([0.0, 4.0]), np.array([1.0, 1.0]))
    assert np.isnan(found[0]) and found[1] == 0.75
