"""The pair tests: calibrated without an interaction, sharp with one, and equal to dense references."""

from itertools import product

import numpy as np
import pytest
import statsmodels.api as sm
from interactions.made_codes import N_BLOCKS, flipped_statistics, made
from scipy import stats

from fispace.stats import block_scores, cofiring
from fispace.stats.block_scores import (
    PRODUCT,
    BlockSums,
    beside_own_rows,
    block_sums,
    document_blocks,
    magnitude_powers,
)
from fispace.stats.cofiring import Pairs, cofiring_pairs, sparse_codes
from fispace.stats.dose_response import OWN, REGRESSORS, dose_response, left_by_own_terms
from fispace.stats.own_terms import without_own_terms
from fispace.stats.sign_flips import vector_test

DIRECTION = np.array([1.0, -1.0, 0.5, 0, 0, 2.0, 0, 0])


def sums_of(world, regressors=(PRODUCT,), min_cofirings=30, residual=None):
    pairs = cofiring_pairs(world.codes, min_cofirings)
    rows = world.residual if residual is None else residual
    each = list(block_sums(world.codes, rows, world.blocks, N_BLOCKS, pairs, regressors))
    assert np.array_equal(np.concatenate([s.pairs for s in each]), np.arange(len(pairs.first)))
    scores, gram = (np.concatenate([getattr(s, name) for s in each]) for name in ("scores", "gram"))
    return pairs, BlockSums(np.arange(len(pairs.first)), scores, gram)


def vector_tests(world, residual=None):
    pairs, sums = sums_of(world, residual=residual)
    return pairs, vector_test(sums.scores[:, 0])


def of_pair(pairs, first, second):
    return int(np.flatnonzero((pairs.first == first) & (pairs.second == second))[0])


def test_counts_of_cofirings_equal_dense_ones_in_any_slices(monkeypatch):
    world = made(n_tokens=500, firing=0.2, seed=1)
    fires = (world.dense > 0).astype(int)
    counts = fires.T @ fires
    first, second = np.nonzero(np.triu(counts, 1) >= 20)
    for most in (2**23, 30):
        monkeypatch.setattr(cofiring, "SLICE_PAIRS", most)
        pairs = cofiring_pairs(world.codes, 20)
        assert np.array_equal(pairs.first, first)
        assert np.array_equal(pairs.second, second)
        assert np.array_equal(pairs.cofirings, counts[first, second])


def test_no_pair_is_found_where_none_fires_often_enough():
    world = made(n_tokens=50, firing=0.05, seed=2)
    assert len(cofiring_pairs(world.codes, 1000).first) == 0
    assert (
        len(cofiring_pairs(sparse_codes(np.zeros((3, 2)), np.zeros((3, 2), int), 4), 1).first) == 0
    )


def test_scores_of_six_tokens_are_those_computed_by_hand():
    values = np.array([[1, 2], [2, 2], [0, 2], [1, 0], [1, 2], [3, 2.0]])
    codes = sparse_codes(values, np.tile([0, 1], (6, 1)), 2)  # means over firings: 1.6 and 2
    residual = np.array([[1], [1], [5], [5], [2], [-1.0]])
    blocks = document_blocks(np.array([7, 7, 7, 9, 9, 12]), 3)
    pairs = cofiring_pairs(codes, 1)
    (sums,) = block_sums(codes, residual, blocks, 3, pairs, (PRODUCT,))
    assert pairs.cofirings.tolist() == [4]
    assert np.allclose(sums.scores[0, 0, :, 0], np.array([1 + 2, 2, -3]) / 1.6)
    assert np.allclose(sums.gram[0, :, 0, 0], np.array([1 + 4, 1, 9]) / 1.6**2)


