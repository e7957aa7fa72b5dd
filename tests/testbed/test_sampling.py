"""Documents follow the grammar, and depend on seed, purpose and number alone."""

import numpy as np
import pytest

from fispace.testbed import sampling
from fispace.testbed.grammar import END_CLASS, START_NODE, Grammar
from fispace.testbed.sampling import (
    NO_WORD,
    Documents,
    draw_documents,
    longest_document,
    word_labels,
)
from fispace.testbed.syntax import CLASSES


@pytest.fixture(scope="module")
def documents(grammar: Grammar) -> Documents:
    return draw_documents(grammar, 3000, 30, 0, "study")


def label(documents: Documents, grammar: Grammar, name: str) -> np.ndarray:
    return dict(word_labels(documents, grammar))[name]


def test_same_seed_gives_the_same_documents_and_another_seed_others(grammar: Grammar) -> None:
    first, again, other = (draw_documents(grammar, 50, 20, seed, "study") for seed in (1, 1, 2))
    assert np.array_equal(first.words, again.words) and np.array_equal(first.states, again.states)
    assert not np.array_equal(first.words, other.words)


def test_a_document_does_not_depend_on_the_number_of_documents(
    grammar: Grammar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "CHUNK_DOCUMENTS", 16)
    few, many = (draw_documents(grammar, n, 20, 1, "study").words for n in (20, 40))
    assert np.array_equal(few, many[:20])


def test_no_training_document_is_in_the_study_corpus(grammar: Grammar) -> None:
    rows = [
        {row.tobytes() for row in draw_documents(grammar, 2000, 20, 0, purpose).words}
        for purpose in ("study", "lm-training")
    ]
    assert not rows[0] & rows[1]


def test_a_document_ends_with_the_first_sentence_end_that_reaches_the_length(
    grammar: Grammar, documents: Documents
) -> None:
    ends = label(documents, grammar, "class") == END_CLASS
    assert documents.words.shape[1] == longest_document(30)
    for words, end, length in zip(documents.words, ends, documents.lengths, strict=True):
        assert length >= 30
        assert end[length - 1] and not end[29 : length - 1].any()
        assert (words[:length] != NO_WORD).all() and (words[length:] == NO_WORD).all()


def test_document_variables_are_constant_and_sentence_variables_change_at_ends_only(
    grammar: Grammar, documents: Documents
) -> None:
    present = documents.words != NO_WORD
    for name in ("register", "affect", "topic"):
        levels = label(documents, grammar, name)
        assert (levels[present] == np.repeat(levels[:, 0], documents.lengths)).all()
    after_end = label(documents, grammar, "class")[:, :-1] == END_CLASS
    for name in ("number", "polarity"):
        levels = label(documents, grammar, name)
        changed = (levels[:, 1:] != levels[:, :-1]) & present[:, 1:]
        assert not (changed & ~after_end).any()
        assert 0.45 < changed[after_end & present[:, 1:]].mean() < 0.55


def test_number_agrees_between_determiner_noun_and_verb(
    grammar: Grammar, documents: Documents
) -> None:
    classes, number = (label(documents, grammar, name) for name in ("class", "number"))
    for word in ("determiner", "noun", "verb"):
        for level, name in enumerate(("singular", "plural")):
            here = classes == CLASSES.index(f"{word}_{name}")
            assert here.any() and (number[here] == level).all()


def test_negation_occurs_in_every_negated_sentence_and_in_no_other(
    grammar: Grammar, documents: Documents
) -> None:
    classes, polarity = (label(documents, grammar, name) for name in ("class", "polarity"))
    assert (polarity[classes == CLASSES.index("negation")] == 1).all()
    after_noun = np.isin(
        classes[:, :-1], [CLASSES.index(f"noun_{n}") for n in ("singular", "plural")]
    )
    negated = after_noun & (polarity[:, :-1] == 1)
    assert (classes[:, 1:][negated] == CLASSES.index("negation")).all()


def test_word_frequencies_match_the_model_in_every_state(grammar: Grammar) -> None:
    documents = draw_documents(grammar, 6000, 40, 3, "frequencies")
    present = documents.words != NO_WORD
    words, states = documents.words[present], documents.states[present]
    counts = np.zeros((len(grammar.lexicon), grammar.space.n_states))
    np.add.at(counts, (words, states), 1)
    of_class = np.zeros((len(CLASSES), grammar.space.n_states))
    np.add.at(of_class, (grammar.word_classes[words], states), 1)
    expected = of_class[grammar.word_classes] * grammar.emission
    often = expected > 20
    deviation = (counts - expected)[often] / np.sqrt(expected * (1 - grammar.emission))[often]
    assert np.abs(deviation).max() < 6
    assert 0.9 < (deviation**2).mean() < 1.1


def test_class_frequencies_match_the_arcs(grammar: Grammar, documents: Documents) -> None:
    classes = label(documents, grammar, "class").astype(int)
    before = np.concatenate([np.full((len(classes), 1), END_CLASS), classes[:, :-1]], axis=1)
    node = np.where(before == END_CLASS, START_NODE, before)
    present = documents.words != NO_WORD
    found = np.zeros((len(CLASSES) + 1, len(CLASSES), grammar.space.n_states))
    np.add.at(found, (node[present], classes[present], documents.states[present]), 1)
    expected = found.sum(axis=1, keepdims=True) * grammar.transition
    assert (found[expected == 0] == 0).all()
    deviation = (found - expected)[expected > 20] / np.sqrt(expected[expected > 20])
    assert np.abs(deviation).max() < 6


def test_labels_are_small_integers_with_minus_one_for_padding(
    grammar: Grammar, documents: Documents
) -> None:
    for _, levels in word_labels(documents, grammar):
        assert levels.dtype == np.int8
        assert ((levels == -1) == (documents.words == NO_WORD)).all()
