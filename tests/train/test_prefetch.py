"""Prefetching only changes the time at which a batch is made."""

import threading
import time
from itertools import count, islice

import pytest

from fispace.store.batches import prefetched


def test_all_items_come_in_order():
    assert list(prefetched(range(100), 3)) == list(range(100))


def test_an_error_is_raised_at_the_item_that_caused_it():
    def items():
        yield 1
        raise ValueError("shard 7")

    reader = prefetched(items(), 2)
    assert next(reader) == 1
    with pytest.raises(ValueError, match="shard 7"):
        next(reader)


def test_no_more_than_depth_items_are_ready_ahead():
    made = []
    reader = prefetched((made.append(i) or i for i in count()), 3)
    next(reader)
    time.sleep(0.3)
    assert len(made) <= 1 + 3 + 1  # one read, three ready, and one waiting for a place
    reader.close()


def test_the_thread_ends_when_the_reader_stops():
    before = threading.active_count()
    reader = prefetched(count(), 2)
    assert list(islice(reader, 5)) == [0, 1, 2, 3, 4]
    reader.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() == before
