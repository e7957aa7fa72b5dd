"""Every branch of every verdict, on numbers whose intervals can be checked by hand."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fispace.report import verdicts
from fispace.report.verdicts import (
    CONSTANT,
    EXPLAINED,
    NOT_REPRODUCED,
    NOT_TESTABLE,
    REPRODUCED,
    UNDECIDED,
    UNDERPOWERED,
    Decision,
    Range,
    Rule,
)
from fispace.stats.intervals import Interval

NAN = float("nan")
CLEAR = np.array([1.0, 1.1, 0.9])  # interval 0.75 to 1.25
UNCLEAR = np.array([1.0, -0.5, 0.4])
UNDEFINED = np.array([1.0, NAN, 1.0])


def rule(test: str = "above", tolerance: float = 0.0) -> Rule:
    return Rule(test, tolerance, confidence=0.95, explained_share=0.9)


def test_samples_are_paired_on_their_common_seeds() -> None:
    found = verdicts.aligned({0: 1.0, 1: 2.0, 2: 3.0}, {2: 30.0, 1: 20.0})
    assert [values.tolist() for values in found] == [[2.0, 3.0], [20.0, 30.0]]


def test_a_constant_stands_for_every_seed() -> None:
    found = verdicts.aligned({CONSTANT: 5.0}, {0: 1.0, 1: 2.0})
    assert [values.tolist() for values in found] == [[5.0, 5.0], [1.0, 2.0]]


def test_constants_alone_give_one_value_and_strangers_none() -> None:
    assert [len(values) for values in verdicts.aligned({CONSTANT: 5.0}, {CONSTANT: 1.0})] == [1, 1]
    assert [len(values) for values in verdicts.aligned({0: 5.0}, {1: 1.0})] == [0, 0]


@pytest.mark.parametrize(
    ("low", "high", "direction", "expected"),
    [
        (0.3, 0.5, 1, "holds"), (0.1, 0.5, 1, "undecided"), (-0.5, 0.1, 1, "fails"),
        (-0.5, -0.3, 1, "fails"), (-0.5, 0.5, 1, "undecided"), (0.2, 0.5, 1, "undecided"),
        (-0.5, -0.3, -1, "holds"), (-0.5, -0.1, -1, "undecided"), (-0.1, 0.5, -1, "fails"),
        (NAN, NAN, 1, "undefined"), (0.3, NAN, -1, "undefined"),
    ],
)  # fmt: skip
def test_effects_of_a_direction_exceed_the_smallest_one_or_not(
    low: float, high: float, direction: int, expected: str
) -> None:
    assert verdicts.beyond(Range(low, high), direction, 0.2) == expected
    assert verdicts.beyond(Interval(0.0, low, high, 3), direction, 0.2) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.1, 0.1, "holds"), (-0.2, 0.2, "holds"), (0.1, 0.3, "undecided"), (-0.3, 0.1, "undecided"),
        (0.3, 0.5, "fails"), (-0.5, -0.3, "fails"), (-1.0, 1.0, "undecided"), (NAN, 0.1, "undefined"),
    ],
)  # fmt: skip
def test_equivalence_needs_the_whole_interval_within_the_bound(
    low: float, high: float, expected: str
) -> None:
    assert verdicts.within(Range(low, high), 0.2) == expected


@given(
    mean=st.floats(-2, 2), half=st.floats(0, 2), smallest=st.floats(0.01, 1), shift=st.floats(0, 1)
)
def test_a_larger_effect_is_never_judged_smaller(
    mean: float, half: float, smallest: float, shift: float
) -> None:
    order = ["fails", "undecided", "holds"]
    first, second = (
        verdicts.beyond(Range(at - half, at + half), 1, smallest) for at in (mean, mean + shift)
    )
    assert order.index(first) <= order.index(second)


@given(mean=st.floats(-2, 2), half=st.floats(0, 1), smallest=st.floats(0.01, 1))
def test_no_interval_is_both_beyond_and_within(mean: float, half: float, smallest: float) -> None:
    interval = Range(mean - half, mean + half)
    beyond = {verdicts.beyond(interval, direction, smallest) for direction in (1, -1)}
    is_within = verdicts.within(interval, smallest)
    if is_within == "holds":
        assert "holds" not in beyond
    if "holds" in beyond:
        assert is_within == "fails"


@pytest.mark.parametrize(
    ("values", "direction", "expected"),
    [
        ([0.1, 0.2], 1, "holds"), ([0.1, -0.2], 1, "undecided"), ([-0.1, -0.2], -1, "holds"),
        ([-0.1, -0.2], 1, "fails"), ([0.0, 0.2], 1, "undecided"), ([0.1, NAN], 1, "undefined"),
        ([], 1, "undefined"),
    ],
)  # fmt: skip
def test_every_seed_has_the_sign_or_none_or_some(
    values: list[float], direction: int, expected: str
) -> None:
    assert verdicts.every_seed(np.array(values, dtype=np.float64), direction) == expected


@pytest.mark.parametrize(
    ("test", "differences", "documents", "expected"),
    [
        ("above", CLEAR, None, "holds"),  # 0.75 to 1.25
        ("above", CLEAR, Range(0.5, 1.5), "holds"),  # joined: 0.44 to 1.56
        ("above", CLEAR, Range(-0.5, 1.5), "undecided"),  # the documents reach the bound
        ("above", UNCLEAR, Range(0.5, 1.5), "undecided"),  # the seeds do
        ("above", 0.1 * CLEAR, None, "fails"),  # smaller than what matters, though above zero
        ("above", -CLEAR, None, "fails"),
        ("above", UNDEFINED, Range(0.5, 1.5), "undefined"),
        ("above", CLEAR, Range(NAN, NAN), "undefined"),
        ("below", -CLEAR, None, "holds"),
        ("below", CLEAR, None, "fails"),
        ("covers", 0.1 * CLEAR, None, "holds"),
        ("covers", CLEAR, None, "fails"),
        ("covers", UNCLEAR, None, "undecided"),  # wide is not equal
        ("covers", 0.1 * CLEAR, Range(-0.5, 1.5), "undecided"),
        ("covers", UNDEFINED, None, "undefined"),
        ("at_most", -CLEAR, Range(-1.5, -0.5), "holds"),
        ("at_most", 0.1 * CLEAR, None, "holds"),
        ("at_most", CLEAR, None, "fails"),
        ("at_most", UNCLEAR, None, "undecided"),
        ("at_most", UNDEFINED, None, "undefined"),
        ("every_above", CLEAR, None, "holds"),
        ("every_above", UNCLEAR, None, "undecided"),
        ("every_below", CLEAR, None, "fails"),
        ("every_below", UNDEFINED, None, "undefined"),
    ],
)
def test_a_predicate_holds_fails_or_stays_open(
    test: str, differences: np.ndarray, documents: Range | None, expected: str
) -> None:
    assert verdicts.decide(rule(test), differences, documents, 0.2).outcome == expected


@pytest.mark.parametrize(
    ("documents", "expected"), [(Range(-1, 3), "holds"), (Range(1, 3), "fails")]
)
def test_significance_in_a_small_sample_is_asked_as_the_paper_asks_it(
    documents: Range, expected: str
) -> None:
    assert verdicts.decide(rule("covers"), CLEAR, documents, NAN, of_few=True).outcome == expected


def test_a_direction_that_fails_says_which_effects_are_excluded() -> None:
    found = verdicts.decide(rule("above"), 0.1 * CLEAR, None, 0.2)
    assert found.bound == pytest.approx(
        0.1 + 0.1 * 0.248414
    )  # t_{.975,2} s / sqrt(3) = 4.302653 x .057735
    below = verdicts.decide(rule("below"), 0.1 * CLEAR, None, 0.2)
    assert below.bound == pytest.approx(-0.1 + 0.1 * 0.248414)
    assert verdicts.decide(rule("above"), CLEAR, None, 0.2).bound is None


def test_an_open_test_says_how_many_seeds_would_decide_it() -> None:
    values = np.array([0.5, 0.1, 0.6])  # mean .4, s .2646; half-width .657 with three seeds
    found = verdicts.decide(rule("above"), values, None, 0.2)
    assert found.outcome == "undecided"
    assert found.n_seeds == 10  # 2.262 x .2646 / sqrt(10) = .189 < .2; with nine seeds .203
    by_documents = verdicts.decide(rule("above"), values, Range(0.1, 0.7), 0.2)
    assert by_documents.outcome == "undecided" and by_documents.n_seeds is None


@pytest.mark.parametrize(
    ("test", "ours", "null", "expected"),
    [
        ("above", CLEAR, np.zeros(3), "holds"),  # the null has nothing of it
        ("above", CLEAR, 0.95 * CLEAR, "fails"),  # nine tenths of it, though the excess is clear
        ("above", CLEAR, 0.5 * CLEAR, "holds"),
        ("above", CLEAR, np.array([1.5, 0.2, 0.1]), "undecided"),
        ("above", CLEAR, -5 * CLEAR, "holds"),  # the opposite effect explains nothing
        ("above", CLEAR, UNDEFINED, "undefined"),
        ("below", -CLEAR, np.zeros(3), "holds"),
        ("below", -CLEAR, -2 * CLEAR, "fails"),
        ("every_below", -CLEAR, -CLEAR, "fails"),
        ("every_below", -CLEAR, CLEAR, "holds"),
        ("every_below", -CLEAR, UNCLEAR, "undecided"),
        ("every_above", CLEAR, UNDEFINED, "undefined"),
    ],
)
def test_an_effect_exceeds_its_null_or_not(
    test: str, ours: np.ndarray, null: np.ndarray, expected: str
) -> None:
    assert verdicts.exceeds_null(rule(test), ours, null, 0.05) == expected


def test_how_much_a_null_must_reach_is_a_parameter() -> None:
    ours, null = CLEAR, 0.93 * CLEAR
    assert verdicts.exceeds_null(rule(), ours, null, 0.01) == "fails"
    loose = dataclasses.replace(rule(), explained_share=0.97)
    assert verdicts.exceeds_null(loose, ours, null, 0.01) == "holds"


@pytest.mark.parametrize(
    ("value", "tolerance", "expected"),
    [(2.0, 0.0, True), (2.1, 0.05, True), (1.9, 0.05, True), (2.2, 0.05, False), (NAN, 1.0, False)],
)
def test_closeness_is_relative_to_the_printed_number(
    value: float, tolerance: float, expected: bool
) -> None:
    assert verdicts.is_close(value, 2.0, tolerance * 1.0000001) is expected


def test_a_negative_printed_number_has_a_tolerance_too() -> None:
    assert verdicts.is_close(-0.98, -0.987, 0.01)


def test_a_number_of_the_papers_own_sizes_is_reproduced_or_not() -> None:
    exact = rule("at_paper_sizes", 0.01)
    assert verdicts.at_paper_sizes(exact, 100.5, 100.0).verdict == REPRODUCED
    assert verdicts.at_paper_sizes(exact, 102.0, 100.0).verdict == NOT_REPRODUCED


def test_an_absolute_number_is_explained_by_its_null_or_not_testable() -> None:
    close = rule("null_at_paper_sizes", 0.05)
    assert verdicts.null_at_paper_sizes(close, 0.487, 0.4915).verdict == EXPLAINED
    assert verdicts.null_at_paper_sizes(close, 0.30, 0.4915).verdict == NOT_TESTABLE


def test_an_absolute_number_of_another_model_is_not_testable() -> None:
    assert verdicts.absolute().verdict == NOT_TESTABLE


@pytest.mark.parametrize(
    ("outcome", "controls", "verdict", "because"),
    [
        ("undefined", {}, NOT_TESTABLE, "undefined"),
        ("undefined", {"the null": "fails"}, NOT_TESTABLE, "undefined"),
        ("fails", {}, NOT_REPRODUCED, "does not hold"),
        ("fails", {"the null": "fails"}, NOT_REPRODUCED, "does not hold"),
        ("undecided", {"the null": "fails"}, UNDECIDED, "some seeds pass"),
        ("holds", {}, REPRODUCED, "no control"),
        ("holds", {"the null": "holds", "the control": "holds"}, REPRODUCED, "the null, the control"),
        ("holds", {"the null": "fails", "the control": "holds"}, EXPLAINED, "not beyond: the null"),
        ("holds", {"the null": "holds", "the control": "fails"}, EXPLAINED, "not beyond: the control"),
        ("holds", {"the null": "fails", "the control": "undefined"}, EXPLAINED, "not beyond: the null"),
        ("holds", {"the null": "undefined", "the control": "holds"}, NOT_TESTABLE, "undefined"),
        ("holds", {"the null": "undecided", "the control": "holds"}, UNDECIDED, "open whether"),
    ],
)  # fmt: skip
def test_the_verdict_follows_from_the_predicate_and_its_controls(
    outcome: verdicts.Outcome, controls: dict[str, verdicts.Outcome], verdict: str, because: str
) -> None:
    found = verdicts.judged(Decision(outcome), controls, None)
    assert found.verdict == verdict
    assert because in found.because


def test_an_undecided_claim_whose_printed_effect_would_not_be_seen_is_underpowered() -> None:
    weak = Decision("undecided", None, detectable=0.5, n_seeds=9)
    assert verdicts.judged(weak, {}, 0.4) == verdicts.Reading(
        UNDERPOWERED,
        "the interval contains the smallest effect of interest; the printed effect would not be seen",
        None, 0.5, 9,
    )  # fmt: skip
    assert verdicts.judged(weak, {}, 0.6).verdict == UNDECIDED
    assert verdicts.judged(weak, {}, None).verdict == UNDECIDED


def test_a_claim_is_not_reproduced_only_if_the_printed_effect_is_excluded() -> None:
    """With the bound at a tenth of the printed effect, `fails` excludes the printed effect itself."""
    for spread in (0.01, 0.1, 1.0, 10.0):
        values = spread * np.array([1.0, -0.5, 0.4])
        found = verdicts.decide(rule("above"), values, None, 0.1)
        reading = verdicts.judged(found, {}, 1.0)
        if reading.verdict == NOT_REPRODUCED:
            assert reading.excluded_above is not None and reading.excluded_above < 0.1
        else:
            assert reading.verdict in (UNDECIDED, UNDERPOWERED)


def test_there_are_six_verdicts() -> None:
    assert verdicts.VERDICTS == (
        "reproduced",
        "reproduced, explained by the null",
        "not reproduced",
        "undecided",
        "underpowered",
        "not testable at this scale",
    )
