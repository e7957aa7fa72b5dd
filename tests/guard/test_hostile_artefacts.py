"""Malicious checkpoints, Parquet files, manifests and names: refused in words, nothing executed."""

import json
import pickle
import random
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from guard.conftest import RUN
from safetensors.torch import save_file

from fispace.chapters.factorial.stimuli import read_battery
from fispace.chapters.fidelity.tables import SUMMARY
from fispace.errors import ArtifactError, ArtifactMismatchError, FispaceError, NonFiniteError
from fispace.models.trained import load_trained
from fispace.store.activations import ActivationStore
from fispace.store.checkpoint import load_checkpoint
from fispace.store.files import parse_json, read_json, write_json
from fispace.store.tables import RECIPE_KEY, read_csv, read_recipe, read_table, write_table
from fispace.store.tensors import load_tensors, save_tensors
from fispace.study.config.factorial import FactorConfig

FLIPS = 60
DEEP = "[" * 100_000


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return (Path.touch, (self.marker,))


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """Exists after the test only if something was executed, which fails it."""
    path = tmp_path / "executed"
    yield path
    assert not path.exists()


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The bytes with a few flipped, cut off, or a piece moved."""
    at, size = rng.randrange(len(content)), rng.choice((1, 4, 200))
    kind = rng.randrange(4)
    if kind == 0:
        return content[:at]
    if kind == 1:
        return content[:at] + rng.randbytes(size) + content[at + size :]
    if kind == 2:
        return content[:at] + content[at + size :]
    return content[:at] + content[at : at + size] * 2 + content[at + size :]


READERS = {
    "fidelity/sae/seed0.parquet": lambda path: (read_table(path), read_recipe(path)),
    "train/sae/seed0.safetensors": lambda path: load_trained(path, {"arm": "sae"}),
    "fidelity/summary.csv": partial(read_csv, table=SUMMARY),
    "train/lr.json": read_json,
    "extract/manifest.json": lambda path: ActivationStore(path).n_tokens("train"),
    "extract/val/shard-1-of-1.parquet": lambda path: list(
        ActivationStore(path.parents[1] / "manifest.json").groups("val")
    ),
}


@pytest.mark.parametrize("name", READERS)
def test_random_damage_never_ends_in_anything_but_words(small, name):
    rng, path = random.Random(5), small.file(name)
    content, refused = path.read_bytes(), 0
    for _ in range(FLIPS):
        path.write_bytes(damaged(content, rng))
        try:
            READERS[name](path)
        except FispaceError as error:
            refused += 1
            assert "\n" not in str(error)
            assert str(path.name) in str(error) or str(path.parent) in str(error)
    assert refused > 5


def checkpoint(small, **changes: object) -> Path:
    """The small run's checkpoint with another record; `params` is merged."""
    path = small.file("train/sae/seed0.safetensors")
    weights, record = load_tensors(path)
    record |= {key: value for key, value in changes.items() if key != "params"}
    record["params"] |= changes.get("params", {})
    save_tensors(path, weights, record)
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"d_model": 10**12},
        {"d_model": "16"},
        {"params": {"n_latents": 10**12}},
        {"params": {"n_latents": -1}},
        {"params": {"k": 10**9}},
        {"params": {"k": 0}},
        {"params": {"k": True}},
    ],
)
def test_a_checkpoint_cannot_ask_for_more_memory_than_its_weights(small, changes):
    with pytest.raises(ArtifactMismatchError, match=r"seed0\.safetensors"):
        load_trained(checkpoint(small, **changes), {"arm": "sae"})


def test_a_checkpoint_of_nan_is_refused_with_the_tensor(small):
    path = small.file("train/sae/seed0.safetensors")
    weights, record = load_tensors(path)
    name = sorted(weights)[0]
    save_tensors(path, weights | {name: weights[name] * float("nan")}, record)
    with pytest.raises(NonFiniteError, match=name):
        load_checkpoint(path, {})


