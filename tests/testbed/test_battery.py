"""Laws of the testbed's battery: matched cells that differ only in the words that the factors govern."""

import re

import numpy as np
import pandas as pd
import pytest

from fispace.errors import StimuliError
from fispace.study.config.testbed import BatteryConfig
from fispace.testbed.battery import COLUMNS, draw_battery
from fispace.testbed.bayes import bayes_log_probabilities, pad, word_ids_of
from fispace.testbed.grammar import Grammar, build_grammar
from fispace.testbed.syntax import CLASSES

CONFIG = BatteryConfig(n_items=25, n_sentences=3)


@pytest.fixture(scope="module")
def battery(grammar: Grammar) -> pd.DataFrame:
    return draw_battery(grammar, CONFIG, 0)


def test_every_item_has_all_four_cells_of_equal_length(battery: pd.DataFrame) -> None:
    assert tuple(battery.columns) == COLUMNS and len(battery) == 4 * 25
    for _, item in battery.groupby("item"):
        assert len(set(zip(item["register"], item["affect"], strict=True))) == 4
        assert len({len(text.split()) for text in item["text"]}) == 1
        assert item["frame"].nunique() == 1


def test_no_text_occurs_twice(battery: pd.DataFrame) -> None:
    assert not battery["text"].duplicated().any()


def test_cells_differ_only_in_words_whose_class_register_or_affect_governs(
    grammar: Grammar, battery: pd.DataFrame
) -> None:
    for _, item in battery.groupby("item"):
        for words in zip(*item["text"].str.split(), strict=True):
            classes = {int(grammar.word_classes[grammar.word_ids[word]]) for word in words}
            assert len(classes) == 1
            governors = grammar.governors(classes.pop())
            by_cell = dict(zip(zip(item["register"], item["affect"], strict=True), words,
                               strict=True))  # fmt: skip
            for (register, affect), word in by_cell.items():
                for (other_register, other_affect), other in by_cell.items():
                    same = ("register" not in governors or register == other_register) and (
                        "affect" not in governors or affect == other_affect
                    )
                    assert not same or word == other


def test_a_frame_shows_the_shared_words_and_the_classes_of_the_others(
    battery: pd.DataFrame,
) -> None:
    for frame, text in zip(battery["frame"], battery["text"], strict=True):
        shown, words = frame.split(), text.split()
        assert len(shown) == len(words)
        for place, word in zip(shown, words, strict=True):
            match = re.fullmatch(r"\{(\w+)\}", place)
            assert match[1] in CLASSES if match else place == word


def test_every_text_is_a_possible_text_of_three_sentences(
    grammar: Grammar, battery: pd.DataFrame
) -> None:
    words = pad([word_ids_of(grammar, text) for text in battery["text"]])
    assert np.isfinite(bayes_log_probabilities(grammar, words)).all()
    ends = [sum(word in {".", "!", "...", "!!"} for word in text.split()) for text in battery.text]
    assert set(ends) == {3}


def test_same_seed_gives_the_same_battery(grammar: Grammar, battery: pd.DataFrame) -> None:
    assert draw_battery(grammar, CONFIG, 0).equals(battery)
    assert not draw_battery(grammar, CONFIG, 1).equals(battery)


def test_a_lexicon_too_small_for_the_battery_is_an_error(grammar: Grammar) -> None:
    lexicon = grammar.config.lexicon.changed(
        nouns_per_topic=1,
        verbs_per_topic=1,
        objects_per_topic=1,
        places_per_topic=1,
        adjectives_per_cell=1,
        adverbs_per_cell=1,
    )
    single = build_grammar(
        grammar.config.model_copy(  # not validated, because the exponent is steeper than params allow
            update={
                "n_topics": 1,
                "lexicon": lexicon,
                "zipf_exponent": 20.0,
                "additive_strength": 20.0,
            }
        )
    )
    with pytest.raises(StimuliError, match="lower n_items or enlarge the lexicon"):
        draw_battery(single, BatteryConfig(n_items=300, n_sentences=1), 0)
