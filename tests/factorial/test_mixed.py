"""The mixed model, equivalence, and the calibration of the complete procedure."""

import numpy as np
import pytest
from scipy import stats

from fispace.chapters.factorial.calibrate import null_runs, power_curve
from fispace.chapters.factorial.select_confirm import (
    paper_procedure,
    select_then_confirm,
    word_procedures,
)
from fispace.chapters.factorial.simulate import flipped_cells, skewed, synthetic_halves, word_tables
from fispace.stats.mixed import fit_crossed
from fispace.stats.two_by_two import interaction_contrasts, tost
from fispace.study.config.factorial import CalibrateStep
from fispace.study.config.hypotheses import CalibrationConfig

BAND = (0.03, 0.07)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def rate(runs: list[dict[str, float]], name: str) -> float:
    return float(np.mean([run[name] <= 0.05 for run in runs]))


def test_mixed_contrast_is_the_difference_of_cell_means() -> None:
    table = word_tables(rng(0), 10, 5, 0.0, 0.3)
    means = table.mean((0, 3))
    fit = fit_crossed(table, 0.95)
    expected = means[1, 1] - means[1, 0] - means[0, 1] + means[0, 0]
    assert fit.contrast.value == pytest.approx(expected)
    assert [cell.value for cell in fit.cells] == pytest.approx(means.ravel().tolist())


def test_mixed_error_is_the_hand_computed_one_of_a_balanced_design() -> None:
    table = word_tables(rng(5), 20, 8, 0.0, 1.0)
    of_cell, of_word, means = table.mean(3), table.mean(0), table.mean((0, 3))
    centred = of_cell - means
    within = np.square(centred - centred.mean((1, 2))[:, None, None]).sum() / (3 * 19)
    between_words = np.square(of_word - means[..., None]).sum() / (4 * 7)
    both = table - of_cell[..., None] - of_word + means[..., None]
    error = np.square(both).sum() / (4 * 19 * 7)
    variance = 4 * (within / 20 + between_words / 8 - error / 160)
    fit = fit_crossed(table, 0.95)
    half = stats.t.ppf(0.975, 16) * np.sqrt(variance)
    assert fit.converged
    assert fit.contrast.high - fit.contrast.value == pytest.approx(half, rel=1e-2)


def test_mixed_model_does_not_depend_on_the_order_of_items_or_words() -> None:
    table = word_tables(rng(1), 9, 6, 0.0, 0.5)
    again = table[rng(2).permutation(9)][..., rng(3).permutation(6)]
    assert fit_crossed(again, 0.95).contrast.p == pytest.approx(
        fit_crossed(table, 0.95).contrast.p, rel=1e-3
    )


def test_words_that_differ_fool_every_analysis_but_the_mixed_model() -> None:
    runs = [word_procedures(word_tables(rng(i), 20, 6, 0.0, 1.0), i < 60) for i in range(200)]
    assert rate(runs, "words_published") > 0.5 and rate(runs, "words_contrast") > 0.15
    assert np.mean([run["words_mixed"] <= 0.05 for run in runs[:60]]) < 0.15


def test_effects_of_nothing_have_a_defined_mixed_fit() -> None:
    fit = fit_crossed(np.zeros((5, 2, 2, 3)), 0.95)
    assert (fit.contrast.value, fit.contrast.p) == (0.0, 1.0)


def test_equivalence_is_two_one_sided_t_tests() -> None:
    values, bounds = rng(0).normal(size=(12, 3)) * 0.2, np.array([0.3, 0.5, 1.0])
    upper = stats.ttest_1samp(values, bounds, alternative="less").pvalue
    lower = stats.ttest_1samp(values, -bounds, alternative="greater").pvalue
    assert tost(values, bounds) == pytest.approx(np.maximum(upper, lower))


def test_equivalence_needs_evidence_and_not_just_a_large_p() -> None:
    noisy, exact = 10 * rng(1).normal(size=(8, 1)), np.zeros((8, 1))
    assert tost(noisy, np.ones(1))[0] > 0.05 and tost(exact, np.ones(1))[0] == 0.0
    assert tost(exact + 2, np.ones(1))[0] == 1.0


