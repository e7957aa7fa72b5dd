"""The order in which a training reads its rows: row groups in pools, each pool shuffled, without end.

Must not: know files; `read` gives the rows of a row group.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

import numpy as np

Read = Callable[[int], np.ndarray]


class Pools:
    """An epoch visits the row groups in random order, `pool_groups` of them together."""

    def __init__(self, n_groups: int, pool_groups: int, rng: np.random.Generator) -> None:
        """Equal random streams give equal pools."""
        self._rng = rng
        self._chosen = self._choose(n_groups, pool_groups)

    def following(self, rest: np.ndarray, read: Read) -> np.ndarray:
        """The next pool: what was left of the last one, and the rows of its groups, shuffled."""
        pool = np.concatenate([rest, *map(read, next(self._chosen))])
        return pool[self._rng.permutation(len(pool))]

    def after(
        self, n_batches: int, batch_rows: int, sizes: Sequence[int], read: Read
    ) -> np.ndarray:
        """What is left of the pool in which `n_batches` batches end, none being taken before.

        Only the rows that are left are read: the order depends on the groups' sizes alone.
        """
        starts = np.array([0, *accumulate(sizes)])
        rows, n_left = np.empty(0, np.int64), n_batches * batch_rows
        while n_left:
            rows = self.following(rows, lambda i: np.arange(starts[i], starts[i + 1]))
            n_gone = min(n_left, len(rows) // batch_rows * batch_rows)
            rows, n_left = rows[n_gone:], n_left - n_gone
        return _gather(rows, starts, read)

    def _choose(self, n_groups: int, pool_groups: int) -> Iterator[list[int]]:
        while True:
            order = self._rng.permutation(n_groups).tolist()
            for start in range(0, n_groups, pool_groups):
                yield order[start : start + pool_groups]


def _gather(rows: np.ndarray, starts: np.ndarray, read: Read) -> np.ndarray:
    """Rows by their number over all groups, in this order."""
    groups = np.searchsorted(starts, rows, side="right") - 1  # an empty group holds no row
    needed, which = np.unique(groups, return_inverse=True)
    blocks = [read(group) for group in needed.tolist()] or [read(0)[:0]]
    offsets = np.array([0, *accumulate(map(len, blocks))])
    return np.concatenate(blocks)[offsets[which] + rows - starts[groups]]
