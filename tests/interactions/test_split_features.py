"""Split features: latents whose rows point the same way are one column, and nothing else changes."""

import numpy as np

from fispace.stats import split_features
from fispace.stats.cofiring import sparse_codes
from fispace.stats.split_features import joined_codes, split_groups

ROWS = np.array([[1, 0, 0], [0, 2, 0], [0, 1, 0], [0, 0, 1], [0, 0, -1], [0, 0.7, 0.71]])
DENSE = np.array([
    [1.0, 0.0, 3.0, 0.0, 0.0, 0.0],
    [0.0, 0.5, 1.0, 2.0, 0.0, 0.0],
    [0.0, 0.5, 0.0, 0.0, 1.0, 0.2],
    [0.0, 0.5, 0.0, 0.0, 0.0, 0.0],
])  # fmt: skip


def codes_of(dense: np.ndarray):
    latents = np.tile(np.arange(dense.shape[1]), (len(dense), 1))
    return sparse_codes(dense, latents, dense.shape[1])


def test_parallel_rows_are_joined_to_the_latent_that_fires_most_and_opposite_ones_are_not():
    groups = split_groups(codes_of(DENSE), ROWS, 0.9)
    assert groups.tolist() == [0, 1, 1, 3, 4, 5]


def test_a_chain_of_near_rows_is_one_group_and_a_latent_that_never_fires_joins_none():
    groups = split_groups(codes_of(DENSE), ROWS, 0.7)  # latent 5 is near 1 and 2, and near 3
    assert groups.tolist() == [0, 1, 1, 1, 4, 1]
    silent = DENSE.copy()
    silent[:, 5] = 0
    assert split_groups(codes_of(silent), ROWS, 0.7).tolist() == [0, 1, 1, 3, 4, 5]


def test_joined_codes_add_the_same_vector_where_rows_are_parallel():
    codes = codes_of(DENSE)
    groups = split_groups(codes, ROWS, 0.9)
    joined = joined_codes(codes, ROWS, groups)
    np.testing.assert_allclose(joined.toarray() @ ROWS, DENSE @ ROWS)
    assert joined.toarray()[:, 2].tolist() == [0, 0, 0, 0]
    assert joined.toarray()[:, 1].tolist() == [1.5, 1.0, 0.5, 0.5]
    assert codes.toarray().tolist() == DENSE.tolist()


def test_without_split_features_codes_stay_as_they_are():
    codes = codes_of(DENSE)
    groups = split_groups(codes, ROWS, 0.9999)
    kept = joined_codes(codes, np.eye(6), np.arange(6))
    assert groups.tolist() == [0, 1, 1, 3, 4, 5]
    assert np.array_equal(kept.toarray(), DENSE)


def test_groups_do_not_depend_on_the_slices(monkeypatch):
    stream = np.random.default_rng(0)
    rows = stream.standard_normal((50, 3))
    codes = codes_of(stream.random((30, 50)))
    whole = split_groups(codes, rows, 0.8)
    monkeypatch.setattr(split_features, "SLICE_ROWS", 7)
    assert np.array_equal(split_groups(codes, rows, 0.8), whole)
    assert len(np.unique(whole)) < 50
