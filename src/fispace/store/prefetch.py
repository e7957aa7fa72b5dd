"""Batches made ready on a thread while the last one is used.

Must not: know what it prefetches.
"""

from collections.abc import Iterable, Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

Item = TypeVar("Item")

PATIENCE = 0.2
"""Seconds between looks at whether the reader has gone."""


def prefetched(items: Iterable[Item], depth: int) -> Iterator[Item]:
    """The same items in the same order, at most `depth` of them ready ahead of their use.

    What the items' iterator raises is raised here, at its place in the order. The thread ends with
    the items, or when the reader stops reading.
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
    """Let go of what was ready but is not read any more."""
    while True:
        try:
            ready.get_nowait()
        except Empty:
            return