def test_statistic_of_three_blocks_is_the_one_computed_by_hand():
    found = vector_test(np.array([[[1.0], [2.0], [3.0]]]))
    assert found.squared_norm[0] == 22  # 2 (2 + 3 + 6)
    assert found.statistic[0] == pytest.approx(22 / 14)  # variance 2 * 2 (4 + 9 + 36)
    assert found.p[0] == pytest.approx(0.5)  # no less than 2^(1 - n), n = 14^2 / (1 + 16 + 81)


def test_moments_are_those_over_all_sign_flips():
    scores = np.random.default_rng(3).standard_normal((1, 8, 3))
    signs = np.array(list(product([-1.0, 1.0], repeat=8)))
    flipped = flipped_statistics(scores, signs)[0]
    assert flipped.mean() == pytest.approx(0, abs=1e-12)
    assert flipped.std() == pytest.approx(1)
    gram = scores[0] @ scores[0].T
    np.fill_diagonal(gram, 0)
    third = 8 * np.trace(gram @ gram @ gram) / (2 * np.square(gram).sum()) ** 1.5
    assert (flipped**3).mean() == pytest.approx(third)


def test_tail_agrees_with_all_sign_flips():
    scores = np.random.default_rng(4).standard_normal((60, 12, 6)) + 0.25
    signs = np.array(list(product([-1.0, 1.0], repeat=12)))
    found = vector_test(scores)
    exact = (flipped_statistics(scores, signs) >= found.statistic[:, None] - 1e-9).mean(1)
    middle = (exact > 0.01) & (exact < 0.99)
    assert np.abs(found.p - exact)[middle].max() < 0.03


@pytest.mark.parametrize("noise", ["plain", "heteroscedastic", "documents"])
def test_p_values_are_uniform_without_an_interaction(noise):
    p = np.concatenate([vector_tests(made(noise=noise, seed=seed))[1].p for seed in range(8)])
    # pairs of a world share latents; with eight worlds of 66 pairs the shares spread by less than .02
    assert abs((p < 0.05).mean() - 0.05) < 0.04
    assert abs((p < 0.5).mean() - 0.5) < 0.12
    assert (p < 0.001).mean() < 0.01


def test_p_values_of_independent_pairs_are_uniform_to_the_tail():
    stream = np.random.default_rng(5)
    scores = stream.standard_t(4, (20000, 32, 6)) * np.geomspace(0.3, 3, 6)
    p = vector_test(scores).p
    assert stats.kstest(p, "uniform").statistic < 0.02
    assert (p < 0.01).mean() == pytest.approx(0.01, abs=0.004)
    assert (p < 0.001).mean() < 0.002


def test_planted_product_is_found_and_no_other_pair():
    world = made(effect=lambda f: 0.2 * (f[:, 2] * f[:, 5])[:, None] * DIRECTION, seed=6)
    left = without_own_terms(world.codes, world.residual, 50, 1e-5).residual
    pairs, found = vector_tests(world, left)
    place = of_pair(pairs, 2, 5)
    others = np.arange(len(found.p)) != place
    assert found.p[place] < 1e-6
    assert found.p[others].min() > 1e-4


def test_bending_of_one_latent_is_no_product():
    def bent(f):
        return 0.5 * np.square(f[:, 2])[:, None] * DIRECTION + 0.5 * f[:, [5]] * DIRECTION[::-1]

    world = made(effect=bent, seed=7)
    left = without_own_terms(world.codes, world.residual, 50, 1e-5).residual
    assert vector_tests(world)[1].p.min() < 1e-8
    assert vector_tests(world, left)[1].p.min() > 1e-4


def test_one_document_of_great_leverage_is_not_significant():
    world = made(seed=8)
    both = np.flatnonzero((world.dense[:, 0] > 0) & (world.dense[:, 1] > 0))
    world.residual[both[3]] = 1e4
    pairs, found = vector_tests(world)
    assert found.p[of_pair(pairs, 0, 1)] > 0.2


