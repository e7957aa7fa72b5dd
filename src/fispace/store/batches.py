"""The order in which a training reads its rows, and batches made ready on a thread ahead of their use.

Must not: know files.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

import numpy as np

ReadGroup = Callable[[int], np.ndarray]
"""Rows of a row group by its number."""
Item = TypeVar("Item")

PATIENCE = 0.2
"""Seconds between checks whether the reader has stopped."""


class Pools:
    """Row groups in endless epochs: in random order, `pool_groups` at a time, each pool shuffled."""

    def __init__(self, n_groups: int, pool_groups: int, rng: np.random.Generator) -> None:
        """Start the first epoch; equal random streams give equal pools."""
        self._rng = rng
        self._chosen = self._choose(n_groups, pool_groups)

    def following(self, rest: np.ndarray, read: ReadGroup) -> np.ndarray:
        """The next pool: the rest of the last one and the rows of the next groups, shuffled."""
        pool = np.concatenate([rest, *map(read, next(self._chosen))])
        return pool[self._rng.permutation(len(pool))]

    def after(
        self, n_batches: int, batch_rows: int, sizes: Sequence[int], read: ReadGroup
    ) -> np.ndarray:
        """Rest of the pool in which the first `n_batches` batches end.

        Only these rows are read, because the order depends only on the groups' sizes.
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


def _gather(rows: np.ndarray, starts: np.ndarray, read: ReadGroup) -> np.ndarray:
    """The rows with these numbers, counted over all groups, in the order given."""
    groups = np.searchsorted(starts, rows, side="right") - 1  # an empty group holds no row
    needed, which = np.unique(groups, return_inverse=True)
    blocks = [read(group) for group in needed.tolist()] or [read(0)[:0]]
    offsets = np.array([0, *accumulate(map(len, blocks))])
    return np.concatenate(blocks)[offsets[which] + rows - starts[groups]]


def prefetched(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """The same items in the same order, with at most `depth` of them ready ahead of their use.

    An error of the items' iterator is raised here, at its place in the order. The thread ends with the
    items, or when the reader stops reading.
    """
    ready: Queue[tuple[str, Any]] = Queue(depth)
    is_abandoned = Event()
    Thread(target=_fill, args=(items, ready, is_abandoned), daemon=True).start()
    try:
        while True:
            kind, item = ready.get()
            if kind == "end":
                return
            if kind == "error":
                raise item
            yield item
    finally:
        is_abandoned.set()
        _drain(ready)


def _fill(items: Iterable[Any], ready: Queue[tuple[str, Any]], is_abandoned: Event) -> None:
    try:
        for item in items:
            if not _put(ready, ("item", item), is_abandoned):
                return
        _put(ready, ("end", None), is_abandoned)
    except BaseException as error:
        _put(ready, ("error", error), is_abandoned)


def _put(ready: Queue[tuple[str, Any]], entry: tuple[str, Any], is_abandoned: Event) -> bool:
    while not is_abandoned.is_set():
        try:
            ready.put(entry, timeout=PATIENCE)
        except Full:
            continue
        return True
    return False


def _drain(ready: Queue[tuple[str, Any]]) -> None:
    """Drop the items that are ready but will not be read."""
    while True:
        try:
            ready.get_nowait()
        except Empty:
            return
