"""The law of random directions, against simulation and known values."""

import math

import numpy as np
import pytest

from fispace.seeds import numpy_stream
from fispace.stats import directions as geometry
from fispace.stats import random_matrix


def noise(n_rows: int, width: int) -> np.ndarray:
    return numpy_stream(0, "tests", "noise", n_rows).standard_normal((n_rows, width))


def test_the_edges_by_hand() -> None:
    # width / n_rows = 1/4: (1 -+ 1/2)^2
    assert random_matrix.marchenko_pastur_edges(400, 100) == (0.25, 2.25)


@pytest.mark.parametrize(("n_rows", "width"), [(2000, 100), (300, 200)])
def test_the_spectrum_of_a_random_matrix_follows_the_law(n_rows: int, width: int) -> None:
    found = geometry.variance_spectrum(noise(n_rows, width), centred=False)
    law = random_matrix.marchenko_pastur_spectrum(n_rows, width)
    assert law.sum() == pytest.approx(1)
    assert (np.diff(law) <= 0).all()
    assert np.abs(found - law).max() < 0.06 * law.max()
    low, high = random_matrix.marchenko_pastur_edges(n_rows, width)
    assert found[0] * width == pytest.approx(high, rel=0.05)
    assert found[-1] * width == pytest.approx(low, abs=0.06)


def test_fewer_rows_than_columns_have_the_law_of_the_transpose() -> None:
    assert np.allclose(
        random_matrix.marchenko_pastur_spectrum(50, 200),
        random_matrix.marchenko_pastur_spectrum(200, 50),
    )


def test_the_published_pca_of_a_random_matrix_of_the_papers_size_is_887() -> None:
    first = random_matrix.marchenko_pastur_spectrum(50_000, 3200)[:1000]
    assert geometry.n_components_for(first, 0.9) == 887


def test_a_planted_direction_exceeds_the_edge_and_noise_does_not() -> None:
    w = noise(2000, 100)
    none = geometry.variance_spectrum(w, centred=False)
    assert random_matrix.n_above_edge(none, *w.shape) <= 1
    w[:, :3] *= 4
    planted = geometry.variance_spectrum(w, centred=False)
    assert random_matrix.n_above_edge(planted, *w.shape) == 3


def test_the_mean_cosine_by_hand_and_by_simulation() -> None:
    # in the plane |cos| averages 2 / pi
    assert random_matrix.mean_abs_cosine(2) == pytest.approx(2 / math.pi)
    w = noise(400, 64)
    pairs = geometry.sample_pairs(400, 20_000, numpy_stream(0, "pairs"))
    found = geometry.pair_geometry(w, pairs).mean_abs_cosine
    assert found == pytest.approx(random_matrix.mean_abs_cosine(64), rel=0.02)
