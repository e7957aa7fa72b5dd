"""The latent state of a document: its variables, their levels, and their indices.

Must not: know words or syntax.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

DOCUMENT_VARIABLES = ("register", "affect", "topic")
SENTENCE_VARIABLES = ("number", "polarity")
VARIABLES = DOCUMENT_VARIABLES + SENTENCE_VARIABLES
NAMED_LEVELS = {
    "register": ("formal", "casual"),
    "affect": ("neutral", "emotional"),
    "number": ("singular", "plural"),
    "polarity": ("affirmative", "negated"),
}


def variable_levels(n_topics: int) -> dict[str, tuple[str, ...]]:
    """Names of the levels of every variable, in index order."""
    topics = tuple(f"topic{i}" for i in range(n_topics))
    return {name: NAMED_LEVELS.get(name, topics) for name in VARIABLES}


@dataclass(frozen=True)
class StateSpace:
    """All combinations of the variables' levels; sentence variables vary fastest.

    state = document_state * n_sentence_states + sentence_state. Document variables are drawn once,
    uniformly. Sentence variables are redrawn, uniformly, after every sentence end.
    """

    n_topics: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of levels of each variable, in the order of `VARIABLES`."""
        return tuple(len(levels) for levels in variable_levels(self.n_topics).values())

    @property
    def n_states(self) -> int:
        """Number of combinations."""
        return int(np.prod(self.sizes))

    @property
    def n_sentence_states(self) -> int:
        """Number of combinations of the sentence variables."""
        return int(np.prod(self.sizes[len(DOCUMENT_VARIABLES) :]))

    def levels(self) -> Int[np.ndarray, "variables states"]:
        """Level index of each variable in each state."""
        return np.stack(np.unravel_index(np.arange(self.n_states), self.sizes))

    def index(self, **levels: int) -> int:
        """State index of one level per variable, given by name."""
        return int(np.ravel_multi_index([levels[name] for name in VARIABLES], self.sizes))

    def after_sentence_end(
        self, belief: Float[np.ndarray, "*batch states"]
    ) -> Float[np.ndarray, "*batch states"]:
        """Distribution over states once the sentence variables are redrawn uniformly."""
        by_document = belief.reshape(
            *belief.shape[:-1], self.n_states // self.n_sentence_states, self.n_sentence_states
        )
        mean = by_document.mean(axis=-1, keepdims=True)
        return np.broadcast_to(mean, by_document.shape).reshape(belief.shape)
