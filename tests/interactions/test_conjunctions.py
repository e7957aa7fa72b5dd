"""Conjunction latents are told from features of their own and from two latents in one, and p-values hold."""

import numpy as np
import pandas as pd
import pytest
from interactions.planted_study import PARAMS

from fispace.chapters.interactions.conjunctions import COLUMNS, of_pairs, with_conjunctions
from fispace.stats import conjunctions, parents
from fispace.stats.block_scores import document_blocks
from fispace.stats.cofiring import sparse_codes
from fispace.stats.conjunctions import conjunction_tests
from fispace.stats.parents import NONE, Latents, Search, parent_candidates, unit_rows

WIDTH, N_TOKENS, N_FEATURES, NOISE = 24, 20_000, 10, 0.05
FIRST, SECOND, SPARE = 0, 1, N_FEATURES
SEARCH = Search(
    np.ones(N_FEATURES + 1, dtype=np.bool_), np.arange(N_FEATURES + 1), 4, 0.25, 3.0, 0.33, 30, 0.1
)  # fmt: skip


def rows_of_features(stream) -> np.ndarray:
    """Orthonormal rows: of the features, and of what a spare latent adds."""
    return np.linalg.qr(stream.standard_normal((WIDTH, WIDTH)))[0][: N_FEATURES + 1]


def drawn(stream, firing: float, shape) -> np.ndarray:
    return (stream.random(shape) < firing) * stream.uniform(0.5, 1.5, shape)


