"""The paper's formulas by hand, and nulls that show what each of them ignores."""

import numpy as np
import pytest

from fispace.seeds import numpy_stream
from fispace.stats import directions as geometry
from fispace.stats import paper_formulas


def test_norm_ratios_by_hand() -> None:
    found = paper_formulas.norm_shares(np.array([1.0]), np.array([2.0]), np.array([5.0]))
    assert [r[0] for r in found] == pytest.approx([7 / 8, 2 / 8, 5 / 8, 1 / 8])


def test_norm_ratios_of_a_latent_sum_to_one() -> None:
    draws = np.abs(numpy_stream(0, "ratios").standard_normal((3, 40))) + 0.01
    found = paper_formulas.norm_shares(*draws)
    assert np.allclose(found.linear + found.interaction + found.decoder, 1)
    assert np.allclose(found.total + found.decoder, 1)


def test_the_ratio_correlation_is_strongly_negative_for_independent_random_norms() -> None:
    stream = numpy_stream(0, "tautology")
    decoder, linear, factors = np.exp(0.5 * stream.standard_normal((3, 20_000)))
    ratios = paper_formulas.norm_shares(decoder, linear, factors)
    found = paper_formulas.ratio_correlations(ratios, decoder**2)
    assert found["total"] < -0.7
    assert found["decoder"] == pytest.approx(-found["total"])


def test_the_published_group_statistics_need_no_trained_interaction() -> None:
    squared, ratios = paper_formulas.norm_mixture_null(50_000, 0.2, numpy_stream(0, "null"))
    assert squared.mean() == pytest.approx(0.259, rel=0.05)
    low, high = paper_formulas.group_means(ratios.total, squared, 0.2)
    assert (low, high) == (pytest.approx(0.828, abs=0.05), pytest.approx(0.713, abs=0.05))
    found = paper_formulas.ratio_correlations(ratios, squared)
    assert found["total"] == pytest.approx(-0.987, abs=0.01)
    assert found["linear"] == pytest.approx(-0.866, abs=0.08)


def test_group_means_by_hand_and_an_empty_group_has_none() -> None:
    ratio, squared = np.array([0.2, 0.4, 0.9]), np.array([0.1, 0.1, 0.3])
    assert paper_formulas.group_means(ratio, squared, 0.2) == (
        pytest.approx(0.3),
        pytest.approx(0.9),
    )
    assert np.isnan(paper_formulas.group_means(ratio, squared, 0.05)[0])


def test_mean_output_shares_by_hand() -> None:
    assert paper_formulas.mean_output_shares(3.0, 1.0) == (0.75, 0.25)


def test_published_variance_explained_ignores_a_constant_error() -> None:
    x = numpy_stream(0, "ve").standard_normal((64, 3))
    assert paper_formulas.batch_variance_explained(x, x + 5.0) == pytest.approx(1)
    assert paper_formulas.batch_variance_explained(x, np.zeros_like(x)) == pytest.approx(0)


def test_published_variance_explained_by_hand() -> None:
    x = np.array([[0.0, 0.0], [2.0, 4.0]])  # variances 1 and 4
    x_hat = np.array([[0.0, 0.0], [2.0, 2.0]])  # residual variances 0 and 1
    assert paper_formulas.batch_variance_explained(x, x_hat) == pytest.approx(0.8)


def test_a_random_matrix_needs_about_nine_tenths_of_the_first_components() -> None:
    # 887 of 1,000 for 3,200 x 50,000; the same shape at a fiftieth of the size
    noise = numpy_stream(0, "random matrix").standard_normal((1000, 64))
    first = 20
    spectrum = geometry.variance_spectrum(noise, centred=False)
    found = paper_formulas.n_components_of_first(spectrum, first, 0.9)
    assert 0.85 <= found / first <= 0.9


def test_gini_by_hand() -> None:
    rows = np.array([[1.0, -1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 2.0], [1.0, 2.0, -3.0, 4.0]])
    # ascending 1 2 3 4, cumulative sums 1 3 6 10: (5 - 2 * 20 / 10) / 4
    assert paper_formulas.gini(rows).tolist() == pytest.approx([0, 0.75, 0.25])


def test_effective_rank_by_hand() -> None:
    rows = np.array([[1.0, -1.0, 1.0], [5.0, 0.0, 0.0], [0.0, 2.0, -2.0]])
    assert paper_formulas.effective_rank(rows).tolist() == pytest.approx([3, 1, 2])


def test_each_row_of_the_identity_uses_one_dimension() -> None:
    assert paper_formulas.effective_rank(np.eye(6)).tolist() == pytest.approx([1] * 6)
    assert paper_formulas.gini(np.eye(6)).tolist() == pytest.approx([5 / 6] * 6)


def test_initial_rows_reach_the_gini_reported_for_one_row() -> None:
    initial = 0.05 * numpy_stream(0, "gini").standard_normal((5000, 200))
    assert paper_formulas.gini(initial).max() == pytest.approx(0.4915, abs=0.02)


def test_parameter_counts_give_the_printed_total_and_shares() -> None:
    counts = paper_formulas.parameter_counts(
        paper_formulas.PAPER_D_MODEL, paper_formulas.PAPER_N_LATENTS, paper_formulas.PAPER_D_EMBED
    )
    assert counts.total == 496_106_700
    assert counts.linear / counts.total == pytest.approx(0.3225, abs=1e-4)
    assert (counts.linear + counts.interaction) / counts.total == pytest.approx(0.355, abs=1e-3)
    assert counts.interaction / counts.total == pytest.approx(0.032, abs=5e-4)
    assert counts.interaction_mlp == pytest.approx(1.1e6, rel=0.05)