def test_a_pickled_checkpoint_is_never_opened(small, marker):
    path = small.file("train/sae/seed0.safetensors")
    torch.save({"weights": Bomb(marker)}, path)
    with pytest.raises(ArtifactError, match=r"seed0\.safetensors"):
        load_trained(path, {})
    path.write_bytes(pickle.dumps(Bomb(marker)))
    with pytest.raises(ArtifactError, match=r"seed0\.safetensors"):
        load_trained(path, {})


@pytest.mark.parametrize("text", [DEEP, "{", "[]", "null", '{"a": NaN}', f'{{"a": {"9" * 5000}}}'])
def test_a_hostile_record_in_a_checkpoint_is_refused(tmp_path, text):
    save_file({"x": torch.ones(1)}, tmp_path / "c.safetensors", metadata={"fispace": text})
    with pytest.raises(ArtifactError, match=r"c\.safetensors"):
        load_tensors(tmp_path / "c.safetensors")


@pytest.mark.parametrize("header", [2**63, 2**40, 0])
def test_a_checkpoint_with_an_absurd_header_allocates_nothing(tmp_path, header):
    (tmp_path / "c.safetensors").write_bytes(header.to_bytes(8, "little") + b"{}")
    with pytest.raises(ArtifactError, match=r"c\.safetensors"):
        load_tensors(tmp_path / "c.safetensors")


@pytest.mark.parametrize("recipe", [DEEP, "{", "[1]", '"x"', "\x00"])
def test_a_hostile_recipe_in_parquet_metadata_is_refused(tmp_path, recipe):
    table = pa.table({"x": [1]}).replace_schema_metadata({RECIPE_KEY: recipe.encode()})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(ArtifactError, match=r"t\.parquet"):
        read_recipe(tmp_path / "t.parquet")


def test_pickles_and_advice_in_parquet_metadata_are_ignored(tmp_path, marker):
    advice = json.dumps({"columns": [{"name": "x", "pandas_type": "object", "metadata": 3}]})
    metadata = {b"pandas": advice.encode(), RECIPE_KEY: b"{}"}
    for name in (b"ARROW:extension:metadata", b"pickle"):
        metadata[name] = pickle.dumps(Bomb(marker))
    field = pa.field(
        "x", pa.int64(),
        metadata={b"ARROW:extension:name": b"arrow.py_extension_type",
                  b"ARROW:extension:metadata": pickle.dumps(Bomb(marker))},
    )  # fmt: skip
    table = pa.table({"x": [1, 2]}, schema=pa.schema([field], metadata=metadata))
    pq.write_table(table, tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet")["x"].tolist() == [1, 2]


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "/etc/passwd", "..", ".", "", ".hidden", "a/b", "a\nb", "a\x00"]
)
@pytest.mark.parametrize("place", ["file", "split"])
def test_a_manifest_cannot_point_out_of_its_folder(small, name, place):
    path = small.file("extract/manifest.json")
    manifest = read_json(path)
    if place == "file":
        manifest["shards"]["val"][0]["file"] = name
    else:
        manifest["shards"][name] = manifest["shards"].pop("val")
    write_json(path, manifest)
    with pytest.raises(ArtifactError, match="manifest"):
        ActivationStore(path)


@pytest.mark.parametrize(
    "change",
    [{"n_rows": -1}, {"n_rows": "1"}, {"n_special": None}, {"sha256": 1}, {"n_rows": 1e308}],
)
def test_a_manifest_of_wrong_types_is_refused(small, change):
    path = small.file("extract/manifest.json")
    manifest = read_json(path)
    manifest["shards"]["val"][0] |= change
    write_json(path, manifest)
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        ActivationStore(path)


@pytest.mark.parametrize("content", [DEEP, "[]", "1", '{"shards": []}', '{"d_model": 3}'])
def test_a_manifest_that_is_none_is_refused(small, content):
    path = small.file("extract/manifest.json")
    path.write_text(content)
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        ActivationStore(path)


