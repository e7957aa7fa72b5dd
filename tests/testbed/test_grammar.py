"""The lexicon's planted effects, the syntax, and the grammar's JSON form."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml

from fispace.errors import ArtifactError
from fispace.store.files import canonical_json
from fispace.study.config.testbed import GrammarConfig
from fispace.testbed.grammar import (
    START_NODE,
    Grammar,
    build_grammar,
    grammar_from_json,
    grammar_to_json,
)
from fispace.testbed.lexicon import PlantedEffect
from fispace.testbed.states import VARIABLES, StateSpace
from fispace.testbed.syntax import CLASSES, FOLLOWS, longest_sentence
from fispace.testbed.words import RESPONSES

BY_CLASS = {name: index for index, name in enumerate(CLASSES)}


@pytest.fixture(scope="module")
def default_grammar() -> Grammar:
    text = (Path(__file__).parents[2] / "params.yaml").read_text(encoding="utf-8")
    return build_grammar(GrammarConfig.read(yaml.safe_load(text)["testbed"]["grammar"], "grammar"))


def contrast(grammar: Grammar, first: str, second: str) -> np.ndarray:
    """y11 - y10 - y01 + y00 of every word's log-probability, for every level of the rest."""
    moved = np.moveaxis(
        grammar.log_emission.reshape(-1, *grammar.space.sizes),
        [1 + VARIABLES.index(first), 1 + VARIABLES.index(second)],
        [1, 2],
    )
    return moved[:, 1, 1] - moved[:, 1, 0] - moved[:, 0, 1] + moved[:, 0, 0]


def test_an_effect_of_one_variable_is_the_log_odds_between_its_levels() -> None:
    space = StateSpace(4)
    effect = PlantedEffect((("topic", "topic2"),), 3.0).by_state(space)
    topic = space.levels()[VARIABLES.index("topic")]
    assert np.allclose(effect[topic == 2], 3.0 * (1 - 1 / 4))
    assert np.allclose(effect[topic != 2], -3.0 / 4)


def test_a_conjunction_effect_is_a_quarter_of_its_contrast_in_each_cell() -> None:
    space = StateSpace(1)
    effect = PlantedEffect((("register", "formal"), ("affect", "emotional")), 2.0).by_state(space)
    cells = effect.reshape(2, 2, -1)
    assert np.allclose(cells[0, 1], 0.5) and np.allclose(cells[1, 0], 0.5)
    assert np.allclose(cells[0, 0], -0.5) and np.allclose(cells[1, 1], -0.5)


def test_effects_of_different_variables_are_orthogonal() -> None:
    space, cell = StateSpace(3), (("register", "casual"), ("affect", "neutral"))
    conjunction = PlantedEffect(cell, 2.0).by_state(space)
    for pair in cell:
        assert abs(conjunction @ PlantedEffect((pair,), 1.5).by_state(space)) < 1e-12
    assert abs(conjunction.sum()) < 1e-12


def test_word_probabilities_are_the_softmax_of_weights_and_effects(grammar: Grammar) -> None:
    state = grammar.space.index(register=1, affect=0, topic=0, number=0, polarity=0)
    log_odds = {}
    for cell, words in RESPONSES.items():
        match = [0.5 if own == here else -0.5 for own, here in zip(cell, ("casual", "neutral"),
                                                                   strict=True)]  # fmt: skip
        for rank, word in enumerate(words.split(), start=1):
            planted = 1.5 * sum(match) + 2.0 * match[0] * match[1]
            log_odds[word] = -0.8 * np.log(rank) + planted
    total = np.log(sum(np.exp(value) for value in log_odds.values()))
    for word, value in log_odds.items():
        assert np.isclose(grammar.log_emission[grammar.word_ids[word], state], value - total)


def test_every_class_sums_to_one_in_every_state(grammar: Grammar) -> None:
    for index in range(len(CLASSES)):
        assert np.allclose(grammar.emission[grammar.word_classes == index].sum(axis=0), 1)


def test_planted_contrast_of_log_probabilities_equals_the_params(grammar: Grammar) -> None:
    found = contrast(grammar, "register", "affect")
    for planted in grammar.planted_words():
        sign = 1 if (planted.register, planted.affect) in (
            ("formal", "neutral"), ("casual", "emotional")) else -1  # fmt: skip
        assert planted.contrast == sign * 2.0
        assert np.allclose(found[grammar.word_ids[planted.word]], planted.contrast)
    governed = np.isin(grammar.word_classes, [BY_CLASS["response"], BY_CLASS["adjective"]])
    assert np.allclose(np.abs(found[governed]), 2.0)
    assert np.allclose(found[~governed], 0)


