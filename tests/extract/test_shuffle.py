"""Batches from the middle equal those of the whole sequence, for every combination of sizes."""

from itertools import islice

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fispace.store.activations import ActivationStore
from fispace.store.batches import Pools
from fispace.store.files import sha256_of, write_json
from fispace.store.shards import activation_table, write_shard

SIZES = st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any)


@settings(deadline=None)  # time is not part of the property
@given(sizes=SIZES, pool_groups=st.integers(1, 4), batch=st.integers(1, 12), n=st.integers(1, 20))
def test_the_remainder_after_n_batches_follows_them_in_the_whole_sequence(
    sizes, pool_groups, batch, n
):
    starts = np.cumsum([0, *sizes])

    def read(group):
        return np.arange(starts[group], starts[group + 1]) * 10

    whole, skipped = (Pools(len(sizes), pool_groups, np.random.default_rng(3)) for _ in range(2))
    rows, n_gone = np.empty(0, np.int64), 0
    while n_gone < n * batch:
        rows = whole.following(rows, read)
        gone = min(n * batch - n_gone, len(rows) // batch * batch)
        rows, n_gone = rows[gone:], n_gone + gone
    left = skipped.after(n, batch, sizes, read)
    assert left.tolist() == rows.tolist()
    assert whole.following(rows, read).tolist() == skipped.following(left, read).tolist()


def test_batches_from_a_given_number_are_the_same_and_read_only_their_own_rows(
    tmp_path, monkeypatch
):
    entries = []
    for number in range(2):
        x = np.random.default_rng(number).normal(size=(700, 3)).astype(np.float32)
        is_special = (np.arange(700) % 7 == 0) | (np.arange(700) < 64 * number)
        columns = {"document_id": np.arange(700), "position": np.zeros(700, np.int32),
                   "is_special": is_special}  # fmt: skip
        path = tmp_path / f"train/shard-{number + 1}-of-2.parquet"
        write_shard(path, activation_table(x, columns, "float32"), 64, {})
        entries.append({"file": path.name, "n_rows": 700, "n_special": int(is_special.sum()),
                        "sha256": sha256_of(path)})  # fmt: skip
    write_json(tmp_path / "manifest.json", {"d_model": 3, "shards": {"train": entries}})
    store, arguments = ActivationStore(tmp_path / "manifest.json"), ("train", 50, 3, (0, "order"))
    every = list(islice(store.shuffled_batches(*arguments), 80))
    for start in (1, 2, 3, 22, 23, 24, 47, 79):
        some = list(islice(store.shuffled_batches(*arguments, start), 80 - start))
        assert all(np.array_equal(a, b) for a, b in zip(some, every[start:], strict=True))
    read, real = [], ActivationStore._read_group
    monkeypatch.setattr(
        ActivationStore, "_read_group", lambda *given: read.append(given) or real(*given)
    )
    next(store.shuffled_batches(*arguments, 10_000))
    # after hundreds of epochs of 22 groups: the groups of a pool, its remainder, and the next pool
    assert len(read) <= 9