def test_a_shard_that_links_elsewhere_is_used_only_if_it_has_the_right_bytes(small, tmp_path):
    shard = small.file("extract/val/shard-1-of-1.parquet")
    secret = tmp_path / "secret"
    secret.write_text("not yours")
    shard.unlink()
    shard.symlink_to(secret)
    with pytest.raises(ArtifactError, match="checksum"):
        ActivationStore(small.file("extract/manifest.json")).verify("val")


def test_a_result_is_never_written_through_a_link(tmp_path):
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text("mine")
    (tmp_path / "x.json").symlink_to(elsewhere)
    write_json(tmp_path / "x.json", {})
    assert elsewhere.read_text() == "mine"
    assert not (tmp_path / "x.json").is_symlink()


def test_an_unfinished_extraction_cannot_name_files_elsewhere(small, monkeypatch):
    shutil.rmtree(small.file("extract"))
    from fispace.chapters.extract import activations as extract

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(extract, "write_json", stop)  # killed after the first shard
    with pytest.raises(KeyboardInterrupt):
        small.call("extract", "activations", scratch="scratch/s", out=f"results/{RUN}/extract")
    monkeypatch.undo()
    victim = small.path / "victim"
    victim.write_text("mine")
    for shard in (small.path / "scratch").rglob("shard-*.parquet"):
        shard.with_suffix(".json").write_text(
            json.dumps({"file": f"../../../../../{victim.name}", "sha256": "0", "d_model": 1})
        )
    monkeypatch.chdir(small.path)
    code = small.call("extract", "activations", scratch="scratch/s", out=f"results/{RUN}/extract")
    assert code == 0
    assert victim.read_text() == "mine"


def test_stimuli_of_markup_shell_and_formulas_stay_text(tmp_path, marker):
    factors = [FactorConfig(name="a", levels=("x", "y")), FactorConfig(name="b", levels=("u", "v"))]
    texts = [f"$(touch {marker})", "<script>alert(1)</script>", "=1+1", "'; rm -rf ~; '"]
    cells = [(a, b) for a in ("x", "y") for b in ("u", "v")]
    rows = [("i", *cell, text) for cell, text in zip(cells, texts, strict=True)]
    pd.DataFrame(rows, columns=["item", "a", "b", "text"]).to_csv(tmp_path / "s.csv", index=False)
    assert read_battery(tmp_path / "s.csv", factors, None)["text"].tolist() == texts


def test_json_is_read_strictly():
    for text in (DEEP, "NaN", "[Infinity]", "9" * 5000, "{", b"\xff"):
        with pytest.raises(ValueError):
            parse_json(text)
    assert parse_json('{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}


def test_a_table_with_a_recipe_survives_being_read_without_advice(tmp_path):
    frame = pd.DataFrame({"arm": ["a", "b"], "value": [0.5, np.nan]})
    write_table(tmp_path / "t.parquet", frame, {"x": 1})
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), frame)


def test_a_disk_that_fills_up_under_a_checkpoint_is_said_in_words(tmp_path, monkeypatch):
    from safetensors import SafetensorError

    def full(*_: object, **__: object) -> None:
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("fispace.store.tensors.save_file", full)
    with pytest.raises(ArtifactError, match=r"x\.safetensors cannot be written: No space left"):
        save_tensors(tmp_path / "x.safetensors", {"a": torch.ones(1)}, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("x: can't allocate memory: y"),
        SystemError("error return without exception set"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    ],
)
def test_too_little_memory_is_said_in_words(small, monkeypatch, caplog, error):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("fispace.chapters.extract.standardiser.fit_moments", fail)
    at = f"results/{RUN}/extract"
    code = small.call("extract", "standardiser", manifest=f"{at}/manifest.json", standardiser="s")
    assert code == 1
    assert "memory" in caplog.text
