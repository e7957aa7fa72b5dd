"""The planted contrast, measured in a table of word log-probabilities.

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
    """Whether the battery has planted words, and every context belongs to a cell."""
    names = [factor.name for factor in factors]
    return PLANTED_CONTRAST in words and bool(
        contexts.reindex(columns=names).notna().all(axis=None)
    )


def among_words(
    scores: Float[np.ndarray, "*moves prompts words"],
) -> Float[np.ndarray, "*moves prompts words"]:
    """Log-probabilities given that a response word follows: the scale of the planted contrasts."""
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
    """Per item, the mean over words of the contrast times its planted sign, in nats.

    A model that carries exactly what was planted has the planted strength, which is the same for every
    word. A model with main effects only has 0.
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
    """Per item, the largest |change of the planted contrast| for a change of scores this large, in nats.

    The two are equal if the change is exactly the planted pattern. Their squared quotient is the pattern's
    share of the change. A shift common to all words of a context does not count.
    """
    among = change - change.mean(axis=1, keepdims=True)
    squares = np.square(by_cell(contexts, among, factors)).sum((1, 2, 3))
    return 2 * np.sqrt(squares / np.abs(planted_signs(words)).sum())
