"""The exact Bayes predictive distribution, with the latent state marginalised by filtering.

Must not: sample, or know any language model.
"""

import numpy as np
from jaxtyping import Float, Int

from fispace.errors import CorpusError
from fispace.testbed.grammar import END_CLASS, START_NODE, Grammar
from fispace.testbed.sampling import NO_WORD


def word_ids_of(grammar: Grammar, text: str) -> Int[np.ndarray, " words"]:
    """Word ids of a text whose words are separated by spaces.

    Raises:
        CorpusError: if a word is not in the lexicon.
    """
    words = text.split()
    unknown = [word for word in words if word not in grammar.word_ids]
    if unknown:
        raise CorpusError(f"{unknown[0]!r} is not a word of the testbed's grammar.")
    return np.array([grammar.word_ids[word] for word in words], dtype=np.int16)


def pad(documents: list[Int[np.ndarray, " _"]]) -> Int[np.ndarray, "documents width"]:
    """Documents as one array, padded with -1 on the right."""
    padded = np.full((len(documents), max(map(len, documents))), NO_WORD, dtype=np.int16)
    for row, document in zip(padded, documents, strict=True):
        row[: len(document)] = document
    return padded


def bayes_log_probabilities(
    grammar: Grammar, words: Int[np.ndarray, "documents width"]
) -> Float[np.ndarray, "documents width"]:
    """Log p(w_t | w_<t) of every word in nats; zero in the padding.

    Forward filter: joint_t(s) = belief_t(s) p(class_t | class_{t-1}, s) p(w_t | class_t, s);
    p(w_t | w_<t) = sum_s joint_t(s); belief_{t+1} is joint_t normalised, with the sentence
    variables redrawn after a sentence end (Rabiner 1989, section III.A).

    Raises:
        CorpusError: if the grammar cannot produce a document.
    """
    found = np.zeros(words.shape)
    belief = np.full((len(words), grammar.space.n_states), 1 / grammar.space.n_states)
    node = np.full(len(words), START_NODE)
    for t in range(words.shape[1]):
        alive = np.flatnonzero(words[:, t] != NO_WORD)
        word = words[alive, t]
        word_class = grammar.word_classes[word]
        joint = belief[alive] * grammar.transition[node[alive], word_class] * grammar.emission[word]
        total = joint.sum(axis=1)
        if not total.all():
            document = alive[np.argmin(total)]
            raise CorpusError(
                f"Word {t} of document {document}, {grammar.texts[words[document, t]]!r}, cannot "
                "follow in the testbed's grammar: corpus and grammar do not belong together."
            )
        found[alive, t] = np.log(total)
        belief[alive], node[alive] = _advance(grammar, joint / total[:, None], word_class)
    return found


def floor_nats(grammar: Grammar, words: Int[np.ndarray, "documents width"]) -> float:
    """Bayes floor: mean of -log p(w_t | w_<t) over all words, in nats per token.

    No model has a lower expected cross-entropy.
    """
    return float(-bayes_log_probabilities(grammar, words).sum() / (words != NO_WORD).sum())


def unigram_nats(
    grammar: Grammar,
    train: Int[np.ndarray, "train_documents train_width"],
    test: Int[np.ndarray, "test_documents test_width"],
) -> float:
    """Cross-entropy on `test` of the word frequencies in `train` (counts plus one), in nats per token.

    A model that ignores the context reaches this value, to which the Bayes floor can be compared.
    """
    counts = np.bincount(train[train != NO_WORD], minlength=len(grammar.lexicon)) + 1.0
    return float(-np.log(counts / counts.sum())[test[test != NO_WORD]].mean())


def beliefs(
    grammar: Grammar, document: Int[np.ndarray, " words"]
) -> Float[np.ndarray, "words+1 states"]:
    """p(state before word t | w_<t) for t = 0 to n_words; the last row follows the whole document."""
    belief, node = np.full(grammar.space.n_states, 1 / grammar.space.n_states), START_NODE
    found = [belief]
    for word in document:
        word_class = grammar.word_classes[word]
        joint = belief * grammar.transition[node, word_class] * grammar.emission[word]
        after, nodes = _advance(grammar, joint[None] / joint.sum(), np.array([word_class]))
        belief, node = after[0], int(nodes[0])
        found.append(belief)
    return np.stack(found)


def predictive(
    grammar: Grammar, document: Int[np.ndarray, " words"]
) -> Float[np.ndarray, "words+1 vocabulary"]:
    """p(w | w_<t) over the whole lexicon, for t = 0 to n_words; every row sums to one."""
    classes = grammar.word_classes[document]
    nodes = np.concatenate([[START_NODE], np.where(classes == END_CLASS, START_NODE, classes)])
    rows = []
    for node, belief in zip(nodes, beliefs(grammar, document), strict=True):
        by_class = grammar.transition[node] * belief
        rows.append((by_class[grammar.word_classes] * grammar.emission).sum(axis=1))
    return np.stack(rows)


def _advance(
    grammar: Grammar,
    belief: Float[np.ndarray, "documents states"],
    word_class: Int[np.ndarray, " documents"],
) -> tuple[Float[np.ndarray, "documents states"], Int[np.ndarray, " documents"]]:
    ended = word_class == END_CLASS
    belief = np.where(ended[:, None], grammar.space.after_sentence_end(belief), belief)
    return belief, np.where(ended, START_NODE, word_class)
