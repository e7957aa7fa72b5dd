"""Three passes over the split: which tokens are shown, how often, and the activations around them.

Must not: read a table, or write a file. Each pass holds one row group of activations and its codes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int

from fispace.chapters.browser.firing import (
    Counts,
    activations_at,
    active_of,
    add_histogram,
)
from fispace.chapters.browser.pairs import PairCounts, ShownPair, strongest_pairs
from fispace.models.integrated import IntegratedModel
from fispace.models.sparse import Codes
from fispace.seeds import numpy_stream
from fispace.store.activations import ActivationStore
from fispace.store.split_text import SplitText, whole_windows
from fispace.store.standardiser import Standardiser
from fispace.study.config.browser import BrowserStep

CHUNK = 20_000
"""Spans whose activations are computed at once."""


@dataclass(frozen=True)
class Source:
    """Where the codes come from."""

    store: ActivationStore
    units: Standardiser
    model: IntegratedModel
    text: SplitText

    @torch.no_grad()
    def codes(self) -> Iterator[tuple[int, Codes]]:
        """Codes of some whole windows at a time, with the number of their first token."""
        for first, rows in whole_windows(self.store, self.text):
            z = self.units.standardise(torch.from_numpy(rows))
            yield first, self.model.sae.encode(z)

    def windows_of(self, first: int, n_tokens: int) -> Int[np.ndarray, " tokens"]:
        """Window of each token."""
        return self.text.windows[self.text.rows[first : first + n_tokens]]


@dataclass(frozen=True)
class Shown:
    """What the first two passes found."""

    counts: Counts
    histogram: Int[np.ndarray, "n_latents bins"]
    pairs: list[ShownPair]
    of_pairs: PairCounts | None


def count(source: Source, params: BrowserStep, arm: str, seed: int) -> Shown:
    """First pass: counts and tokens to show. Second: histograms, and pairs."""
    n_latents = source.model.config.n_latents
    stream = numpy_stream(params.root_seed, "browser", "contexts", arm, seed)
    salt = int(stream.integers(2**63))
    counts = Counts(n_latents, params.top_contexts, params.sampled_tokens, salt)
    kept: list[Codes] = []
    for first, codes in source.codes():
        active = active_of(codes, first)
        counts.add(active, source.text.windows[source.text.rows[active.tokens]])
        if first < params.pair_tokens:
            kept.append(codes[: params.pair_tokens - first])
    pairs = strongest_pairs(source.model, _joined(kept), counts.mean, params)
    of_pairs = PairCounts(pairs, n_latents, params.pair_contexts) if pairs else None
    histogram = np.zeros((n_latents, params.histogram_bins), np.int64)
    for first, codes in source.codes():
        add_histogram(histogram, active_of(codes, first), counts.peak)
        if of_pairs is not None:
            of_pairs.add(codes, first, source.windows_of(first, len(codes.values)))
    return Shown(counts, histogram, pairs, of_pairs)


def _joined(kept: list[Codes]) -> Codes:
    return Codes(torch.cat([c.values for c in kept]), torch.cat([c.indices for c in kept]))


@dataclass
class Spans:
    """Tokens that are shown, each with its neighbours and a latent whose activations are wanted.

    They are added first; `fill` then reads their activations in one pass.
    """

    text: SplitText
    before: int
    after: int
    latents: list[int] = field(default_factory=list[int])
    tokens: list[int] = field(default_factory=list[int])
    values: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))
    """Activations from `before` rows before the token to `after` rows after it; 0 outside the window."""

    def add(self, latent: int, token: int) -> int:
        """Number of the new span."""
        self.latents.append(latent)
        self.tokens.append(token)
        return len(self.tokens) - 1

    def bounds(self, number: int) -> tuple[int, int, int, int]:
        """Window, first position, end position, and position of the token in the window."""
        row = int(self.text.rows[self.tokens[number]])
        window = int(self.text.windows[row])
        whole = self.text.window(window)
        begin, end = max(whole.start, row - self.before), min(whole.stop, row + self.after + 1)
        return window, begin - whole.start, end - whole.start, row - whole.start

    def shown(self, number: int) -> Float[np.ndarray, " positions"]:
        """Activations from the first position to the end."""
        _, begin, end, position = self.bounds(number)
        offset = self.before - position
        return self.values[number, begin + offset : end + offset]

    def fill(self, source: Source) -> None:
        """Read the activations of all spans."""
        text, width = self.text, self.before + 1 + self.after
        self.values = np.zeros((len(self.tokens), width), np.float32)
        tokens, latents = np.array(self.tokens, np.int64), np.array(self.latents, np.int64)
        order = np.argsort(tokens, kind="stable")
        offsets = np.arange(-self.before, self.after + 1)
        for first, codes in source.codes():
            ends = np.searchsorted(tokens[order], [first, first + len(codes.values)])
            for begin in range(int(ends[0]), int(ends[1]), CHUNK):
                chosen = order[begin : min(begin + CHUNK, int(ends[1]))]
                rows = text.rows[tokens[chosen]]
                near = rows[:, None] + offsets
                inside = (near >= 0) & (near < len(text.windows))
                near = np.where(inside, near, 0)
                inside &= text.windows[near] == text.windows[rows][:, None]
                wanted = np.where(inside, text.tokens[near], -1)
                self.values[chosen] = activations_at(codes, first, latents[chosen], wanted)
