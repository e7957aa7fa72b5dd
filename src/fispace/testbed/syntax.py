"""The syntax: word classes, and the transitions between them, given the sentence's state.

Every word belongs to one class, so the text determines the automaton's node: the class of the last word.
No class occurs twice in a sentence, so no sentence is longer than the longest path.
Nothing here depends on register, affect or topic: a sequence of classes has the same probability in all
of them. Must not: know words.
"""

from dataclasses import dataclass
from functools import cache

START = "start"
"""Node before the first word of a sentence; holds no words."""

END = "end"
"""Class of the words that end a sentence."""


@dataclass(frozen=True)
class Follow:
    """One arc: `weight` of class `then` after class `after`, in states with the levels `when`.

    In each state, the weights of the allowed arcs are normalised to sum to one.
    """

    after: str
    then: str
    weight: float
    when: tuple[tuple[str, str], ...]


ALWAYS = ()
SINGULAR, PLURAL = (("number", "singular"),), (("number", "plural"),)
AFFIRMATIVE, NEGATED = (("polarity", "affirmative"),), (("polarity", "negated"),)


def _noun_phrase(after: str, share: float) -> tuple[Follow, ...]:
    return (
        Follow(after, "article", share * 0.3, ALWAYS),
        Follow(after, "determiner_singular", share * 0.7, SINGULAR),
        Follow(after, "determiner_plural", share * 0.7, PLURAL),
    )


def _before_noun(after: str, adjective: float) -> tuple[Follow, ...]:
    return (
        Follow(after, "noun_singular", 1 - adjective, SINGULAR),
        Follow(after, "noun_plural", 1 - adjective, PLURAL),
        *((Follow(after, "adjective", adjective, ALWAYS),) if adjective else ()),
    )


def _after_verb(after: str) -> tuple[Follow, ...]:
    return (
        Follow(after, "object", 0.55, ALWAYS),
        Follow(after, "adverb", 0.3, ALWAYS),
        Follow(after, "preposition", 0.15, ALWAYS),
    )


FOLLOWS: tuple[Follow, ...] = (
    Follow(START, "response", 0.75, ALWAYS),
    *_noun_phrase(START, 0.25),
    *_noun_phrase("response", 1.0),
    *_before_noun("article", 0.6),
    *_before_noun("determiner_singular", 0.6),
    *_before_noun("determiner_plural", 0.6),
    *_before_noun("adjective", 0.0),
    Follow("noun_singular", "verb_singular", 1.0, (*SINGULAR, *AFFIRMATIVE)),
    Follow("noun_plural", "verb_plural", 1.0, (*PLURAL, *AFFIRMATIVE)),
    Follow("noun_singular", "negation", 1.0, NEGATED),
    Follow("noun_plural", "negation", 1.0, NEGATED),
    Follow("negation", "verb_singular", 1.0, SINGULAR),
    Follow("negation", "verb_plural", 1.0, PLURAL),
    *_after_verb("verb_singular"),
    *_after_verb("verb_plural"),
    Follow("object", "adverb", 0.5, ALWAYS),
    Follow("object", "preposition", 0.25, ALWAYS),
    Follow("object", END, 0.25, ALWAYS),
    Follow("adverb", "preposition", 0.5, ALWAYS),
    Follow("adverb", END, 0.5, ALWAYS),
    Follow("preposition", "place", 1.0, ALWAYS),
    Follow("place", END, 1.0, ALWAYS),
)

CLASSES: tuple[str, ...] = tuple(dict.fromkeys(arc.then for arc in FOLLOWS))
"""Word classes in a fixed order: a class label is an index into this tuple."""


@cache
def longest_sentence(node: str = START) -> int:
    """Number of words on the longest path from a node to `END`, including the end word."""
    if node == END:
        return 0
    return 1 + max(longest_sentence(arc.then) for arc in FOLLOWS if arc.after == node)
