"""Quantities worked out by hand from small summary tables."""

import pandas as pd
import pytest
from report.synthetic import family_table, fidelity_summary, geometry_summary, secondary_table

from fispace.chapters.factorial.quantities import factorial_quantities
from fispace.chapters.fidelity.quantities import fidelity_quantities
from fispace.chapters.geometry.quantities import geometry_quantities
from fispace.report.paper_quantities import paper_quantities
from fispace.store.quantities import Quantity, quantity_frame
from fispace.study.config.report import QuantitiesStep

PARAMS = QuantitiesStep(
    confidence=0.95, mixture_latents=20_000, mixture_spread=0.2, null_rows=60, null_pairs=500,
    root_seed=0,
)  # fmt: skip


def table(quantities: object) -> pd.Series:
    frame = quantity_frame(quantities)  # pyright: ignore[reportArgumentType]
    return frame.set_index(["quantity", "seed"])["value"]


FIDELITY = table(fidelity_quantities(fidelity_summary()))


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        ("mse.joint.full", 0.12),
        ("mse.joint.sae", 0.40),
        ("dead_fraction.sae.full", 0.1),
        ("mse_gain.joint.full.over.joint.sae", 1 - 0.12 / 0.40),  # published: over its own ablation
        ("mse_gain.joint.full.over.sae_bias.full", 1 - 0.12 / 0.16),  # controlled
        ("mse_gain.joint.full.over.sae.full", 1 - 0.12 / 0.20),
        ("kl_gain.joint.sae+bias+interaction.over.joint.sae", 1 - 0.30 / 0.40),
        ("ce_gain.joint.full.over.joint.sae", 1 - (3 + 0.6) / (3 + 2.0)),
        ("excess_ce_gain.joint.full.over.sae_bias.full", 1 - 0.12 / 0.16),
        ("mse_last_step.joint.interaction", (0.14 - 0.12) / 0.16),
        ("mse_last_step.joint.linear", (0.30 - 0.12) / 0.16),
        ("kl_gain_share.joint.interaction", (0.10 / 0.40) / (0.28 / 0.40)),
        ("kl_gain_share.joint.bias", (0.04 / 0.40) / (0.28 / 0.40)),
        ("kl_over_epsilon.joint.full", 4.0),
        ("kl_over_sae_epsilon.joint.full", 10 * 0.12 / (2.5 * 0.40)),
        ("kl_over_sae_epsilon.sae.full", 4.0),
    ],
)
def test_fidelity_quantities_by_hand(quantity: str, expected: float) -> None:
    assert FIDELITY[quantity, 0] == pytest.approx(expected)


def test_quantities_are_of_the_test_split_alone() -> None:
    assert FIDELITY["mse.sae.full", 0] == 0.20


def test_quantities_leave_out_the_bounds_parts_without_a_decoder_and_included_special_tokens() -> (
    None
):
    names = {name for name, _ in FIDELITY.index}
    assert not {name for name in names if name.startswith(("mse..", "mse.joint.bias"))}
    assert FIDELITY["mse.joint.sae", 0] == 0.40


def test_ratios_are_paired_by_seed() -> None:
    # everything is twice as large for seed 1, so every gain is the same
    gain = FIDELITY["mse_gain.joint.full.over.sae_bias.full"]
    assert gain[0] == pytest.approx(gain[1])
    assert FIDELITY["mse.joint.full", 1] == pytest.approx(0.24)


def test_a_whole_arm_is_compared_with_every_other_and_its_parts_with_few() -> None:
    summary = fidelity_summary()
    matched = summary[summary["arm"] == "sae"].assign(arm="sae_matched")
    found = table(fidelity_quantities(pd.concat([summary, matched])))
    gain = found["mse_gain.joint.full.over.sae_matched.full", 0]
    assert gain == pytest.approx(1 - 0.12 / 0.20)
    assert ("mse_gain.sae_matched.full.over.joint.full", 0) in found
    assert ("mse_gain.joint.sae+bias.over.sae.full", 0) in found
    assert ("mse_gain.joint.sae+bias.over.sae_matched.full", 0) not in found


