"""The filter is exact: it equals the sum over all states, written out."""

from itertools import product

import numpy as np
import pytest

from fispace.errors import CorpusError
from fispace.testbed.bayes import (
    bayes_log_probabilities,
    beliefs,
    floor_nats,
    pad,
    predictive,
    unigram_nats,
    word_ids_of,
)
from fispace.testbed.grammar import END_CLASS, START_NODE, Grammar
from fispace.testbed.sampling import NO_WORD, draw_documents


@pytest.fixture(scope="module")
def words(grammar: Grammar) -> np.ndarray:
    return draw_documents(grammar, 6, 12, 0, "study").words


def path_probability(grammar: Grammar, words: np.ndarray, states: list[int]) -> float:
    """p(words | the state of each word), by the chain rule."""
    probability, node = 1.0, START_NODE
    for word, state in zip(words, states, strict=True):
        word_class = int(grammar.word_classes[word])
        probability *= grammar.transition[node, word_class, state] * grammar.emission[word, state]
        node = START_NODE if word_class == END_CLASS else word_class
    return probability


def enumerated_probability(grammar: Grammar, words: np.ndarray) -> float:
    """p(words) summed over every document state and every state of every sentence."""
    space = grammar.space
    ended = np.concatenate([[0], np.cumsum(grammar.word_classes[words] == END_CLASS)[:-1]])
    sentence = ended.astype(int) if len(words) else ended[:0]
    total, n_sentences = 0.0, int(sentence.max(initial=0)) + 1
    for document in range(space.n_states // space.n_sentence_states):
        for chosen in product(range(space.n_sentence_states), repeat=n_sentences):
            states = [document * space.n_sentence_states + chosen[s] for s in sentence]
            total += path_probability(grammar, words, states)
    n_paths = space.n_states // space.n_sentence_states * space.n_sentence_states**n_sentences
    return total / n_paths


def test_filter_equals_enumeration_of_all_states(grammar: Grammar, words: np.ndarray) -> None:
    found = bayes_log_probabilities(grammar, words)
    for row, document in enumerate(words):
        kept = document[document != NO_WORD][:11]
        before = 1.0
        for t in range(len(kept)):
            now = enumerated_probability(grammar, kept[: t + 1])
            assert np.isclose(found[row, t], np.log(now / before), rtol=0, atol=1e-10)
            before = now


def test_predictive_distribution_sums_to_one_and_holds_the_scored_probability(
    grammar: Grammar, words: np.ndarray
) -> None:
    scores = bayes_log_probabilities(grammar, words)
    for row, document in enumerate(words):
        kept = document[document != NO_WORD]
        table = predictive(grammar, kept)
        assert np.allclose(table.sum(axis=1), 1)
        assert np.allclose(np.log(table[np.arange(len(kept)), kept]), scores[row, : len(kept)])


def test_documents_filtered_together_or_alone_score_the_same(
    grammar: Grammar, words: np.ndarray
) -> None:
    together = bayes_log_probabilities(grammar, words)
    for row in range(len(words)):
        assert np.allclose(bayes_log_probabilities(grammar, words[row : row + 1])[0], together[row])


def test_beliefs_start_uniform_sum_to_one_and_forget_the_sentence_at_its_end(
    grammar: Grammar, words: np.ndarray
) -> None:
    kept = words[0][words[0] != NO_WORD]
    found = beliefs(grammar, kept)
    assert np.allclose(found[0], 1 / grammar.space.n_states)
    assert np.allclose(found.sum(axis=1), 1)
    after = found[1:][grammar.word_classes[kept] == END_CLASS]
    by_sentence = after.reshape(len(after), -1, grammar.space.n_sentence_states)
    assert np.allclose(by_sentence, by_sentence[..., :1])


def test_beliefs_are_calibrated(grammar: Grammar) -> None:
    documents = draw_documents(grammar, 400, 12, 5, "calibration")
    truth, belief = [], []
    for row, states in zip(documents.words, documents.states, strict=True):
        kept = row[row != NO_WORD][:8]
        casual = grammar.space.levels()[0] == 1
        belief.append(beliefs(grammar, kept)[-1][casual].sum())
        truth.append(casual[states[0]])
    assert abs(np.mean(truth) - np.mean(belief)) < 0.05
    sure = np.array(belief) > 0.7
    assert abs(np.array(truth)[sure].mean() - np.array(belief)[sure].mean()) < 0.06


def test_floor_is_the_mean_and_lies_below_the_unigram_loss(grammar: Grammar) -> None:
    train, test = (draw_documents(grammar, 300, 20, 0, name).words for name in ("a", "b"))
    scores = bayes_log_probabilities(grammar, test)
    floor = floor_nats(grammar, test)
    assert np.isclose(floor, -scores.sum() / (test != NO_WORD).sum())
    assert floor < unigram_nats(grammar, train, test) < np.log(len(grammar.lexicon))


def test_a_text_outside_the_grammar_is_refused(grammar: Grammar) -> None:
    with pytest.raises(CorpusError, match="'these', cannot follow"):
        bayes_log_probabilities(grammar, pad([word_ids_of(grammar, "this these")]))
    with pytest.raises(CorpusError, match="'platypus' is not a word"):
        word_ids_of(grammar, "perhaps platypus")
