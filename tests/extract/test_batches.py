"""Batches from the store: bounded memory, and an error that names every defect of a shard."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fispace.errors import ArtifactError, ArtifactMismatchError, NonFiniteError
from fispace.store.activations import ActivationStore
from fispace.store.files import sha256_of, write_json
from fispace.store.shards import activation_table


def write_store(
    folder: Path, n_rows: int, d_model: int, n_shards: int = 1, bad_row=None, special=False
) -> Path:
    """A store of one split, written without the checks of `write_shard`."""
    entries = []
    for number in range(n_shards):
        path = folder / f"train/shard-{number + 1}-of-{n_shards}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        x = np.random.default_rng(number).normal(size=(n_rows, d_model)).astype(np.float16)
        if bad_row is not None:
            x[bad_row, 1] = np.nan
        columns = {"document_id": np.arange(n_rows), "position": np.zeros(n_rows, np.int32),
                   "is_special": np.full(n_rows, special)}  # fmt: skip
        table = activation_table(x, columns, "float16")
        pq.write_table(table, path, row_group_size=4096, compression="none")
        entries.append({"file": path.name, "n_rows": n_rows, "n_special": n_rows if special else 0,
                        "sha256": sha256_of(path)})  # fmt: skip
    write_json(folder / "manifest.json", {"d_model": d_model, "shards": {"train": entries}})
    return folder / "manifest.json"


def first_batch(manifest: Path):
    return next(ActivationStore(manifest).shuffled_batches("train", 8, 2, (0, "order")))


def test_a_value_that_is_not_finite_is_named_with_shard_and_row(tmp_path):
    manifest = write_store(tmp_path, 5000, 4, bad_row=4100)
    with pytest.raises(NonFiniteError, match=r"shard-1-of-1\.parquet.*row group 1.*row 4"):
        list(ActivationStore(manifest).groups("train"))


@pytest.mark.parametrize("rows", [{"n_rows": 0}, {"n_rows": 50, "special": True}])
def test_a_split_without_tokens_is_an_error_and_not_an_endless_loop(tmp_path, rows):
    with pytest.raises(ArtifactError, match="no token to train on"):
        first_batch(write_store(tmp_path, d_model=4, **rows))


def test_an_empty_shard_is_named_with_what_was_expected(tmp_path):
    manifest = write_store(tmp_path, 100, 4, n_shards=2)
    path = tmp_path / "train/shard-1-of-2.parquet"
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(ArtifactError, match=r"shard-1-of-2.* holds 0 rows; .* says 100"):
        first_batch(manifest)


def test_a_shard_of_another_width_is_named(tmp_path):
    manifest = write_store(tmp_path, 100, 4)
    path = tmp_path / "train/shard-1-of-1.parquet"
    table = pq.read_table(path)
    wide = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(600, np.float16)), 6)
    pq.write_table(table.set_column(0, "activation", wide), path)
    with pytest.raises(ArtifactMismatchError, match=r"6 dimensions.*d_model=4"):
        first_batch(manifest)


READ_ALL = """
import resource, sys
from itertools import islice
import numpy as np, pyarrow.parquet
from fispace.store.activations import ActivationStore
from fispace.store.batches import prefetched
store = ActivationStore(__import__("pathlib").Path(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
total = 0.0
batches = store.shuffled_batches("train", 1024, 4, (0, "order"))
for batch in islice(prefetched(batches, 4), store.n_tokens("train") // 1024):
    total += float(batch.sum())
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_an_epoch_needs_memory_for_one_pool_and_not_for_all_data(tmp_path):
    # 200 MiB of activations, pools of 4 x 4096 x 128 numbers: 8 MiB as float32
    manifest = write_store(tmp_path, 200_000, 128, n_shards=4)
    n_bytes = sum(path.stat().st_size for path in tmp_path.glob("train/*"))
    assert n_bytes > 190 * 2**20
    run = [sys.executable, "-c", READ_ALL, str(manifest)]
    grown = int(subprocess.run(run, check=True, capture_output=True, text=True).stdout)
    assert grown < 90
