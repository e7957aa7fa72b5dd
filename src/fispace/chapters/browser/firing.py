"""When latents are active: counts, the tokens that are shown, and activations around them.

Must not: read a file, or know what is done with the tokens. Memory is a fixed number of tokens per latent,
whatever the length of the text.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from fispace.models.sparse import Codes

Entries = Int[np.ndarray, " entries"]


class Active(NamedTuple):
    """The positive entries of a batch's codes."""

    tokens: Entries
    """Number of the token in the split."""
    latents: Entries
    values: Float[np.ndarray, " entries"]


def active_of(codes: Codes, first: int) -> Active:
    """The positive entries of the codes of the tokens from number `first`."""
    values = codes.values.double().cpu().numpy()
    tokens, places = np.nonzero(values > 0)
    return Active(
        first + tokens, codes.indices.cpu().numpy()[tokens, places], values[tokens, places]
    )


class Largest:
    """For each owner the `size` entries with the largest keys; of equal keys the first are kept."""

    def __init__(self, n_owners: int, size: int) -> None:
        """No entry yet."""
        self.size = size
        self.keys = np.full((n_owners, size), -np.inf)
        self.tokens = np.full((n_owners, size), -1)
        """Token of each kept entry; -1 where there are fewer."""
        self.values = np.zeros((n_owners, size))

    def update(
        self, owners: Entries, keys: Float[np.ndarray, " entries"], tokens: Entries,
        values: Float[np.ndarray, " entries"],
    ) -> None:  # fmt: skip
        """Add entries; tokens must not be smaller than those of earlier calls."""
        order = np.lexsort((tokens, -keys, owners))
        owners, keys, tokens, values = (column[order] for column in (owners, keys, tokens, values))
        changed, starts, groups = np.unique(owners, return_index=True, return_inverse=True)
        ranks = np.arange(len(owners)) - starts[groups]
        kept = ranks < self.size
        place = (groups[kept], self.size + ranks[kept])
        wide = np.full((len(changed), 2 * self.size), -np.inf)
        wide[:, : self.size] = self.keys[changed]
        wide[place] = keys[kept]
        best = np.argsort(-wide, axis=1, kind="stable")[:, : self.size]
        self.keys[changed] = np.take_along_axis(wide, best, axis=1)
        for name, column in (("tokens", tokens), ("values", values)):
            old = getattr(self, name)
            both = np.full((len(changed), 2 * self.size), -1, dtype=old.dtype)
            both[:, : self.size] = old[changed]
            both[place] = column[kept]
            old[changed] = np.take_along_axis(both, best, axis=1)


class Counts:
    """Firing of every latent over the text, its strongest windows, and a sample of its active tokens."""

    def __init__(self, n_latents: int, n_top: int, n_sampled: int, salt: int) -> None:
        """Nothing seen yet; `salt` decides which tokens are sampled."""
        self.fired = np.zeros(n_latents, np.int64)
        self.total, self.peak = np.zeros(n_latents), np.zeros(n_latents)
        self.top, self.sample = Largest(n_latents, n_top), Largest(n_latents, n_sampled)
        self._salt = np.uint64(salt)

    def add(self, active: Active, windows: Entries) -> None:
        """Add the entries of whole windows; `windows` is the window of each entry."""
        n = len(self.fired)
        self.fired += np.bincount(active.latents, minlength=n)
        self.total += np.bincount(active.latents, weights=active.values, minlength=n)
        strongest = strongest_of(active, windows)
        np.maximum.at(self.peak, active.latents[strongest], active.values[strongest])
        values = active.values[strongest]
        self.top.update(active.latents[strongest], values, active.tokens[strongest], values)
        keys = -_mixed(active.tokens, active.latents, self._salt)
        self.sample.update(active.latents, keys, active.tokens, active.values)

    @property
    def mean(self) -> Float[np.ndarray, " n_latents"]:
        """Mean activation over the tokens on which a latent is active; 0 if there are none."""
        return self.total / np.maximum(self.fired, 1)

    def at_quantile(self, latent: int, share: float) -> int | None:
        """The sampled token at a quantile of the latent's non-zero activations; None if it was never active."""
        tokens = self.sample.tokens[latent]
        values = self.sample.values[latent][tokens >= 0]
        if not len(values):
            return None
        order = np.lexsort((tokens[tokens >= 0], values))
        return int(tokens[tokens >= 0][order[round(share * (len(order) - 1))]])


def strongest_of(active: Active, windows: Entries) -> Int[np.ndarray, " some"]:
    """For every latent and window the entry with the largest value; of equal ones the first."""
    order = np.lexsort((active.tokens, -active.values, windows, active.latents))
    latents, own = active.latents[order], windows[order]
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = (latents[1:] != latents[:-1]) | (own[1:] != own[:-1])
    return order[is_first]


def _mixed(tokens: Entries, latents: Entries, salt: np.uint64) -> Float[np.ndarray, " entries"]:
    """Numbers in [0, 1) that look random and depend on token, latent and salt alone (splitmix64)."""
    mixed = tokens.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed += latents.astype(np.uint64) * np.uint64(0xD1B54A32D192ED03) + salt
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53


def add_histogram(
    counts: Int[np.ndarray, "n_latents bins"], active: Active, peak: Float[np.ndarray, " n_latents"]
) -> None:
    """Count every entry in the bin of its value; the bins of a latent divide [0, peak] evenly."""
    n_latents, n_bins = counts.shape
    scaled = active.values / peak[active.latents] * n_bins
    places = np.minimum(scaled.astype(np.int64), n_bins - 1)
    flat = np.bincount(active.latents * n_bins + places, minlength=n_latents * n_bins)
    counts += flat.reshape(n_latents, n_bins)


def activations_at(
    codes: Codes, first: int, latents: Entries, tokens: Int[np.ndarray, "entries width"]
) -> Float[np.ndarray, "entries width"]:
    """Activation of each entry's latent on some tokens; 0 where the token's number is -1.

    All tokens must be among those of the codes, whose first has the number `first`.
    """
    indices, values = codes.indices.cpu().numpy(), codes.values.double().cpu().numpy()
    is_token: Bool[np.ndarray, "entries width"] = tokens >= 0
    places = np.where(is_token, tokens - first, 0)
    own = (indices[places] == latents[:, None, None]) & is_token[:, :, None]
    return np.where(own, values[places], 0.0).sum(axis=2)