def latents_of(z, dense, decoder) -> Latents:
    numbers = np.tile(np.arange(N_FEATURES + 1), (N_TOKENS, 1))
    codes, unit = unit_rows(sparse_codes(dense, numbers, N_FEATURES + 1), decoder)
    blocks = document_blocks(np.arange(N_TOKENS) // 10, 32)
    return Latents(codes, unit, z - dense @ decoder, blocks, NOISE**2)


def with_conjunction(absorbed: float, seed: int = 0) -> Latents:
    """The spare latent is f_i f_j; on a share of its tokens it takes over its parents, who are silent there."""
    stream = np.random.default_rng(seed)
    rows, f = rows_of_features(stream), drawn(stream, 0.1, (N_TOKENS, N_FEATURES))
    product = f[:, FIRST] * f[:, SECOND]
    z = f @ rows[:-1] + product[:, None] * rows[SPARE]
    row = absorbed * (rows[FIRST] + rows[SECOND]) + rows[SPARE]
    length = np.linalg.norm(row)
    taken = f[:, [FIRST, SECOND]] @ rows[[FIRST, SECOND]] + product[:, None] * rows[SPARE]
    is_silent = (product > 0) & (stream.random(N_TOKENS) < absorbed)
    spare = np.where(is_silent, taken @ row / length, product * length)
    left = np.maximum(f[:, [FIRST, SECOND]] - absorbed * product[:, None], 0)
    f[:, [FIRST, SECOND]] = np.where(is_silent[:, None], 0, left)
    z += NOISE * stream.standard_normal(z.shape)
    decoder = np.concatenate([rows[:-1], row[None] / length])
    return latents_of(z, np.concatenate([f, spare[:, None]], 1), decoder)


def with_own_feature(seed: int = 0) -> Latents:
    """The spare latent is a rare feature whose row lies between those of two others."""
    stream = np.random.default_rng(seed)
    rows, f = rows_of_features(stream), drawn(stream, 0.1, (N_TOKENS, N_FEATURES))
    decoder = rows.copy()
    decoder[SPARE] = 0.5 * rows[FIRST] + 0.5 * rows[SECOND] + 0.5**0.5 * rows[SPARE]
    dense = np.concatenate([f, drawn(stream, 0.02, (N_TOKENS, 1))], 1)
    z = dense @ decoder + NOISE * stream.standard_normal((N_TOKENS, WIDTH))
    return latents_of(z, dense, decoder)


def with_common_context(seed: int = 0) -> Latents:
    """The spare latent fires whenever two others do, with a magnitude of its own."""
    stream = np.random.default_rng(seed)
    rows, f = rows_of_features(stream), drawn(stream, 0.1, (N_TOKENS, N_FEATURES))
    both = (f[:, [FIRST]] > 0) & (f[:, [SECOND]] > 0)
    dense = np.concatenate([f, both * stream.uniform(0.5, 1.5, (N_TOKENS, 1))], 1)
    z = dense @ rows + NOISE * stream.standard_normal((N_TOKENS, WIDTH))
    return latents_of(z, dense, rows)


def of_spare(latents: Latents, search: Search = SEARCH) -> pd.DataFrame:
    found = pd.DataFrame(conjunction_tests(latents, search)._asdict())
    return found[found["latent"] == SPARE].reset_index(drop=True)


@pytest.mark.parametrize("absorbed", [0.0, 0.6, 1.0])
def test_a_conjunction_is_found_with_its_parents_however_far_it_silences_them(absorbed):
    found = of_spare(with_conjunction(absorbed))
    best = found[found["is_best"]].iloc[0]
    assert (best["first"], best["second"]) == (FIRST, SECOND)
    assert best["p"] < 1e-4
    assert best["share"] > 0.95
    others = found[(found["first"] != FIRST) | (found["second"] != SECOND)]
    assert (others["p"] > 0.01).all()


def test_a_feature_whose_row_lies_between_two_others_is_no_conjunction():
    for seed in range(3):
        found = of_spare(with_own_feature(seed))
        pair = found[(found["first"] == FIRST) & (found["second"] == SECOND)].iloc[0]
        assert pair["product_p"] < 1e-4  # its code moves all three coordinates
        assert pair["plane_p"] > 0.05  # on a line
        assert found["p"].min() > 0.05


def test_a_latent_that_fires_whenever_two_others_do_is_no_conjunction_without_a_product():
    p = [of_spare(with_common_context(seed))["product_p"].min() for seed in range(6)]
    assert min(p) > 0.005
    assert of_spare(with_common_context())["firing_p"].min() < 1e-6


def test_a_latent_that_fires_as_often_with_one_parent_fails_the_firing_alone():
    latents = with_conjunction(0.0)
    strict = of_spare(latents, SEARCH._replace(min_lift=1000.0))
    assert strict["firing_p"].min() > 0.99
    assert strict["p"].min() > 0.99
    assert np.allclose(strict["product_p"], of_spare(latents)["product_p"])


def test_the_test_of_three_blocks_is_the_one_computed_by_hand():
    """Block sums 1, 2 and 3: t = 2 sqrt 3 on two degrees of freedom, P = 1/2 - t / (2 sqrt(2 + t^2))."""
    p = conjunctions._block_test(np.array([4.0, -3, 2, 3]), np.array([0, 0, 2, 5]))
    assert p == pytest.approx(0.5 - 0.5 * (12 / 14) ** 0.5)
    assert conjunctions._block_test(np.array([1.0, 5]), np.array([3, 3])) == 1.0


def test_the_ratio_is_one_for_a_product_and_nothing_for_a_constant():
    a, b = np.array([1.0, 2, 3]), np.array([2.0, 1, 1])  # products 2, 2, 3
    assert conjunctions._ratio(a, b, 0.7 * a * b) == pytest.approx(1)
    assert conjunctions._ratio(a, b, np.full(3, 5.0)) == pytest.approx(0)
    assert conjunctions._ratio(a, b, 1 + a * b) == pytest.approx(1 / (24 / 17))


def test_no_triple_below_the_smallest_ratio_has_a_small_p():
    strict = of_spare(with_conjunction(0.6), SEARCH._replace(min_ratio=0.999))
    assert (strict["p"][strict["ratio"] < 0.999] == 1).all()
    assert (strict["ratio"] < 0.999).any()


def test_coordinates_of_one_token_are_those_computed_by_hand():
    """Rows e1 and (.6, .8, 0), m = (0, 0, 1) with code 2; y = r + 2 m = (.6, .8, 2): a = 0, b = 1, c = 2."""
    rows = np.array([[1.0, 0, 0], [0.6, 0.8, 0], [0, 0, 1]])
    codes = sparse_codes(np.array([[0.5, 0, 2.0], [1.5, 4.0, 0]]), np.tile([0, 1, 2], (2, 1)), 3)
    residual = np.array([[0.6, 0.8, 0], [0, 0, 0]])
    latents = Latents(codes, rows, residual, np.zeros(2, dtype=np.int64), 0.3)
    out = conjunctions._taken_out(latents, codes.tocsc(), 2, np.array([0, 1]))
    at = conjunctions._coordinates(out, 0, 1)
    assert at.a == pytest.approx([0.5 / 1.0])  # its own code is added; its mean code is 1
    assert at.b == pytest.approx([1 / 4.0])
    assert at.c == pytest.approx([2.0])
    assert at.noise == pytest.approx(-0.6 / 0.64 * 0.3 / 4)


def test_parents_come_from_the_row_and_from_the_cofirings_and_never_from_the_own_group():
    rows = np.array([[1.0, 0], [0, 1], [0.8, 0.6], [-1, 0]])
    dense = np.array([[1.0, 0, 0, 0], [0, 0, 2, 3], [0, 2, 0, 0]])
    codes = sparse_codes(dense, np.tile(np.arange(4), (3, 1)), 4)
    latents = Latents(codes, rows, np.zeros((3, 2)), np.zeros(3, dtype=np.int64), 1.0)
    search = Search(np.ones(4, dtype=np.bool_), np.arange(4), 2, 0.25, 2.0, 0.33, 1, 0.1)
    # for latent 2: .8 and .6 by the rows, -.8 + 3 2 / 2^2 = .7 for latent 3 by row and co-firing
    assert parent_candidates(latents, search)[2].tolist() == [0, 3]
    joined = search._replace(groups=np.array([0, 1, 0, 3]))
    assert parent_candidates(latents, joined)[2].tolist() == [3, 1]
    barred = search._replace(may_be_parent=np.array([True, False, True, False]))
    assert parent_candidates(latents, barred)[2].tolist() == [0, NONE]


def test_slices_change_no_candidate(monkeypatch):
    latents = with_conjunction(0.6)
    whole = parent_candidates(latents, SEARCH)
    monkeypatch.setattr(parents, "SLICE_NUMBERS", 25)
    assert np.array_equal(parent_candidates(latents, SEARCH), whole)


def test_slices_of_tokens_change_no_triple(monkeypatch):
    latents = with_conjunction(0.6)
    whole = conjunction_tests(latents, SEARCH)
    monkeypatch.setattr(conjunctions, "SLICE_TOKENS", 7)
    for one, two in zip(conjunction_tests(latents, SEARCH), whole, strict=True):
        assert np.allclose(one, two)


def test_without_a_possible_parent_nothing_is_tested_and_the_table_of_pairs_keeps_its_rows():
    latents = with_conjunction(0.6)
    nobody = SEARCH._replace(may_be_parent=np.zeros(N_FEATURES + 1, dtype=np.bool_))
    found = pd.DataFrame(conjunction_tests(latents, nobody)._asdict()).assign(q=0.0)
    assert len(found) == 0
    table = pd.DataFrame({"first": [0], "second": [2], "cofirings": [50], "statistic": [1.0]})
    whole = with_conjunctions(table, found, latents.codes, PARAMS.fdr)
    assert whole["cofirings"].tolist() == [50]
    assert whole[list(COLUMNS)].isna().all(axis=None)


def test_claims_among_features_of_their_own_are_as_rare_as_the_rate_allows():
    """Twelve dictionaries with a latent between two others: no triple is ever as small as 1 / all."""
    p = np.concatenate([of_spare(with_own_feature(seed))["p"] for seed in range(12)])
    assert len(p) >= 12
    assert (p < 0.05).mean() <= 0.05


def test_lengths_of_rows_change_no_triple():
    latents = with_conjunction(0.6)
    lengths = np.linspace(0.5, 2, N_FEATURES + 1)
    codes = latents.codes.copy()
    codes.data = codes.data / lengths[codes.indices]
    again, rows = unit_rows(codes, latents.rows * lengths[:, None])
    other = conjunction_tests(latents._replace(codes=again, rows=rows), SEARCH)
    for one, two in zip(conjunction_tests(latents, SEARCH), other, strict=True):
        assert np.allclose(one, two)


def test_a_latent_that_fires_for_two_pairs_is_found_for_both():
    stream = np.random.default_rng(3)
    rows, f = rows_of_features(stream), drawn(stream, 0.1, (N_TOKENS, N_FEATURES))
    spare = f[:, 0] * f[:, 1] + f[:, 2] * f[:, 3]
    dense = np.concatenate([f, spare[:, None]], 1)
    z = dense @ rows + NOISE * stream.standard_normal((N_TOKENS, WIDTH))
    found = of_spare(latents_of(z, dense, rows))
    best = found[found["is_best"] & (found["p"] < 1e-3)]
    assert set(zip(best["first"], best["second"], strict=True)) == {(0, 1), (2, 3)}


def triples(**columns) -> pd.DataFrame:
    base = {
        "latent": 9, "first": 0, "second": 1, "lift": 8.0, "share": 0.9, "p": 0.5, "q": 0.9,
        "is_best": True,
    }  # fmt: skip
    n = len(next(iter(columns.values())))
    return pd.DataFrame(base | columns, index=range(n))


def test_a_pair_has_the_p_of_its_best_triple_times_their_number_and_the_latent_of_the_smallest_q():
    given = triples(
        latent=[7, 8, 9], p=[0.01, 0.002, 0.001], q=[0.05, 0.04, 0.03], is_best=[True, True, False]
    )
    (row,) = of_pairs(given).to_dict("records")
    assert row["conjunction_p"] == pytest.approx(0.003)
    assert (row["conjunction"], row["conjunction_q"]) == (8, 0.04)


def test_a_pair_that_its_conjunction_silences_gets_a_row_and_others_get_none():
    codes = sparse_codes(np.array([[1.0, 1, 1, 0]]), np.arange(4)[None], 4)
    table = pd.DataFrame({"first": [0], "second": [2], "cofirings": [50], "statistic": [1.0]})
    given = triples(first=[0, 0, 0], second=[1, 2, 3], q=[0.01, 0.5, 0.5])
    whole = with_conjunctions(table, given, codes, PARAMS.fdr)
    assert whole[["first", "second"]].to_numpy().tolist() == [[0, 1], [0, 2]]
    assert whole["cofirings"].tolist() == [1, 50]
    assert np.isnan(whole["statistic"][0])
    assert whole["conjunction_q"].tolist() == [0.01, 0.5]
