"""The verdict of a pair follows from its statistics by the stated rules, in the stated order."""

import numpy as np
import pandas as pd
import pytest
from interactions.planted_study import PARAMS

from fispace.chapters.interactions import verdicts
from fispace.chapters.interactions.verdicts import VERDICTS, judged


def table(**rows: dict[str, float]) -> pd.DataFrame:
    """800 pairs of ordinary statistics, of as many latents; the named ones have other values."""
    stream = np.random.default_rng(0)
    n = 800
    base = pd.DataFrame({
        "first": np.arange(n), "second": np.arange(n) + n, "overlap": 0.01, "reliability": 0.9,
        "statistic": stream.exponential(size=n), "statistic_with_own_terms": stream.exponential(size=n),
        "conjunction_p": np.nan, "conjunction_q": np.nan, "dose_p": 0.5, "dose_ratio": 1.0, "dose_error": 1.0,
    })  # fmt: skip
    for place, values in enumerate(rows.values()):
        for name, value in values.items():
            base.loc[place, name] = value
    return base


STRONG = {"statistic": 40.0, "statistic_with_own_terms": 40.0}
CASES = {
    "conjunction latent": {"statistic": 0.5, "conjunction_p": 1e-6, "conjunction_q": 1e-4},
    "interaction": STRONG | {"dose_p": 1e-6, "dose_ratio": 1.0, "dose_error": 0.1},
    "missing feature": STRONG | {"dose_p": 0.4, "dose_ratio": 0.1, "dose_error": 0.1},
    "undecided": STRONG | {"dose_p": 0.4, "dose_ratio": 0.6, "dose_error": 0.5},
    "split feature": STRONG | {"overlap": 0.95, "dose_p": 1e-6},
    "graded effect": {"statistic": 0.5, "dose_p": 1e-6},
    "bending": {"statistic": 0.5, "statistic_with_own_terms": 40.0},
    "unreliable latent": STRONG | {"reliability": 0.2, "dose_p": 1e-6},
    "none": {"statistic": 0.5, "statistic_with_own_terms": 0.5},
}


@pytest.mark.parametrize("verdict", VERDICTS)
def test_each_verdict_has_its_case(verdict):
    found = judged(table(case=CASES[verdict]), PARAMS)
    assert found["verdict"][0] == verdict
    assert (found["verdict"][1:] == "none").all()


def test_pairs_that_are_not_tested_have_no_q_and_do_not_enter_the_null():
    with_them = judged(table(a=CASES["split feature"], b=CASES["unreliable latent"]), PARAMS)
    without = judged(table().drop([0, 1]).reset_index(drop=True), PARAMS)
    assert with_them["q"][:2].isna().all()
    np.testing.assert_allclose(with_them["q"][2:], without["q"])


def test_pairs_that_stand_out_and_all_others_are_two_families_of_dose_responses():
    rows = {str(i): STRONG | {"dose_p": 0.04 if i == 0 else 0.9} for i in range(5)}
    found = judged(table(**rows), PARAMS)
    assert found["stands_out"][:5].all() and not found["stands_out"][5:].any()
    assert found["dose_q"][0] == pytest.approx(0.04 * 5)
    assert found["verdict"][0] == "undecided"
    assert judged(table(one=rows["0"]), PARAMS)["verdict"][0] == "interaction"


def test_a_graded_effect_is_beyond_the_dose_responses_of_all_pairs_that_do_not_stand_out():
    weak = {"statistic": 0.5, "dose_p": 1e-3}
    assert judged(table(case=weak), PARAMS)["verdict"][0] == "none"


def test_an_effect_that_shrinks_with_the_product_is_no_interaction():
    shrinks = STRONG | {"dose_p": 1 - 1e-6, "dose_ratio": -1.0, "dose_error": 0.1}
    assert judged(table(case=shrinks), PARAMS)["verdict"][0] == "missing feature"


def test_a_table_without_a_tested_pair_is_judged_too():
    found = judged(table().assign(reliability=0.0), PARAMS)
    assert set(found["verdict"]) == {verdicts.UNRELIABLE}
    assert found["q"].isna().all()


def test_where_nothing_interacts_pairs_stand_out_in_few_tables():
    """Statistics of one exponential law, a rate of .1: a pair stands out in at most a tenth of the tables."""
    stream, n_claimed = np.random.default_rng(4), 0
    for _ in range(60):
        null = table()
        null["statistic"] = stream.exponential(size=len(null))
        n_claimed += (judged(null, PARAMS)["q"] <= PARAMS.fdr).any()
    assert n_claimed <= 0.1 * 60 + 3 * (60 * 0.1 * 0.9) ** 0.5