def test_order_of_tokens_within_a_document_changes_nothing():
    world = made(n_tokens=3000, seed=9)
    order = np.arange(3000).reshape(-1, 10)[:, ::-1].reshape(-1)
    turned = world._replace(
        codes=world.codes[order], residual=world.residual[order], blocks=world.blocks[order]
    )
    for one, other in zip(vector_tests(world)[1], vector_tests(turned)[1], strict=True):
        assert np.allclose(one, other)


def test_slices_of_tokens_and_pairs_change_nothing(monkeypatch):
    world = made(n_tokens=2000, seed=10)
    whole = sums_of(world, REGRESSORS)[1]
    monkeypatch.setattr(block_scores, "SLICE_TOKENS", 37)
    monkeypatch.setattr(block_scores, "SLICE_NUMBERS", 3 * N_BLOCKS * 6 * 14)
    sliced = sums_of(world, REGRESSORS)[1]
    assert np.allclose(sliced.scores, whole.scores)
    assert np.allclose(sliced.gram, whole.gram)


def test_own_terms_leave_what_dense_least_squares_leaves():
    world = made(n_tokens=2000, seed=11, effect=lambda f: f[:, :8] + f[:, :8] ** 2)
    fit = without_own_terms(world.codes, world.residual, 200, 1e-6)
    f = world.dense
    design = np.concatenate([np.ones((2000, 1)), f > 0, f, f * f], axis=1)
    expected = world.residual - design @ np.linalg.lstsq(design, world.residual, rcond=None)[0]
    assert np.allclose(fit.residual, expected, atol=1e-3)
    assert fit.gradient <= 1e-6


def test_own_terms_serve_latents_that_never_fire_or_never_vary():
    f = np.array([[1.0, 0, 2], [1, 0, 2], [1, 0, 0], [1, 0, 3]])
    codes = sparse_codes(f, np.tile([0, 2, 4], (4, 1)), 6)
    left = without_own_terms(codes, np.array([[1.0], [2], [3], [4]]), 20, 1e-6).residual
    assert np.allclose(left[:, 0], [-0.5, 0.5, 0, 0], atol=1e-4)


def test_scores_beside_own_rows_are_orthogonal_to_both():
    world = made(n_tokens=2000, seed=12)
    rows = np.random.default_rng(12).standard_normal((12, 8))
    pairs, sums = sums_of(world)
    beside = beside_own_rows(sums, pairs, rows).scores[:, 0]
    for of in (pairs.first, pairs.second):
        assert np.abs(np.einsum("pbd,pd->pb", beside, rows[of])).max() < 1e-9
    moved = sums.scores[:, 0] - beside
    assert np.linalg.matrix_rank(moved[0], tol=1e-8) == 2


def reference_of_dose(world, first, second):
    """The docstring of `dose_response`, block by block, by statsmodels' least squares."""
    f = world.dense
    both = (f[:, first] > 0) & (f[:, second] > 0)
    one, two = (f[both, of] / f[f[:, of] > 0, of].mean() for of in (first, second))
    r, blocks = world.residual[both], world.blocks[both]
    X = np.stack([one**a.first * two**a.second for a in OWN], 1)
    g = one * two
    g_left = sm.OLS(g, X).fit().resid
    whole = np.stack([(g[:, None] * r)[blocks == b].sum(0) for b in range(N_BLOCKS)])
    share = np.zeros(N_BLOCKS)
    for b in range(N_BLOCKS):
        own, others = blocks == b, blocks != b
        fitted = np.stack([X[own] @ sm.OLS(y[others], X[others]).fit().params for y in r.T], 1)
        slope = (g_left[own, None] * (r[own] - fitted)).sum(0)
        share[b] = (whole.sum(0) - whole[b]) @ slope
    z = stats.ttest_1samp(share, 0).statistic
    reference = sum((whole.sum(0) - whole[b]) @ whole[b] for b in range(N_BLOCKS)) / (g @ g)
    return z, share.sum() / (g_left @ g_left) / reference


