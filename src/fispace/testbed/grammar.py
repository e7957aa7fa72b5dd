"""The grammar: probabilities of words and classes in every state, and the grammar's JSON form.

Must not: sample, filter, or write files.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from fispace.errors import ArtifactError, ParamsError
from fispace.study.config.testbed import GrammarConfig
from fispace.testbed.lexicon import PlantedEffect, WordType, build_lexicon
from fispace.testbed.states import VARIABLES, StateSpace, variable_levels
from fispace.testbed.syntax import CLASSES, END, FOLLOWS, START

FACTORS = ("register", "affect")
"""The two factors of the factorial chapter's battery, in the order of its columns."""

START_NODE = len(CLASSES)
"""Row of `START` in the transition table; all other rows are word classes."""

END_CLASS = CLASSES.index(END)


@dataclass(frozen=True)
class PlantedWord:
    """A response word with its cell and its planted contrast.

    `contrast` is y11 - y10 - y01 + y00 of its log-probability in nats, at a position where a response word
    follows. Index 1 means casual for register and emotional for affect.
    """

    word: str
    register: str
    affect: str
    contrast: float


@dataclass(frozen=True)
class Grammar:
    """Lexicon and syntax over one state space; a word id is a position in `lexicon`."""

    config: GrammarConfig
    lexicon: tuple[WordType, ...]

    @cached_property
    def space(self) -> StateSpace:
        """The latent states."""
        return StateSpace(self.config.n_topics)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Spelling of every word id."""
        return tuple(word.text for word in self.lexicon)

    @cached_property
    def word_ids(self) -> dict[str, int]:
        """Word id of every spelling."""
        return {text: i for i, text in enumerate(self.texts)}

    @cached_property
    def word_classes(self) -> Int[np.ndarray, " words"]:
        """Class index of every word."""
        return np.array([CLASSES.index(word.word_class) for word in self.lexicon])

    @cached_property
    def log_emission(self) -> Float[np.ndarray, "words states"]:
        """Log p(word | its class, state) in nats: log-softmax of weight + effects over the class."""
        logits = np.array([[word.log_weight] for word in self.lexicon]) + np.stack(
            [
                sum((effect.by_state(self.space) for effect in word.effects), np.zeros(1))
                + np.zeros(self.space.n_states)
                for word in self.lexicon
            ]
        )
        for index in range(len(CLASSES)):
            own = self.word_classes == index
            logits[own] -= np.log(np.exp(logits[own]).sum(axis=0))
        return logits

    @cached_property
    def emission(self) -> Float[np.ndarray, "words states"]:
        """p(word | its class, state)."""
        return np.exp(self.log_emission)

    @cached_property
    def transition(self) -> Float[np.ndarray, "nodes classes states"]:
        """p(next class | node, state); all zero if the node cannot occur in the state."""
        table = np.zeros((len(CLASSES) + 1, len(CLASSES), self.space.n_states))
        names, levels = variable_levels(self.config.n_topics), self.space.levels()
        for arc in FOLLOWS:
            allowed = np.ones(self.space.n_states, dtype=bool)
            for variable, level in arc.when:
                allowed &= levels[VARIABLES.index(variable)] == names[variable].index(level)
            node = START_NODE if arc.after == START else CLASSES.index(arc.after)
            table[node, CLASSES.index(arc.then)] += arc.weight * allowed
        total = table.sum(axis=1, keepdims=True)
        return np.divide(table, total, out=table, where=total > 0)

    def governors(self, word_class: int) -> tuple[str, ...]:
        """Variables that affect the word probabilities of a class, in the order of `VARIABLES`."""
        found = {
            variable
            for word in self.lexicon
            if CLASSES.index(word.word_class) == word_class
            for effect in word.effects
            for variable, _ in effect.levels
        }
        return tuple(variable for variable in VARIABLES if variable in found)

    def planted_words(self) -> tuple[PlantedWord, ...]:
        """The response words with their cells and planted register x affect contrasts."""
        found: list[PlantedWord] = []
        for word in self.lexicon:
            if word.word_class == "response":
                cell = dict(pair for effect in word.effects for pair in effect.levels)
                contrast = sum(effect.contrast(FACTORS) for effect in word.effects)
                found.append(PlantedWord(word.text, cell["register"], cell["affect"], contrast))
        return tuple(found)


def build_grammar(config: GrammarConfig) -> Grammar:
    """The grammar described by the parameters; nothing is random."""
    return Grammar(config, build_lexicon(config))


def grammar_to_json(grammar: Grammar) -> dict[str, Any]:
    """The grammar as JSON: parameters, classes, arcs, lexicon with effects, and planted words."""
    return {
        "params": grammar.config.plain(),
        "variables": {k: list(v) for k, v in variable_levels(grammar.config.n_topics).items()},
        "classes": list(CLASSES),
        "arcs": [{**asdict(arc), "when": dict(arc.when)} for arc in FOLLOWS],
        "lexicon": [
            {
                "text": word.text,
                "class": word.word_class,
                "log_weight": word.log_weight,
                "effects": [
                    {"levels": dict(effect.levels), "strength": effect.strength}
                    for effect in word.effects
                ],
            }
            for word in grammar.lexicon
        ],
        "planted": [asdict(word) for word in grammar.planted_words()],
    }


def grammar_from_json(value: Any) -> Grammar:
    """The grammar that `grammar_to_json` wrote.

    Raises:
        ArtifactError: if the value is not a grammar, or has other word classes.
    """
    try:
        lexicon = tuple(_word_from_json(word) for word in value["lexicon"])
        grammar = Grammar(GrammarConfig.read(value["params"], "grammar"), lexicon)
        known = value["classes"] == list(CLASSES)
    except (KeyError, TypeError, AttributeError, ParamsError) as error:
        raise ArtifactError(f"The grammar file is damaged ({error!r}); make it again.") from None
    if not known:
        raise ArtifactError("The grammar file was written with other word classes; make it again.")
    return grammar


def _word_from_json(word: Any) -> WordType:
    effects = tuple(
        PlantedEffect(
            tuple((name, effect["levels"][name]) for name in VARIABLES if name in effect["levels"]),
            effect["strength"],
        )
        for effect in word["effects"]
    )
    return WordType(word["text"], word["class"], word["log_weight"], effects)
