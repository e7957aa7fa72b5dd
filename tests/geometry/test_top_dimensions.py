"""Overlap of the largest coordinates by hand, and of random rows at the paper's size."""

import numpy as np
import pytest

from fispace.seeds import numpy_stream
from fispace.stats.directions import sample_pairs
from fispace.stats.top_dimensions import top_coordinates, top_overlap

PAIR = np.array([[0, 1]])


def test_top_coordinates_are_the_largest_in_absolute_value() -> None:
    found = top_coordinates(np.array([[1.0, -5.0, 2.0, 0.0]]), 2)
    assert found.tolist() == [[False, True, True, False]]


def test_the_overlap_by_hand() -> None:
    w = np.array([[3.0, 4.0, 0.1, 0.0], [0.0, 2.0, 1.5, 0.2]])
    found = top_overlap(w, PAIR, 2)  # tops {0, 1} and {1, 2}
    assert found.jaccard == pytest.approx(1 / 3)
    assert found.intersection_cosine == pytest.approx(1)
    union = (4 * 2 + 0.1 * 1.5) / (np.sqrt(9 + 16 + 0.01) * np.sqrt(4 + 2.25))
    assert found.union_cosine == pytest.approx(union)


def test_a_row_agrees_with_itself_and_with_its_opposite() -> None:
    row = numpy_stream(0, "tests", "row").standard_normal(12)
    assert top_overlap(np.stack([row, -row]), PAIR, 5) == pytest.approx((1, 1, 1))


def test_rows_without_a_common_coordinate_have_no_intersection() -> None:
    found = top_overlap(np.array([[1.0, 0.0], [0.0, 1.0]]), PAIR, 1)
    assert np.isnan(found.intersection_cosine)
    assert found.jaccard == 0


def test_the_block_size_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    w = numpy_stream(0, "tests", "blocks").standard_normal((9, 20))
    pairs = sample_pairs(9, 36, numpy_stream(0, "pairs"))
    whole = top_overlap(w, pairs, 4)
    monkeypatch.setattr("fispace.stats.top_dimensions.BLOCK_ELEMENTS", 40)
    assert top_overlap(w, pairs, 4) == pytest.approx(whole)


def test_random_rows_of_the_papers_width_have_the_published_intersection_and_jaccard() -> None:
    w = numpy_stream(0, "tests", "paper").standard_normal((150, 3200))
    pairs = sample_pairs(150, 4000, numpy_stream(0, "pairs"))
    found = top_overlap(w, pairs, 250)
    assert found.intersection_cosine == pytest.approx(0.1837, rel=0.03)
    assert found.jaccard == pytest.approx(0.0419, rel=0.05)
