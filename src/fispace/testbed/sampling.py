"""Drawing documents from the grammar, one chunk at a time.

A document depends only on the root seed, the purpose and its number. Must not: know file formats.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from fispace.seeds import numpy_stream
from fispace.testbed.grammar import END_CLASS, START_NODE, Grammar
from fispace.testbed.states import VARIABLES, StateSpace
from fispace.testbed.syntax import CLASSES, longest_sentence

CHUNK_DOCUMENTS = 4096
"""Number of documents drawn together from one random stream. Changing it changes every document."""

NO_WORD = -1
BELOW_ONE = 1 - 2.0**-32
"""Factor that keeps `row + u` below `row + 1` in double precision, for every u in [0, 1)."""


@dataclass(frozen=True)
class Documents:
    """Word ids and states of documents, padded with -1 to the longest possible document."""

    words: Int[np.ndarray, "documents width"]
    states: Int[np.ndarray, "documents width"]

    @property
    def lengths(self) -> Int[np.ndarray, " documents"]:
        """Number of words of each document."""
        return (self.words != NO_WORD).sum(axis=1)


def longest_document(document_words: int) -> int:
    """Largest number of words that a document can have."""
    return document_words - 1 + longest_sentence()


def draw_documents(
    grammar: Grammar, n_documents: int, document_words: int, root_seed: int, purpose: str
) -> Documents:
    """Documents 0 to n_documents - 1 for one purpose.

    A document ends at the first sentence end after at least `document_words` words. This is a stopping
    time, so the words have exactly the probabilities of the grammar.
    """
    table, chunks = _Tables(grammar), []
    for chunk, first in enumerate(range(0, n_documents, CHUNK_DOCUMENTS)):
        rng = numpy_stream(root_seed, "testbed", purpose, chunk)
        drawn = _draw_chunk(table, document_words, rng)
        chunks.append([array[: n_documents - first] for array in drawn])
    words, states = (np.concatenate(arrays) for arrays in zip(*chunks, strict=True))
    return Documents(words, states)


def word_labels(
    documents: Documents, grammar: Grammar
) -> Iterator[tuple[str, Int[np.ndarray, "documents width"]]]:
    """Each label's name and its int8 level for every word: the variables, then `class`; -1 is padding."""
    present = documents.words != NO_WORD
    levels = grammar.space.levels().astype(np.int8)
    for variable, by_state in zip(VARIABLES, levels, strict=True):
        yield variable, np.where(present, by_state[documents.states], np.int8(NO_WORD))
    classes = grammar.word_classes.astype(np.int8)
    yield "class", np.where(present, classes[documents.words], np.int8(NO_WORD))


class _Tables:
    """Cumulative probabilities of all rows in one array, so that one search serves all documents.

    Row r of a table holds r + cumulative probability, which rises from r to r + 1.
    """

    def __init__(self, grammar: Grammar) -> None:
        self.grammar = grammar
        self.space: StateSpace = grammar.space
        self.word_classes = grammar.word_classes
        self.first_word = np.searchsorted(self.word_classes, np.arange(len(CLASSES)))

    @cached_property
    def _classes(self) -> Float[np.ndarray, " entries"]:
        rows = self.grammar.transition.transpose(0, 2, 1).reshape(-1, len(CLASSES))
        return np.concatenate([_row(i, row) for i, row in enumerate(rows)])

    @cached_property
    def _words(self) -> tuple[Float[np.ndarray, " entries"], Int[np.ndarray, " rows"]]:
        by_class = [self.grammar.emission[self.word_classes == c].T for c in range(len(CLASSES))]
        rows = [row for table in by_class for row in table]
        starts = np.cumsum([0, *(len(row) for row in rows)])
        return np.concatenate([_row(i, row) for i, row in enumerate(rows)]), starts

    def next_class(
        self, node: Int[np.ndarray, " n"], state: Int[np.ndarray, " n"], u: Float[np.ndarray, " n"]
    ) -> Int[np.ndarray, " n"]:
        """Class drawn after each node, by a uniform number in [0, 1)."""
        row = node * self.space.n_states + state
        return np.searchsorted(self._classes, row + u, side="right") - row * len(CLASSES)

    def next_word(
        self,
        word_class: Int[np.ndarray, " n"],
        state: Int[np.ndarray, " n"],
        u: Float[np.ndarray, " n"],
    ) -> Int[np.ndarray, " n"]:
        """Word id drawn from each class, by a uniform number in [0, 1)."""
        cumulative, starts = self._words
        row = word_class * self.space.n_states + state
        found = np.searchsorted(cumulative, row + u, side="right")
        return found - starts[row] + self.first_word[word_class]


def _row(index: int, probabilities: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    cumulative = np.cumsum(probabilities)
    # Divided by its last entry, a row reaches one exactly at its last possible outcome.
    # A row without outcomes (its node cannot occur in its state) is never used.
    return index + (cumulative / cumulative[-1] if cumulative[-1] > 0 else np.ones_like(cumulative))


def _draw_chunk(
    tables: _Tables, document_words: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, "documents width"], Int[np.ndarray, "documents width"]]:
    space, n = tables.space, CHUNK_DOCUMENTS
    width = longest_document(document_words)
    words, states = (np.full((n, width), NO_WORD, dtype=np.int16) for _ in range(2))
    state, node = rng.integers(space.n_states, size=n), np.full(n, START_NODE)
    running: Bool[np.ndarray, " documents"] = np.ones(n, dtype=bool)
    for position in range(width):
        u = rng.random((2, n)) * BELOW_ONE
        redrawn = rng.integers(space.n_sentence_states, size=n)
        word_class = tables.next_class(node[running], state[running], u[0, running])
        words[running, position] = tables.next_word(word_class, state[running], u[1, running])
        states[running, position] = state[running]
        node[running] = word_class
        ended = running & (node == END_CLASS)
        node[ended] = START_NODE
        state[ended] += redrawn[ended] - state[ended] % space.n_sentence_states
        running &= ~(ended & (position + 1 >= document_words))
    return words, states