def test_adverbs_carry_the_affect_polarity_conjunction_and_nothing_else_does(
    grammar: Grammar,
) -> None:
    found = contrast(grammar, "affect", "polarity")
    adverb = grammar.word_classes == BY_CLASS["adverb"]
    assert np.allclose(np.abs(found[adverb]), 1.25)
    assert np.allclose(found[~adverb], 0)


def test_an_additive_grammar_has_zero_contrast(additive_grammar: Grammar) -> None:
    assert np.allclose(contrast(additive_grammar, "register", "affect"), 0)
    assert all(word.contrast == 0 for word in additive_grammar.planted_words())


def test_each_word_has_exactly_one_class_and_stands_with_its_class(grammar: Grammar) -> None:
    assert max(Counter(grammar.texts).values()) == 1
    assert (np.diff(grammar.word_classes) >= 0).all()


def test_words_are_single_lower_case_tokens(default_grammar: Grammar) -> None:
    for text in default_grammar.texts:
        assert text.split() == [text] and text == text.lower()
    assert len({text.casefold() for text in default_grammar.texts}) == len(default_grammar.texts)


def test_the_default_language_is_of_the_promised_size(default_grammar: Grammar) -> None:
    assert 1000 <= len(default_grammar.lexicon) <= 2000
    assert default_grammar.space.n_states <= 300
    assert all(len(words.split()) >= 12 for words in RESPONSES.values())
    assert len({len(words.split()) for words in RESPONSES.values()}) == 1


def test_the_papers_response_words_are_in_their_cells(grammar: Grammar) -> None:
    cells = {word.word: (word.register, word.affect) for word in grammar.planted_words()}
    printed = {
        ("formal", "neutral"): ("perhaps", "therefore", "consequently"),
        ("formal", "emotional"): ("profoundly", "devastated", "extraordinary"),
        ("casual", "neutral"): ("yeah", "basically", "whatever"),
        ("casual", "emotional"): ("totally", "literally", "absolutely"),
    }
    assert all(cells[word] == cell for cell, words in printed.items() for word in words)


def test_arcs_out_of_a_node_sum_to_one_in_every_possible_state(grammar: Grammar) -> None:
    totals = grammar.transition.sum(axis=1)
    possible = np.ones_like(totals, dtype=bool)
    for name in ("determiner", "noun", "verb"):
        possible[BY_CLASS[f"{name}_singular"]] = grammar.space.levels()[3] == 0
        possible[BY_CLASS[f"{name}_plural"]] = grammar.space.levels()[3] == 1
    possible[BY_CLASS["negation"]] = grammar.space.levels()[4] == 1
    possible[BY_CLASS["end"]] = False
    assert np.allclose(totals[possible], 1)


def test_negation_needs_a_negated_sentence_and_only_number_and_polarity_steer_the_syntax(
    grammar: Grammar,
) -> None:
    negated = grammar.space.levels()[VARIABLES.index("polarity")] == 1
    assert (grammar.transition[:, BY_CLASS["negation"]][:, ~negated] == 0).all()
    assert {variable for arc in FOLLOWS for variable, _ in arc.when} == {"number", "polarity"}


def test_longest_sentence_is_the_longest_path() -> None:
    # response determiner adjective noun negation verb object adverb preposition place end
    assert longest_sentence() == 11


def test_the_start_node_is_not_a_word_class(grammar: Grammar) -> None:
    assert START_NODE == len(CLASSES) == len(grammar.transition) - 1


def test_a_grammar_survives_its_json_form(grammar: Grammar) -> None:
    again = grammar_from_json(json.loads(canonical_json(grammar_to_json(grammar))))
    assert again == grammar
    assert np.array_equal(again.log_emission, grammar.log_emission)


@pytest.mark.parametrize("damage", ["lexicon", "params", "classes"])
def test_a_damaged_grammar_file_is_refused(grammar: Grammar, damage: str) -> None:
    value = grammar_to_json(grammar)
    value[damage] = value[damage][:1] if damage == "classes" else None
    with pytest.raises(ArtifactError, match="grammar file"):
        grammar_from_json(value)
