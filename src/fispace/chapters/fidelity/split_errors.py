"""Errors of one condition over a whole split, which shuffled and covariance-matched errors need.

Must not: run the LM; activations are read from the store.
"""

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from fispace.chapters.fidelity.matched_errors import (
    ErrorMoments,
    cosine_matched_error,
    covariance_matched_error,
    error_moments,
    isotropic_error,
    shuffled_error,
)
from fispace.models.integrated import IntegratedModel
from fispace.seeds import random_cycle
from fispace.store.activations import ActivationStore
from fispace.store.standardiser import Standardiser
from fispace.study.config.fidelity import MatchedError
from fispace.study.config.parts import Part

OF_SPLIT: frozenset[MatchedError] = frozenset({"covariance_noise", "shuffled_error"})
"""Matched errors that are made from the errors of the whole split."""


class SplitErrors:
    """Errors x_hat - x of the split's non-special tokens in stored order, and a partner for each token.

    Memory: one float32 matrix [tokens d_model] per condition. The activations come from the store
    (float16 by default), so an error differs from the error of a forward pass by their rounding.
    """

    def __init__(self, errors: Tensor, generator: torch.Generator) -> None:
        """Draw the partners."""
        self.errors = errors
        self.partner = random_cycle(len(errors), generator)

    @cached_property
    def moments(self) -> ErrorMoments:
        """Mean and covariance of the errors."""
        return error_moments(self.errors)

    def of_partners(self, first: int, n_tokens: int) -> Tensor:
        """Errors of the partners of `n_tokens` tokens, starting at token `first`."""
        return self.errors[self.partner[first : first + n_tokens]]


@torch.no_grad()
def split_errors(
    model: IntegratedModel, units: Standardiser, store: ActivationStore, split: str,
    parts: Sequence[Part], generator: torch.Generator,
) -> SplitErrors:  # fmt: skip
    """The errors of the reconstruction by the given parts, in raw LM coordinates."""
    found: list[Tensor] = []
    for group in store.groups(split):
        x = torch.from_numpy(group).to(units.device)
        x_hat = units.restore(model(units.standardise(x), parts))
        found.append(x_hat - x)
    return SplitErrors(torch.cat(found), generator)


def matched_error(
    kind: MatchedError, x: Tensor, error: Tensor, of_split: SplitErrors | None, first: int,
    generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Matched error of one kind, with the norms of the given errors; `first` numbers the first token.

    Raises:
        ValueError: if it needs the split's errors and they are not given.
    """
    if kind == "epsilon_random":
        return isotropic_error(error, generator)
    if kind == "cosine_noise":
        return cosine_matched_error(x, error, generator)
    if of_split is None:
        raise ValueError(f"{kind} needs the errors of the whole split")
    if kind == "covariance_noise":
        return covariance_matched_error(error, of_split.moments, generator)
    return shuffled_error(error, of_split.of_partners(first, len(error)))
