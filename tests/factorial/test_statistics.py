"""Laws and hand-computed values of the factorial statistics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fispace.stats.anova import paper_anova, two_way_anova
from fispace.stats.two_by_two import (
    benjamini_hochberg,
    flipped_abs_t,
    interaction_contrasts,
    one_sample_t,
    sign_flip_test,
    sign_flips,
    welch_t,
)

N_ITEMS = 24


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _crossed(rng: np.random.Generator, n_latents: int, interaction: float = 0.0) -> np.ndarray:
    """Items x 2 x 2 x latents: strong items, two main effects, noise, and a planted interaction."""
    items = 5 * rng.normal(size=(N_ITEMS, 1, 1, n_latents))
    first = 2.0 * np.array([0, 1])[None, :, None, None]
    second = -1.0 * np.array([0, 1])[None, None, :, None]
    both = interaction * np.outer([0, 1], [0, 1])[None, :, :, None]
    return items + first + second + both + rng.normal(size=(N_ITEMS, 2, 2, n_latents))


def test_two_way_anova_gives_the_hand_computed_f() -> None:
    # cells (rows: replicates): a0b0 = 1, 3; a0b1 = 2, 4; a1b0 = 3, 5; a1b1 = 8, 10
    # means 2 3 4 9, grand 4.5; SS_A = 32, SS_B = 18, SS_AB = 8, SS_error = 8 on 4 df
    table = np.array([[[1.0, 2.0], [3.0, 8.0]], [[3.0, 4.0], [5.0, 10.0]]])
    anova = two_way_anova(table)
    assert [anova.first.f, anova.second.f, anova.interaction.f] == pytest.approx([16.0, 9.0, 4.0])
    assert anova.interaction.df_error == 4
    assert anova.interaction.partial_eta2 == pytest.approx(8 / 16)
    assert anova.interaction.p == pytest.approx(stats.f.sf(4.0, 1, 4))


def test_two_way_anova_agrees_with_statsmodels() -> None:
    import pandas as pd
    import statsmodels.formula.api as smf
    from statsmodels.stats.anova import anova_lm

    table = _rng(0).normal(size=(9, 2, 2))
    a, b = np.indices((9, 2, 2))[1:]
    frame = pd.DataFrame({"y": table.ravel(), "a": a.ravel(), "b": b.ravel()})
    expected = anova_lm(smf.ols("y ~ C(a) * C(b)", frame).fit(), typ=2)
    ours = two_way_anova(table)
    assert [e.f for e in ours] == pytest.approx(list(expected["F"][:3]))
    assert [e.p for e in ours] == pytest.approx(list(expected["PR(>F)"][:3]))


def test_published_anova_is_three_one_way_tests() -> None:
    table = _rng(1).normal(size=(10, 2, 2))
    anova = paper_anova(table)
    first = stats.f_oneway(table[:, 0].ravel(), table[:, 1].ravel())
    paired = stats.f_oneway(table[:, 1, 1] - table[:, 1, 0], table[:, 0, 1] - table[:, 0, 0])
    assert (anova.first.f, anova.first.p) == pytest.approx((first.statistic, first.pvalue))
    assert (anova.interaction.f, anova.interaction.p) == pytest.approx(
        (paired.statistic, paired.pvalue)
    )


def test_published_interaction_depends_on_the_order_of_rows_and_the_others_do_not() -> None:
    rng = _rng(2)
    table = rng.normal(size=(12, 2, 2))
    shuffled = table.copy()
    shuffled[:, 1, 1] = rng.permutation(shuffled[:, 1, 1])  # rows of one cell in another order
    assert paper_anova(shuffled).interaction.p != pytest.approx(
        paper_anova(table).interaction.p, rel=1e-3
    )
    assert two_way_anova(shuffled).interaction.p == pytest.approx(
        two_way_anova(table).interaction.p
    )


def test_contrast_p_values_do_not_depend_on_the_order_of_items() -> None:
    cells = _crossed(_rng(3), 5)[:10]
    order = _rng(4).permutation(10)
    flips = sign_flips(10, 2000, _rng(5))  # 2^10 patterns: exact
    one, other = (interaction_contrasts(c) for c in (cells, cells[order]))
    assert one_sample_t(one, 0.95).p == pytest.approx(one_sample_t(other, 0.95).p)
    np.testing.assert_array_equal(sign_flip_test(one, flips).p, sign_flip_test(other, flips).p)
    np.testing.assert_array_equal(
        sign_flip_test(one, flips).p_max, sign_flip_test(other, flips).p_max
    )


def test_interaction_contrast_is_the_hand_computed_one() -> None:
    cells = np.array([[[1.0, 2.0], [3.0, 8.0]]])[..., None]
    assert interaction_contrasts(cells)[0, 0] == 8 - 3 - 2 + 1


@given(st.integers(0, 2**31))
def test_additive_data_have_no_interaction(seed: int) -> None:
    rng = _rng(seed)
    cells = rng.normal(size=(6, 2, 1, 3)) + rng.normal(size=(6, 1, 2, 3))
    np.testing.assert_allclose(interaction_contrasts(cells), 0, atol=1e-12)


def test_t_tests_agree_with_scipy() -> None:
    rng = _rng(6)
    first, second = rng.normal(size=(12, 7)) + 1, 3 * rng.normal(size=(9, 7))
    welch = welch_t(first, second, 0.95)
    expected = stats.ttest_ind(first, second, equal_var=False)
    assert welch.t == pytest.approx(expected.statistic)
    assert welch.p == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert welch.low == pytest.approx(interval.low) and welch.high == pytest.approx(interval.high)
    assert one_sample_t(first, 0.95).p == pytest.approx(stats.ttest_1samp(first, 0).pvalue)


def test_silent_and_constant_latents_have_defined_tests() -> None:
    values = np.stack([np.zeros(8), np.full(8, 0.1), np.eye(8)[0]], axis=1)
    test = one_sample_t(values, 0.95)
    assert list(test.p) == pytest.approx([1.0, 0.0, stats.ttest_1samp(values[:, 2], 0).pvalue])
    flipped = sign_flip_test(values, sign_flips(8, 256, _rng(0)))
    assert list(flipped.p) == pytest.approx([1.0, 2 / 256, 1.0])
    assert welch_t(values, values, 0.95).p[0] == 1.0


def test_benjamini_hochberg_is_the_hand_computed_one() -> None:
    assert benjamini_hochberg(np.array([0.01, 0.04, 0.03, 0.5])) == pytest.approx(
        [0.04, 0.16 / 3, 0.16 / 3, 0.5]
    )


def test_exact_sign_flip_enumerates_every_pattern() -> None:
    flips = sign_flips(3, 8, _rng(0))
    assert flips.shape == (8, 3) and len({tuple(row) for row in flips}) == 8
    assert (flips[0] == 1).all()
    # values 1 2 3: only +++ and --- reach the observed |t|
    assert sign_flip_test(np.array([[1.0], [2.0], [3.0]]), flips).p[0] == 2 / 8


def test_flipped_t_is_the_t_of_the_flipped_values() -> None:
    values, flips = _rng(7).normal(size=(9, 4)) + 1, sign_flips(9, 20, _rng(8))
    expected = np.abs(stats.ttest_1samp(flips[5][:, None] * values, 0).statistic)
    assert flipped_abs_t(values, flips)[5] == pytest.approx(expected)


def test_monte_carlo_p_is_never_zero() -> None:
    values = np.full((40, 1), 3.0) + 0.01 * _rng(0).normal(size=(40, 1))
    assert sign_flip_test(values, sign_flips(40, 199, _rng(1))).p[0] == 1 / 200


def test_contrast_has_five_percent_false_positives_where_items_swamp_the_two_way_anova() -> None:
    cells = _crossed(_rng(9), 2000)
    contrasts = interaction_contrasts(cells)
    by_t = one_sample_t(contrasts, 0.95).p
    by_flip = sign_flip_test(contrasts, sign_flips(N_ITEMS, 999, _rng(10))).p
    by_anova = np.array([two_way_anova(cells[..., i]).interaction.p for i in range(500)])
    assert 0.03 <= (by_t < 0.05).mean() <= 0.07
    assert 0.03 <= (by_flip <= 0.05).mean() <= 0.07
    assert (by_anova < 0.05).mean() < 0.01


def test_max_t_null_has_five_percent_false_positives_over_a_whole_search() -> None:
    flips = sign_flips(N_ITEMS, 299, _rng(11))
    data = _rng(12).normal(size=(400, N_ITEMS, 30))
    smallest = np.array([sign_flip_test(values, flips).p_max.min() for values in data])
    assert 0.03 <= (smallest <= 0.05).mean() <= 0.07


def test_planted_interaction_is_found_among_many_latents() -> None:
    cells = _crossed(_rng(13), 400)
    cells[:, 1, 1, 17] += 4.0
    p_max = sign_flip_test(interaction_contrasts(cells), sign_flips(N_ITEMS, 999, _rng(14))).p_max
    assert np.flatnonzero(p_max <= 0.05).tolist() == [17]


def test_max_t_p_is_at_least_the_latent_alone() -> None:
    values, flips = _rng(15).normal(size=(10, 50)), sign_flips(10, 1024, _rng(0))
    test = sign_flip_test(values, flips)
    assert (test.p_max >= test.p).all()