def test_skewed_noise_has_mean_zero_and_variance_one() -> None:
    drawn = skewed(rng(0), (200_000,), 0.5)
    assert abs(drawn.mean()) < 0.01 and drawn.var() == pytest.approx(1, abs=0.05)
    assert stats.skew(drawn) > 1


def test_random_signs_change_the_contrast_alone() -> None:
    cells, signs = rng(0).normal(size=(6, 2, 2, 3)), np.array([1, -1, 1, -1, -1, 1.0])
    again = flipped_cells(cells, signs)
    np.testing.assert_allclose(
        interaction_contrasts(again), signs[:, None] * interaction_contrasts(cells)
    )
    np.testing.assert_allclose(again.mean(1), cells.mean(1))
    np.testing.assert_allclose(again.mean(2), cells.mean(2))


@pytest.fixture(scope="module")
def null() -> list[dict[str, float]]:
    step = calibrate_step(400, (0.0,), 1)
    return list(null_runs(step, "test", lambda stream: synthetic_halves(stream, (20, 20), 40, 0.5)))


def calibrate_step(n: int, sizes: tuple[float, ...], n_power: int) -> CalibrateStep:
    own = CalibrationConfig(
        n_datasets=n,
        n_latents=40,
        n_words=6,
        n_permutations=199,
        noise_skew=0.5,
        word_sd=0.5,
        n_mixed=0,
        sizes=sizes,
        n_power=n_power,
    )
    factors = [{"name": name, "levels": ["low", "high"]} for name in ("a", "b")]
    return CalibrateStep(factors=factors, alpha=0.05, n_candidates=3, calibration=own, root_seed=0)


def test_the_complete_procedure_has_five_percent_false_positives(null) -> None:
    for name in ("search_max", "contrast_t", "contrast_flip", "family_max"):
        assert BAND[0] - 0.02 <= rate(null, name) <= BAND[1] + 0.02, name  # 400 data sets
    assert rate(null, "family_fdr") <= BAND[1] + 0.02


def test_confirming_on_the_half_that_selected_is_noticed(null) -> None:
    """A leak between the halves is far outside the band: it cannot pass unseen."""
    assert rate(null, "leak_contrast_t") > 0.5 and rate(null, "leak_family_max") > 0.2


def test_the_published_procedure_finds_something_in_nothing(null) -> None:
    assert rate(null, "published_cells") > 0.9 and rate(null, "published_search") > 0.3


def test_a_planted_interaction_is_selected_and_confirmed_more_often_the_larger_it_is() -> None:
    curve = power_curve(calibrate_step(1, (0.0, 1.0, 3.0), 20), (20, 20))
    found = curve[curve["criterion"] == "found"]["rate"].to_numpy()
    assert found[0] <= 0.1 and found[0] <= found[1] <= found[2] and found[2] >= 0.95
    known = curve[curve["criterion"] == "known"]["rate"].to_numpy()
    assert (known >= found - 1e-12).all()


def test_published_search_is_the_largest_row_paired_f() -> None:
    cells = rng(4).normal(size=(10, 2, 2, 5))
    found = paper_procedure(cells)
    expected = min(
        stats.f_oneway(
            cells[:, 1, 1, i] - cells[:, 1, 0, i], cells[:, 0, 1, i] - cells[:, 0, 0, i]
        ).pvalue
        for i in range(5)
    )
    assert found["published_search"] == pytest.approx(expected)


def test_a_latent_without_variance_neither_wins_nor_spoils_the_published_search() -> None:
    cells = rng(4).normal(size=(10, 2, 2, 5))
    silent = np.concatenate([np.zeros((10, 2, 2, 1)), cells, np.ones((10, 2, 2, 1))], axis=3)
    assert paper_procedure(silent) == pytest.approx(paper_procedure(cells))


def test_a_planted_latent_is_the_first_candidate_and_is_confirmed() -> None:
    halves = synthetic_halves(rng(6), (30, 30), 50, 0.0, 3.0)
    run = select_then_confirm(*halves, 3, 499, rng(7))
    assert run["rank_0"] == 0 and run["p_max_0"] <= 0.05 and run["search_max"] <= 0.05
