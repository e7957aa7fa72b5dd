"""The content of the user's files decides; their names reach no template of Snakemake."""

import json
import os
from pathlib import Path

import pytest

from engine import given
from fispace.provenance.records import files_named_in

NAMES = [
    "plain",
    "a{b}",
    "{x,y}",
    "a b",
    'it\'s "q"',
    "$HOME",
    "back\\slash",
    "é",
    "-rf",
    "a\nb",
    "*",
]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given._digest_of.cache_clear()


def written(name: str, text: str) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", NAMES)
def test_a_model_and_texts_of_any_name_are_found(name):
    model = [written(f"{name}/{file}", file) for file in ("config.json", "model.safetensors")]
    written(f"{name}/pytorch_model.bin", "not read")
    text = written(f"{name}.jsonl", "text")
    params = {"lm": {"name": name}, "text": {"path": f"{name}.jsonl"}, "transfer": None}
    assert files_named_in(params) == sorted([*model, text])


@pytest.mark.parametrize("params", [{}, {"lm": {"name": "testbed"}}, {"lm": {"name": "org/none"}}])
def test_a_testbed_or_hub_model_names_no_file(params):
    Path("testbed").mkdir()
    written("testbed/config.json", "")
    assert files_named_in(params) == []


def test_another_content_is_another_digest_and_another_time_is_not():
    path = written("a{b}.txt", "one")
    (first,) = given.digests_of([path], "run")
    os.utime(path, (1, 1))
    given._digest_of.cache_clear()
    assert given.digests_of([path], "run") == [first]
    path.write_text("two")
    given._digest_of.cache_clear()
    assert given.digests_of([path], "run") != [first]


def test_a_file_is_read_again_only_when_its_size_or_time_changes(monkeypatch):
    path = written("text.txt", "one")
    first = given.digests_of([path], "run")
    monkeypatch.setattr(given, "sha256_of", lambda _: pytest.fail("read again"))
    given._digest_of.cache_clear()
    assert given.digests_of([path], "run") == first


@pytest.mark.parametrize("note", ["", "[]", '{"a": 1}', '{"text.txt": [1, 2, 3, 4]}', "{"])
def test_a_damaged_note_is_made_again(note):
    path = written("text.txt", "one")
    first = given.digests_of([path], "run")
    kept = Path("logs/run/given.json")
    assert json.loads(kept.read_text())
    kept.write_text(note)
    given._digest_of.cache_clear()
    assert given.digests_of([path], "run") == first
