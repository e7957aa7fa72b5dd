"""The lexicon: every word type with its class, base frequency and planted effects.

Must not: draw anything or normalise probabilities.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fispace.study.config.testbed import GrammarConfig
from fispace.testbed import words as spelling
from fispace.testbed.states import NAMED_LEVELS, VARIABLES, StateSpace, variable_levels
from fispace.testbed.syntax import CLASSES


@dataclass(frozen=True)
class PlantedEffect:
    """A planted effect on a word's log-odds within its class.

    effect(state) = strength * product over `levels` (v, l) of (1[state_v = l] - 1 / n_levels_v).
    With one variable, the effect at its own level minus that at any other level is `strength`. With two
    binary variables the effect is +-strength/4, so y11 - y10 - y01 + y00 = +-strength, which is positive if
    both levels have the same index. Each factor of the product sums to zero over its variable, so effects
    of different sets of variables are orthogonal.
    """

    levels: tuple[tuple[str, str], ...]
    strength: float

    def by_state(self, space: StateSpace) -> Float[np.ndarray, " states"]:
        """Effect in every state, in nats."""
        names, value = variable_levels(space.n_topics), np.full(space.n_states, self.strength)
        indices = space.levels()
        for variable, level in self.levels:
            own = indices[VARIABLES.index(variable)] == names[variable].index(level)
            value = value * (own - 1 / len(names[variable]))
        return value

    def contrast(self, factors: tuple[str, str]) -> float:
        """Contribution to y11 - y10 - y01 + y00 over two binary variables, in nats."""
        if {variable for variable, _ in self.levels} != set(factors):
            return 0.0
        signs = [1 if NAMED_LEVELS[v].index(level) else -1 for v, level in self.levels]
        return self.strength * signs[0] * signs[1]


@dataclass(frozen=True)
class WordType:
    """One word: spelling, class, base log-weight within the class (nats, unnormalised), effects."""

    text: str
    word_class: str
    log_weight: float
    effects: tuple[PlantedEffect, ...]


def build_lexicon(config: GrammarConfig) -> tuple[WordType, ...]:
    """All word types, ordered by class.

    Within a class, words come in sets of equal base weight, with one word for each level (or cell) on
    which the class depends. The normaliser of a class is therefore the same in every state, and a planted
    effect on the log-odds is exactly an effect on the log-probability.
    """
    maker = spelling.WordMaker()
    found = [
        *_response_words(config),
        *_function_words(config),
        *_topical_words(config, maker),
        *_modifiers(config, maker),
    ]
    return tuple(sorted(found, key=lambda word: CLASSES.index(word.word_class)))


def _ranked(
    texts: Sequence[str], word_class: str, effects: tuple[PlantedEffect, ...], config: GrammarConfig
) -> Iterator[WordType]:
    for rank, text in enumerate(texts, start=1):
        log_weight = config.zipf_exponent * float(np.log(1 / rank))
        yield WordType(text, word_class, log_weight, tuple(e for e in effects if e.strength))


def _cell_effects(
    cell: dict[str, str], additive: float, conjunction: float
) -> tuple[PlantedEffect, ...]:
    pairs = tuple(cell.items())
    return (
        *(PlantedEffect((pair,), additive) for pair in pairs),
        PlantedEffect(pairs, conjunction),
    )


def _response_words(config: GrammarConfig) -> Iterator[WordType]:
    for (register, affect), texts in spelling.RESPONSES.items():
        cell = {"register": register, "affect": affect}
        effects = _cell_effects(cell, config.additive_strength, config.conjunction_strength)
        yield from _ranked(texts.split(), "response", effects, config)


def _function_words(config: GrammarConfig) -> Iterator[WordType]:
    for (register, affect), text in spelling.ENDS.items():
        cell = {"register": register, "affect": affect}
        yield from _ranked(
            [text], "end", _cell_effects(cell, config.additive_strength, 0.0), config
        )
    for word_class, lists in (
        ("negation", spelling.NEGATIONS),
        ("preposition", spelling.PREPOSITIONS),
    ):
        for register, texts in lists.items():
            effect = PlantedEffect((("register", register),), config.additive_strength)
            yield from _ranked(texts.split(), word_class, (effect,), config)
    yield from _ranked(spelling.ARTICLES.split(), "article", (), config)
    for number, texts in spelling.DETERMINERS.items():
        yield from _ranked(texts.split(), f"determiner_{number}", (), config)


def _topical_words(config: GrammarConfig, maker: spelling.WordMaker) -> Iterator[WordType]:
    lexicon = config.lexicon
    for topic in variable_levels(config.n_topics)["topic"]:
        effects = (PlantedEffect((("topic", topic),), config.topic_strength),)
        nouns = maker.make("noun", lexicon.nouns_per_topic)
        verbs = maker.make("verb", lexicon.verbs_per_topic)
        yield from _ranked(nouns, "noun_singular", effects, config)
        yield from _ranked([noun + "s" for noun in nouns], "noun_plural", effects, config)
        yield from _ranked([verb + "s" for verb in verbs], "verb_singular", effects, config)
        yield from _ranked(verbs, "verb_plural", effects, config)
        objects = maker.make("object", lexicon.objects_per_topic)
        yield from _ranked(objects, "object", effects, config)
        yield from _ranked(maker.make("place", lexicon.places_per_topic), "place", effects, config)


def _modifiers(config: GrammarConfig, maker: spelling.WordMaker) -> Iterator[WordType]:
    for kind, factors, conjunction, n_words in (
        (
            "adjective",
            ("register", "affect"),
            config.conjunction_strength,
            config.lexicon.adjectives_per_cell,
        ),
        (
            "adverb",
            ("affect", "polarity"),
            config.polarity_conjunction_strength,
            config.lexicon.adverbs_per_cell,
        ),
    ):
        for first in NAMED_LEVELS[factors[0]]:
            for second in NAMED_LEVELS[factors[1]]:
                cell = {factors[0]: first, factors[1]: second}
                effects = _cell_effects(cell, config.additive_strength, conjunction)
                yield from _ranked(maker.make(kind, n_words), kind, effects, config)
