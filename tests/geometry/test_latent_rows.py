"""Rows of norm modes and functional shares, on latents whose groups are known."""

import numpy as np
import pytest

from fispace.chapters.geometry.latent_table import functional_rows, log_norm_mixture, mode_rows
from fispace.seeds import numpy_stream

N = 200


def two_groups() -> tuple[np.ndarray, np.ndarray]:
    """Squared norms around .03 and .5, well apart; only the high ones fire."""
    spread = np.exp(0.1 * numpy_stream(0, "tests", "norms").standard_normal(N))
    is_low = np.arange(N) < N // 4
    return np.where(is_low, 0.03, 0.5) * spread, np.where(is_low, 0.0, 10.0 + np.arange(N))


def values(rows: object) -> dict[tuple[str, str], float]:
    return {(row.metric, row.state): row.value for row in rows}  # pyright: ignore[reportAttributeAccessIssue, reportGeneralTypeIssues]


def modes(state: str, threshold: float) -> dict[tuple[str, str], float]:
    squared, firings = two_groups()
    mixture = log_norm_mixture(squared, numpy_stream(0, "tests", "modes"))
    return values(mode_rows(state, squared, firings, mixture, threshold))


def test_if_one_of_two_modes_never_fires_latents_that_fire_have_one_mode() -> None:
    found = modes("trained", 0.2)
    assert found["norm_dip_p", "trained"] < 0.001
    assert found["alive_norm_dip_p", "trained"] > 0.1
    assert found["norm_bic_gain", "trained"] > 0
    assert 0.04 < found["mixture_threshold", "trained"] < 0.4


def test_silent_shares_of_groups_by_mixture_and_by_the_papers_threshold() -> None:
    found = modes("trained", 0.2)
    for suffix in ("", "_mixture"):
        assert found[f"low_group_share{suffix}", "trained"] == pytest.approx(0.25)
        assert found[f"low_never_fired_share{suffix}", "trained"] == 1
        assert found[f"high_never_fired_share{suffix}", "trained"] == 0


def test_an_empty_group_has_no_silent_share() -> None:
    found = modes("initial", 1e-9)
    assert found["low_group_share", "initial"] == 0
    assert np.isnan(found["low_never_fired_share", "initial"])


def functional(state: str = "trained") -> dict[tuple[str, str], float]:
    squared = np.array([0.1, 0.1, 0.4, 0.9])
    growth = {
        "decoder": np.array([1.0, 0.0, 3.0, 4.0]),
        "linear": np.array([0.0, 0.0, -1.0, 0.0]),
        "interaction": np.array([3.0, 0.0, 0.0, 0.0]),
    }
    stream = numpy_stream(0, "tests", "functional")
    return values(functional_rows(state, growth, squared, {"": 0.2}, stream))


def test_functional_shares_by_hand() -> None:
    found = functional()
    assert found["functional_decoder_mean", "trained"] == 2
    assert (
        found["functional_linear_harmful", "trained"] == 0.25
    )  # the error falls without one of the four
    assert found["functional_share_decoder", "trained"] == pytest.approx(8 / 12)
    assert found["functional_share_total", "trained"] == pytest.approx(4 / 12)
    assert found["functional_share_interaction_low", "trained"] == pytest.approx(3 / 4)
    assert found["functional_share_interaction_high", "trained"] == 0


def test_a_latent_without_any_contribution_is_left_out_of_the_correlation() -> None:
    # own decoder shares 1/4, 3/4, 1 against norms .1, .4, .9
    assert functional()["functional_share_decoder_spearman", "trained"] == pytest.approx(1)


def test_the_permutation_null_belongs_to_the_trained_state() -> None:
    assert ("functional_share_decoder_spearman", "permuted") in functional()
    assert ("functional_share_decoder_spearman", "permuted") not in functional("initial")


def test_an_arm_with_one_part_has_contributions_but_no_shares() -> None:
    stream = numpy_stream(0, "tests", "functional")
    growth = {"decoder": np.array([1.0, 2.0])}
    found = functional_rows("trained", growth, np.array([0.1, 0.4]), {"": 0.2}, stream)
    assert {row.metric for row in found} == {
        "functional_decoder_mean",
        "functional_decoder_harmful",
    }
