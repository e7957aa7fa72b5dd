"""Every branch of every verdict, on numbers whose intervals can be checked by hand."""

import dataclasses

import numpy as np
import pytest

from fispace.report import verdicts
from fispace.report.verdicts import (
    CONSTANT,
    EXPLAINED,
    NOT_REPRODUCED,
    NOT_TESTABLE,
    REPRODUCED,
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
        (0.1, 0.3, 1, True), (-0.1, 0.3, 1, False), (-0.3, -0.1, 1, False),
        (-0.3, -0.1, -1, True), (-0.3, 0.1, -1, False), (0.1, 0.3, -1, False),
        (0.0, 0.3, 1, False), (NAN, NAN, 1, None), (NAN, NAN, -1, None),
    ],
)  # fmt: skip
def test_an_interval_lies_beyond_zero_or_not(
    low: float, high: float, direction: int, expected: bool | None
) -> None:
    assert verdicts.lies_beyond(Range(low, high), direction) is expected
    assert verdicts.lies_beyond(Interval((low + high) / 2, low, high, 3), direction) is expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(-1, 1, True), (0, 1, True), (0.1, 1, False), (-1, -0.1, False), (NAN, NAN, None)],
)
def test_an_interval_covers_zero_or_not(low: float, high: float, expected: bool | None) -> None:
    assert verdicts.covers_zero(Range(low, high)) is expected


@pytest.mark.parametrize(
    ("values", "direction", "expected"),
    [
        ([0.1, 0.2], 1, True), ([0.1, -0.2], 1, False), ([-0.1, -0.2], -1, True),
        ([0.0, 0.2], 1, False), ([0.1, NAN], 1, None), ([], 1, None),
    ],
)  # fmt: skip
def test_every_seed_has_the_sign_or_not(
    values: list[float], direction: int, expected: bool | None
) -> None:
    assert verdicts.all_beyond(np.array(values, dtype=np.float64), direction) is expected


@pytest.mark.parametrize(
    ("test", "differences", "documents", "expected"),
    [
        ("above", CLEAR, None, True),
        ("above", CLEAR, Range(0.5, 1.5), True),
        ("above", CLEAR, Range(-0.5, 1.5), False),  # over seeds, but not over documents
        ("above", UNCLEAR, Range(0.5, 1.5), False),  # over documents, but not over seeds
        ("above", UNDEFINED, Range(0.5, 1.5), None),
        ("above", CLEAR, Range(NAN, NAN), None),
        ("below", -CLEAR, None, True),
        ("below", CLEAR, None, False),
        ("covers", UNCLEAR, None, True),
        ("covers", CLEAR, None, False),
        ("covers", CLEAR, Range(-0.5, 1.5), True),  # the documents decide
        ("covers", UNCLEAR, Range(0.5, 1.5), False),
        ("covers", UNDEFINED, None, None),
        ("at_most", UNCLEAR, None, True),
        ("at_most", -CLEAR, Range(-1.5, -0.5), True),
        ("at_most", CLEAR, None, False),
        ("at_most", UNCLEAR, Range(0.5, 1.5), False),  # above it over documents alone
        ("at_most", UNDEFINED, None, None),
        ("every_above", CLEAR, None, True),
        ("every_above", UNCLEAR, None, False),
        ("every_below", -CLEAR, None, True),
        ("every_below", UNDEFINED, None, None),
    ],
)
def test_a_predicate_holds_or_not(
    test: str, differences: np.ndarray, documents: Range | None, expected: bool | None
) -> None:
    assert verdicts.holds(rule(test), differences, documents) is expected


@pytest.mark.parametrize(
    ("test", "ours", "null", "expected"),
    [
        ("above", CLEAR, np.zeros(3), False),  # the null has nothing of it
        ("above", CLEAR, 0.95 * CLEAR, True),  # nine tenths of it, though the excess is clear
        ("above", CLEAR, 0.5 * CLEAR, False),
        ("above", CLEAR, np.array([1.5, 0.2, 0.1]), True),  # less, but the excess is unclear
        ("above", CLEAR, -5 * CLEAR, False),  # the opposite effect explains nothing
        ("above", CLEAR, UNDEFINED, None),
        ("below", -CLEAR, np.zeros(3), False),
        ("below", -CLEAR, -2 * CLEAR, True),
        ("every_below", -CLEAR, -CLEAR, True),
        ("every_below", -CLEAR, UNCLEAR, False),
        ("every_above", CLEAR, UNDEFINED, None),
    ],
)
def test_a_null_explains_an_effect_or_not(
    test: str, ours: np.ndarray, null: np.ndarray, expected: bool | None
) -> None:
    assert verdicts.null_explains(rule(test), ours, null) is expected


def test_how_much_a_null_must_reach_is_a_parameter() -> None:
    strict = dataclasses.replace(rule(), explained_share=1.0)
    assert verdicts.null_explains(strict, CLEAR, 0.95 * CLEAR) is False


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
    ("is_held", "explanations", "verdict", "because"),
    [
        (None, {}, NOT_TESTABLE, "undefined"),
        (None, {"the null": True}, NOT_TESTABLE, "undefined"),
        (False, {}, NOT_REPRODUCED, "does not hold"),
        (False, {"the null": True}, NOT_REPRODUCED, "does not hold"),
        (True, {}, REPRODUCED, "no control"),
        (True, {"the null": False, "the control": False}, REPRODUCED, "the null, the control"),
        (True, {"the null": True, "the control": False}, EXPLAINED, "not beyond: the null"),
        (True, {"the null": False, "the control": True}, EXPLAINED, "not beyond: the control"),
        (True, {"the null": True, "the control": None}, EXPLAINED, "not beyond: the null"),
        (True, {"the null": None, "the control": False}, NOT_TESTABLE, "undefined"),
    ],
)
def test_the_verdict_follows_from_the_predicate_and_its_controls(
    is_held: bool | None, explanations: dict[str, bool | None], verdict: str, because: str
) -> None:
    found = verdicts.judged(is_held, explanations)
    assert found.verdict == verdict
    assert because in found.because


def test_there_are_four_verdicts() -> None:
    assert verdicts.VERDICTS == (
        "reproduced",
        "reproduced, explained by the null",
        "not reproduced",
        "not testable at this scale",
    )
