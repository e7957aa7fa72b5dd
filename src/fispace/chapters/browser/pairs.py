"""Pairs of latents in the interaction part: their weights, and how often both are active.

Must not: read a file, or test a pair.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from fispace.chapters.browser.firing import Largest
from fispace.models.integrated import IntegratedModel
from fispace.models.pair_scores import all_pairs, factor_scores
from fispace.models.sparse import Codes
from fispace.study.config.browser import ShownPairs


class ShownPair(NamedTuple):
    """Two latents i < j of the interaction part."""

    first: int
    second: int
    weight: float
    """`factor_scores` of the pair, in standardised units of the output."""


def strongest_pairs(
    model: IntegratedModel, codes: Codes, mean: Float[np.ndarray, " n_latents"], params: ShownPairs
) -> list[ShownPair]:
    """The pairs with the largest weight among the latents with the largest |v_i| times mean activation.

    None if the arm has no interaction part, or its pooling gives pairs no weight.
    """
    if "interaction" not in model.parts or model.interaction.no_pair_weights is not None:
        return []
    size = model.interaction.V.detach().double().norm(dim=1).cpu().numpy() * mean
    searched = np.argsort(-size, kind="stable")[: params.pair_latents]
    searched = np.sort(searched[size[searched] > 0])
    if len(searched) < 2 or not params.pairs:
        return []
    pairs = all_pairs(searched)
    weights = factor_scores(model, codes, pairs)
    chosen = np.argsort(-weights, kind="stable")[: params.pairs]
    return [ShownPair(int(pairs.first[i]), int(pairs.second[i]), float(weights[i])) for i in chosen]


class PairCounts:
    """How often both latents of each pair are active, and the windows in which both are most active."""

    def __init__(self, pairs: list[ShownPair], n_latents: int, n_contexts: int) -> None:
        """Nothing seen yet."""
        self.latents = np.unique([[pair.first, pair.second] for pair in pairs])
        place = np.full(n_latents, -1)
        place[self.latents] = np.arange(len(self.latents))
        self._place = torch.from_numpy(place)
        self._first, self._second = (
            place[[getattr(pair, side) for pair in pairs]] for side in ("first", "second")
        )
        self.together = np.zeros(len(pairs), np.int64)
        self.top = Largest(len(pairs), n_contexts)

    def add(self, codes: Codes, first: int, windows: Int[np.ndarray, " tokens"]) -> None:
        """Add the codes of whole windows, whose first token has the number `first`."""
        where = self._place[codes.indices]
        dense = torch.zeros(len(codes.values), len(self.latents) + 1, dtype=torch.float64)
        where = torch.where(where >= 0, where, len(self.latents))  # the last column is of no latent
        values = dense.scatter(1, where, codes.values.double()).cpu().numpy()
        for number, (i, j) in enumerate(zip(self._first, self._second, strict=True)):
            product = values[:, i] * values[:, j]
            tokens = np.flatnonzero(product)
            self.together[number] += len(tokens)
            strongest = _strongest_in_window(product[tokens], windows[tokens])
            own = product[tokens][strongest]
            owners = np.full(len(own), number)
            self.top.update(owners, own, first + tokens[strongest], own)


def _strongest_in_window(
    values: Float[np.ndarray, " entries"], windows: Int[np.ndarray, " entries"]
) -> Int[np.ndarray, " some"]:
    """For every window the entry with the largest value; of equal ones the first. Windows ascend."""
    order = np.lexsort((np.arange(len(values)), -values, windows))
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = windows[order][1:] != windows[order][:-1]
    return order[is_first]
