"""The exceptions of the package; every message is one paragraph that tells a user what to do.

Must not: format tracebacks, log, or exit; the command line does so.
"""

from collections.abc import Iterator
from contextlib import contextmanager

MOST_CHARACTERS, KEPT_AT_END = 3000, 400


class FispaceError(Exception):
    """Base of every error that a user can cause; the command line prints it without a traceback."""

    def __str__(self) -> str:
        """The message as one paragraph, shortened if it quotes a long input."""
        text = " ".join(super().__str__().split())
        if len(text) <= MOST_CHARACTERS:
            return text
        return f"{text[: MOST_CHARACTERS - KEPT_AT_END]} [...] {text[-KEPT_AT_END:]}"


class ParamsError(FispaceError):
    """A parameter is unknown, missing, duplicated, of the wrong type, or out of range."""


class CorpusError(FispaceError):
    """A text source is missing, unreadable, empty, or too short for the study."""


class ModelError(FispaceError):
    """A language model or its tokenizer cannot be loaded from where the parameters say."""


class HookPointError(FispaceError):
    """The hook point does not exist in the model; the message lists those that do."""


class NonFiniteError(FispaceError):
    """NaN or infinity where a finite number is required; the message says where."""


class ArtifactError(FispaceError):
    """A stored file is missing, truncated, altered, or not of the format that its name says."""


class ArtifactMismatchError(ArtifactError):
    """A stored file was made with another configuration than the present one."""


class DivergedError(FispaceError):
    """A training produced a non-finite loss; the message gives arm, seed and step."""


class RefitError(FispaceError):
    """Magnitudes refitted to the activations do not meet the conditions of the optimum."""


@contextmanager
def named_divergence(training: str) -> Iterator[None]:
    """Prefix the message of a `DivergedError` raised inside the block with the training's name."""
    try:
        yield
    except DivergedError as error:
        raise DivergedError(f"{training}: {error}") from None


class StimuliError(FispaceError):
    """A stimulus battery breaks a rule of its format; the message names file, row and rule."""


class ClaimsError(FispaceError):
    """The claims ledger is malformed or refers to a quantity that is in no table."""
