"""Laws and hand-computed values of `fispace.stats.directions`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fispace.seeds import numpy_stream
from fispace.stats import directions as geometry


def rows(n: int, width: int, name: str) -> np.ndarray:
    return numpy_stream(0, "tests", name).standard_normal((n, width))


def test_squared_norms_by_hand() -> None:
    assert geometry.squared_norms(np.array([[3.0, 4.0], [0.0, 2.0]])).tolist() == [25.0, 4.0]


def test_the_gram_diagonal_is_the_squared_norms() -> None:
    w = rows(7, 5, "diagonal")
    assert np.allclose(np.diag(w @ w.T), geometry.squared_norms(w))


def test_all_pairs_are_taken_if_there_are_few() -> None:
    pairs = geometry.sample_pairs(4, 6, numpy_stream(0, "pairs"))
    assert pairs.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]


def test_sampled_pairs_are_distinct_rows_and_every_row_is_equally_likely() -> None:
    pairs = geometry.sample_pairs(50, 1000, numpy_stream(0, "pairs"))
    assert pairs.shape == (1000, 2)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    many = geometry.sample_pairs(10, 44, numpy_stream(0, "pairs"))
    assert len(many) == 44
    counts = np.bincount(geometry.sample_pairs(100, 4000, numpy_stream(1, "p")).ravel())
    assert abs(counts[:50].sum() / counts.sum() - 0.5) < 0.02


def test_pair_geometry_by_hand() -> None:
    w = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    found = geometry.pair_geometry(w, geometry.sample_pairs(3, 3, numpy_stream(0, "p")))
    assert found.mean_abs_dot == pytest.approx(2 / 3)
    assert found.mean_abs_cosine == pytest.approx(1 / 3)
    assert found.n_pairs == 3


def test_a_row_of_norm_zero_has_a_dot_but_no_angle() -> None:
    w = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    found = geometry.pair_geometry(w, geometry.sample_pairs(3, 3, numpy_stream(0, "p")))
    assert found.mean_abs_dot == pytest.approx(1 / 3)
    assert found.mean_abs_cosine == pytest.approx(1.0)


def test_the_spectrum_by_hand() -> None:
    w = np.array([[3.0, 0.0], [0.0, 1.0]])
    assert geometry.variance_spectrum(w, centred=False).tolist() == pytest.approx([0.9, 0.1])
    assert geometry.variance_spectrum(w, centred=True).tolist() == pytest.approx([1.0, 0.0])


def test_the_spectrum_equals_the_squared_singular_values() -> None:
    w = rows(20, 6, "svd")
    singular = np.linalg.svd(w, compute_uv=False) ** 2
    assert np.allclose(geometry.variance_spectrum(w, centred=False), singular / singular.sum())


def test_the_centred_spectrum_ignores_a_common_offset_and_the_published_one_does_not() -> None:
    w = rows(200, 8, "offset")
    moved = w + 10.0
    assert np.allclose(
        geometry.variance_spectrum(w, centred=True), geometry.variance_spectrum(moved, centred=True)
    )
    assert geometry.variance_spectrum(moved, centred=False)[0] > 0.9


@given(st.integers(2, 12), st.integers(2, 6))
def test_spectrum_shares_are_sorted_and_sum_to_one(n: int, width: int) -> None:
    shares = geometry.variance_spectrum(rows(n, width, f"law{n}-{width}"), centred=True)
    assert shares.sum() == pytest.approx(1)
    assert (np.diff(shares) <= 1e-12).all()
    assert len(shares) == min(n, width)


def test_component_counts_by_hand() -> None:
    shares = np.array([0.5, 0.3, 0.15, 0.05])
    assert geometry.n_components_for(shares, 0.79) == 2
    assert geometry.n_components_for(shares, 0.81) == 3
    assert geometry.n_components_for(shares, 1.0) == 4
    assert geometry.participation_ratio(np.full(4, 0.25)) == pytest.approx(4)


def test_spearman_is_about_ranks_only_and_undefined_for_a_constant() -> None:
    x = np.array([1.0, 2.0, 3.0, 4.0])
    assert geometry.spearman(x, np.exp(x)) == pytest.approx(1)
    assert geometry.spearman(x, -(x**3)) == pytest.approx(-1)
    assert np.isnan(geometry.spearman(x, np.ones(4)))


def test_tied_values_share_their_mean_rank() -> None:
    # ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4
    found = geometry.spearman(np.array([1.0, 2.0, 2.0, 5.0]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert found == pytest.approx(4.5 / np.sqrt(4.5 * 5.0))