def test_dose_response_fits_the_residual_without_the_block_and_the_product_on_all_blocks():
    world = made(n_tokens=4000, seed=13, effect=lambda f: (f[:, 1] * f[:, 2])[:, None] * DIRECTION)
    pairs, sums = sums_of(world, REGRESSORS)
    found = dose_response(sums, np.ones(len(pairs.first)))
    for first, second in ((1, 2), (0, 5)):
        z, ratio = reference_of_dose(world, first, second)
        place = of_pair(pairs, first, second)
        assert found.z[place] == pytest.approx(z, rel=1e-5)
        assert found.ratio[place] == pytest.approx(ratio, rel=1e-5)


def test_dose_response_tells_a_product_from_a_feature_that_is_missing():
    def effect(f):
        both = (f[:, 3] > 0) & (f[:, 4] > 0)
        return 3 * (f[:, 1] * f[:, 2])[:, None] * DIRECTION + 3 * both[:, None] * DIRECTION[::-1]

    world = made(seed=14, effect=effect)
    left = without_own_terms(world.codes, world.residual, 50, 1e-5).residual
    pairs, sums = sums_of(world, REGRESSORS, residual=left)
    share = left_by_own_terms(sums, pairs, magnitude_powers(world.codes), len(world.dense))
    found, whole = dose_response(sums, share), vector_test(sums.scores[:, -1])
    product_, missing = of_pair(pairs, 1, 2), of_pair(pairs, 3, 4)
    assert whole.p[[product_, missing]].max() < 1e-8
    assert found.p[product_] < 1e-4
    assert found.p[missing] > 0.01
    assert abs(found.ratio[product_] - 1) < 3 * found.error[product_] < 0.6
    assert abs(found.ratio[missing]) < 3 * found.error[missing]


def test_dose_response_is_calibrated_without_one():
    z = []
    for seed in range(20, 26):
        world = made(
            seed=seed, noise="heteroscedastic",
            effect=lambda f: ((f[:, ::2] > 0) & (f[:, 1::2] > 0)) @ np.ones((6, 8)),
        )  # fmt: skip
        pairs, sums = sums_of(world, REGRESSORS)
        z.append(dose_response(sums, np.ones(len(pairs.first))).z)
    z = np.concatenate(z)
    assert abs((z > 1.645).mean() - 0.05) < 0.035
    assert (z > 3.1).mean() < 0.01


def test_a_token_of_great_leverage_shows_no_dose_response():
    world = made(seed=15, n_tokens=4000)
    both = np.flatnonzero((world.dense[:, 0] > 0) & (world.dense[:, 1] > 0))
    codes = world.codes.tolil()
    codes[both[0], 0] = codes[both[0], 1] = 30.0
    world.residual[both[0]] = 500.0
    pairs, sums = sums_of(world._replace(codes=codes.tocsr()), REGRESSORS)
    found = dose_response(sums, np.ones(len(pairs.first)))
    assert found.z[of_pair(pairs, 0, 1)] < 1.5


def test_pairs_can_be_chosen():
    pairs = Pairs(np.arange(3), np.arange(3) + 1, np.arange(3) + 5)
    assert pairs[[2, 0]].cofirings.tolist() == [7, 5]


def test_share_left_by_own_terms_equals_that_of_dense_least_squares():
    world = made(n_tokens=3000, seed=16)
    pairs, sums = sums_of(world, REGRESSORS)
    share = left_by_own_terms(sums, pairs, magnitude_powers(world.codes), 3000)
    for first, second in ((0, 1), (3, 7)):
        own = world.dense[:, [first, second]]
        X = np.concatenate([np.ones((3000, 1)), own > 0, own, own**2], 1)
        fit = sm.OLS(own.prod(1), X).fit()
        expected = fit.ssr / np.square(own.prod(1)).sum()
        assert share[of_pair(pairs, first, second)] == pytest.approx(expected, rel=1e-6)
