"""Files are whole or absent, deterministic, and refuse what they cannot be."""

import errno
import json
import os
import re
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from fispace.errors import ArtifactError
from fispace.store.columns import INTEGER, NUMBER, TEXT, Table
from fispace.store.documents import read_documents
from fispace.store.files import (
    alone_in,
    atomic_path,
    canonical_json,
    fingerprint,
    read_json,
    sha256_of,
    write_json,
)
from fispace.store.tables import read_csv, read_recipe, read_table, write_csv, write_table
from fispace.store.tensors import load_tensors, save_tensors
from fispace.study.config.extract import TextConfig

FRAME = pd.DataFrame({"arm": ["sae", "joint"], "seed": [0, 1], "value": [0.1, 1e-300]})
TABLE = Table("t.csv", {"arm": TEXT, "seed": INTEGER, "value": NUMBER})
READERS = (read_json, read_table, partial(read_csv, table=TABLE), sha256_of, load_tensors)


def test_a_failed_write_leaves_the_old_file_and_no_trace(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"old": 1})
    with pytest.raises(ZeroDivisionError), atomic_path(path) as partial:
        partial.write_text("half")
        raise ZeroDivisionError
    assert read_json(path) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_visible_under_the_final_name_before_the_end(tmp_path):
    path = tmp_path / "deep" / "x.json"
    with atomic_path(path) as partial:
        partial.write_text("1")
        assert not path.exists()
    assert path.read_text() == "1"


def test_canonical_json_does_not_depend_on_the_order_of_keys():
    assert canonical_json({"b": 1, "a": [2]}) == canonical_json({"a": [2], "b": 1})
    assert fingerprint({"b": 1, "a": 2}) == fingerprint({"a": 2, "b": 1})
    assert fingerprint({"a": 2}) != fingerprint({"a": 3})


def test_nan_never_enters_json():
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"x": float("nan")})


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_damaged_json_is_named(tmp_path, content):
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"broken\.json"):
        read_json(path)


@pytest.mark.parametrize(
    "read", [read_json, read_table, partial(read_csv, table=TABLE), sha256_of, load_tensors]
)
def test_a_missing_file_is_named(tmp_path, read):
    with pytest.raises(ArtifactError, match="nowhere"):
        read(tmp_path / "nowhere")


def test_a_table_comes_back_with_its_recipe(tmp_path):
    path = tmp_path / "t.parquet"
    write_table(path, FRAME, {"step": "x"})
    pd.testing.assert_frame_equal(read_table(path), FRAME)
    assert read_recipe(path) == {"step": "x"}


def test_equal_tables_give_equal_bytes(tmp_path):
    for name in ("a.parquet", "b.parquet"):
        write_table(tmp_path / name, FRAME, {"z": 1, "a": 2})
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_a_table_without_recipe_is_not_taken_for_ours(tmp_path):
    FRAME.to_parquet(tmp_path / "foreign.parquet")
    with pytest.raises(ArtifactError, match="recipe"):
        read_recipe(tmp_path / "foreign.parquet")


def test_a_truncated_table_is_named(tmp_path):
    path = tmp_path / "t.parquet"
    write_table(path, FRAME, {})
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ArtifactError, match=r"t\.parquet"):
        read_table(path)


@pytest.mark.parametrize(
    "lack",
    [pa.ArrowMemoryError("realloc of size 262144 failed"), OSError(errno.ENOMEM, "no memory")],
)
def test_a_file_is_not_blamed_for_a_lack_of_memory(tmp_path, monkeypatch, lack):
    # the advice was to delete it and make it again
    def fails(*_, **__):
        raise lack

    write_table(tmp_path / "t.parquet", FRAME, {})
    monkeypatch.setattr(pq, "ParquetFile", fails)
    text = TextConfig(
        source="parquet",
        path=str(tmp_path / "t.parquet"),
        field="arm",
        delimiter=None,
        config=None,
        split=None,
        revision=None,
    )
    readers = (
        lambda: read_table(tmp_path / "t.parquet"),
        lambda: list(read_documents(text, None)),
    )
    for read in readers:
        with pytest.raises(type(lack)) as error:
            read()
        assert error.value is lack


def test_csv_keeps_every_digit(tmp_path):
    path = tmp_path / "t.csv"
    write_csv(path, FRAME, TABLE)
    assert read_csv(path, TABLE)["value"].tolist() == FRAME["value"].tolist()
    assert b"\r" not in path.read_bytes()


def test_equal_tensors_give_equal_bytes_whatever_their_order(tmp_path):
    one, two = torch.arange(3.0), torch.ones(2, 2)
    save_tensors(tmp_path / "a.safetensors", {"x": one, "y": two}, {"k": 1, "arm": "sae"})
    save_tensors(tmp_path / "b.safetensors", {"y": two, "x": one}, {"arm": "sae", "k": 1})
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    tensors, record = load_tensors(tmp_path / "a.safetensors")
    assert torch.equal(tensors["y"], two) and record == {"k": 1, "arm": "sae"}


def test_a_pickle_is_never_opened(tmp_path):
    marker = tmp_path / "executed"

    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(marker),))

    path = tmp_path / "bomb.safetensors"
    torch.save(Bomb(), path)
    with pytest.raises(ArtifactError, match="not readable"):
        load_tensors(path)
    assert not marker.exists()


def test_tensors_without_a_record_are_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.ones(1)}, tmp_path / "bare.safetensors")
    with pytest.raises(ArtifactError, match="bare"):
        load_tensors(tmp_path / "bare.safetensors")


def test_written_files_are_readable_by_others(tmp_path):
    write_json(tmp_path / "x.json", json.loads("{}"))
    assert (tmp_path / "x.json").stat().st_mode & 0o777 == 0o644


HOLD = """
import sys, time
from pathlib import Path
from fispace.store.files import alone_in
with alone_in(Path(sys.argv[1])):
    print("in", flush=True)
    time.sleep(60)
"""


def test_one_process_at_a_time_works_in_a_folder_and_a_killed_one_holds_nobody_up(tmp_path):
    folder, entered = tmp_path / "scratch/work", []
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "in\n"

        def enter() -> None:
            with alone_in(folder):
                entered.append(holder.poll())

        waiting = threading.Thread(target=enter)
        waiting.start()
        waiting.join(0.5)
        assert entered == []
        holder.kill()
        waiting.join(20)
    assert len(entered) == 1
    assert list(folder.parent.iterdir()) == []


def test_no_table_is_read_by_a_pool_of_threads_which_hangs_where_none_can_be_started():
    calls = re.compile(r"\.(?:read_table|read_row_group|iter_batches|to_pandas)\(.*")
    source = Path(__file__).parents[2] / "src/fispace"
    found = [call for path in source.rglob("*.py") for call in calls.findall(path.read_text())]
    assert len(found) >= 3
    assert [call for call in found if "use_threads=False" not in call] == []
