"""The planted contrast in a table of word scores: what the grammar put in, seen in log-probabilities.

Must not: run a model, or know the grammar.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from fispace.chapters.factorial.design import Frame, by_cell
from fispace.chapters.factorial.stimuli import PLANTED_CONTRAST
from fispace.stats.two_by_two import interaction_contrasts
from fispace.study.config.factorial import FactorConfig


def has_planted_contrast(contexts: Frame, words: Frame, factors: Sequence[FactorConfig]) -> bool:
    """Whether the battery has planted words, and only contexts of a cell to see them in."""
    names = [factor.name for factor in factors]
    return PLANTED_CONTRAST in words and bool(
        contexts.reindex(columns=names).notna().all(axis=None)
    )


def among_words(
    scores: Float[np.ndarray, "*moves prompts words"],
) -> Float[np.ndarray, "*moves prompts words"]:
    """Log-probabilities given that a response word follows: the scale on which words are planted."""
    return scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True)


def word_contrasts(
    scores: Float[np.ndarray, "prompts words"], contexts: Frame, factors: Sequence[FactorConfig]
) -> Float[np.ndarray, "items words"]:
    """Each word's y11 - y10 - y01 + y00 over the cells of an item's contexts, in nats."""
    return interaction_contrasts(by_cell(contexts, scores, factors))


def planted_contrast(
    scores: Float[np.ndarray, "prompts words"], contexts: Frame, words: Frame,
    factors: Sequence[FactorConfig],
) -> Float[np.ndarray, " items"]:  # fmt: skip
    """Per item, the mean over words of contrast times the sign that was planted, in nats.

    The strength planted, the same for every word, if a model carried exactly what was planted; 0
    if it carried only main effects.
    """
    signs = planted_signs(words)
    return word_contrasts(among_words(scores), contexts, factors) @ signs / np.abs(signs).sum()


def planted_signs(words: Frame) -> Float[np.ndarray, " words"]:
    """Sign of each word's planted contrast."""
    return np.sign(words[PLANTED_CONTRAST].to_numpy(dtype=float))


def planted_reach(
    change: Float[np.ndarray, "prompts words"], contexts: Frame, words: Frame,
    factors: Sequence[FactorConfig],
) -> Float[np.ndarray, " items"]:  # fmt: skip
    """Per item, how far a change of the scores of this length could move the planted contrast, nats.

    |planted contrast of the change| is at most this, and equals it if the change is the planted
    pattern and nothing else; their squared quotient is the pattern's share of the change. What a
    context adds to all its words is no change among them.
    """
    among = change - change.mean(axis=1, keepdims=True)
    squares = np.square(by_cell(contexts, among, factors)).sum((1, 2, 3))
    return 2 * np.sqrt(squares / np.abs(planted_signs(words)).sum())