def test_an_arm_is_no_gain_over_itself() -> None:
    assert ("mse_gain.sae_bias.full.over.sae_bias.full", 0) not in FIDELITY


def test_a_study_without_the_control_has_no_controlled_quantities() -> None:
    summary = fidelity_summary()
    found = table(fidelity_quantities(summary[summary["arm"] != "sae_bias"]))
    names = {name for name, _ in found.index}
    assert not any("sae_bias" in name or "last_step" in name for name in names)
    assert "mse_gain.joint.full.over.joint.sae" in names


def test_geometry_quantities_name_arm_and_state() -> None:
    found = table(geometry_quantities(geometry_summary()))
    assert found["mean_abs_cosine.joint.trained", 0] == 0.2
    assert found["mean_abs_cosine.joint.initial", 1] == 0.1


def test_parameter_shares_sum_to_one_and_the_nfm_is_all_but_the_sae() -> None:
    found = table(geometry_quantities(geometry_summary()))
    assert found["n_parameters.joint", 0] == 100
    assert found["parameter_share.joint.nfm", 0] == pytest.approx(0.4)
    assert found["parameter_share.joint.sae", 0] == pytest.approx(0.6)


def test_the_papers_own_parameter_accounting_is_exact() -> None:
    found = table(paper_quantities(PARAMS)).droplevel("seed")
    assert found["paper.parameters.total"] == 496_106_700
    assert found["paper.parameters.share_linear"] == pytest.approx(0.3225, abs=1e-4)


def test_the_mixture_null_at_the_papers_scale_gives_its_correlation() -> None:
    found = table(paper_quantities(PARAMS)).droplevel("seed")
    assert found["paper.mixture_null.ratio_total_spearman"] == pytest.approx(-0.987, abs=0.01)


def test_random_rows_of_the_papers_size_give_the_published_geometry() -> None:
    found = table(paper_quantities(PARAMS)).droplevel("seed")
    assert found["paper.random_rows.pca_share"] == 0.887
    assert found["paper.random_rows.mean_abs_cosine"] == pytest.approx(0.014675, rel=0.05)
    assert found["paper.random_rows.gram_mean_abs_dot"] == pytest.approx(0.005753, rel=0.05)
    assert found["paper.random_rows.top_jaccard"] == pytest.approx(0.0419, rel=0.05)


def test_initial_factor_vectors_are_as_unequal_as_the_reported_one() -> None:
    found = table(paper_quantities(PARAMS)).droplevel("seed")
    assert found["paper.initial_factors.gini_max"] == pytest.approx(0.4915, rel=0.03)
    assert found["paper.initial_factors.effective_rank_min"] == pytest.approx(133.5, rel=0.03)


def test_factorial_quantities_by_hand() -> None:
    found = table(factorial_quantities(family_table(), secondary_table()))
    assert found["factorial.candidate.activation.published_f", 0] == 2.0
    assert found["factorial.candidate.clamp.-4.published_f", 1] == 4.0
    assert found["factorial.candidate.clamp_slope.contrast_f", 0] == 9.0
    assert found["factorial.candidate.clamp.min_published_p", 0] == pytest.approx(0.05)
    assert found["secondary.variance_explained", 0] == 0.75


def test_a_kind_of_latent_that_was_not_found_has_missing_values_not_missing_names() -> None:
    found = table(factorial_quantities(family_table(), secondary_table())).droplevel("seed")
    assert pd.isna(found["factorial.insensitive.clamp_slope.p_sign_flip"])


def test_a_quantity_has_one_value_per_seed() -> None:
    twice = [Quantity("a", 0, 1.0, "1", 1), Quantity("a", 0, 2.0, "1", 1)]
    with pytest.raises(ValueError, match="'a' is defined twice"):
        quantity_frame(twice)
