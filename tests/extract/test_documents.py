"""Every source gives its documents unchanged, or an error that names line or row and the remedy."""

import codecs
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fispace.errors import CorpusError
from fispace.store.documents import Document, read_documents
from fispace.study.config.extract import TextConfig

HALF = "cut emoji \\ud83d here"
WTF8 = b"cut emoji \xed\xa0\xbd here"


def source(kind: str, path: Path | None, **changed: str | None) -> TextConfig:
    values: dict[str, str | None] = {
        "source": kind, "path": None if path is None else str(path), "field": "text",
        "delimiter": r"\n\n", "config": None, "split": None, "revision": None,
    }  # fmt: skip
    return TextConfig(**(values | changed))


def read(kind: str, path: Path, content: bytes | pa.Table, **changed: str | None) -> list[Document]:
    if isinstance(content, pa.Table):
        pq.write_table(content, path)
    else:
        path.write_bytes(content)
    return list(read_documents(source(kind, path, **changed), None))


def texts(documents: list[Document]) -> list[str]:
    return [document.text for document in documents]


# Labels: only the testbed's own corpus has one per word.


@pytest.mark.parametrize(
    "column",
    [
        ["neg", "pos"],
        [0, 1],
        [True, None],
        [[1, 2], [1, 2]],
        [[1], [1, 2, 3]],
        pa.array([[1, 2], [3, 4]], pa.list_(pa.int8())),
        pa.array([[1], None], pa.list_(pa.int8())),
        [{"a": 1}, None],
    ],
)
@pytest.mark.parametrize("name", ["label", "label_", "label_text", "label_id"])
def test_a_column_named_label_of_ordinary_parquet_is_not_read(column, name, tmp_path):
    table = pa.table({"text": ["one film", "another film"], name: column})
    found = read("parquet", tmp_path / "reviews.parquet", table)
    assert found == [Document("one film", {}), Document("another film", {})]


def test_the_text_may_be_in_a_column_named_label_text(tmp_path):
    table = pa.table({"label_text": ["one film"], "label_id": [1]})
    found = read("parquet", tmp_path / "r.parquet", table, field="label_text")
    assert found == [Document("one film", {})]


@pytest.mark.parametrize("labels", [[["a", "b"]], [1], [[1]], [[1, 2, 3]], [None]])
def test_a_corpus_of_the_testbed_without_a_label_for_each_word_is_refused(labels, tmp_path):
    pq.write_table(pa.table({"text": ["one film"], "label_x": labels}), tmp_path / "c.parquet")
    with pytest.raises(CorpusError, match="row 1: label_x does not hold one label per word"):
        list(read_documents(source("testbed", None), tmp_path / "c.parquet"))


def unchecked(*values: bytes) -> pa.Table:
    """A column declared as text, whose content Parquet does not check."""
    return pa.table({"text": pa.array(values).cast(pa.string(), safe=False)})


# Characters: text is read, anything else is refused with its place.


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("jsonl", f'{{"text": "plain"}}\n\n{{"text": "{HALF}"}}\n'.encode(), "line 3: character 11 is half"),
        ("jsonl", b'{"text": "plain"}\n{"text": "' + WTF8 + b'"}\n', "line 2 is not UTF-8"),
        ("jsonl", b'{"text": "plain"}\n{"text": "caf\xe9"}\n', "line 2 is not UTF-8 text .byte 0xe9"),
        ("jsonl", '{"text": "plain"}\n'.encode("utf-16"), "UTF-16"),
        ("jsonl", b'{"text": "plain"}\n{"text": "a\0b"}\n', "line 2 holds the character NUL"),
        ("jsonl", b'{"text": "plain"}\n' + codecs.BOM_UTF8 + b'{"text": "b"}\n', "line 2 .* byte-order mark"),
        ("jsonl", b'{"text": "plain"}\r\n{"text": \r\n"b"}\n', "line 2 is not JSON"),
        ("jsonl", b'{"text": "one", "text": "two"}\n', "line 1 is not JSON: the key 'text' is there twice"),
        ("jsonl", b'{"text": "a", "n": ' + b"9" * 5000 + b"}", "line 1 .* a number of thousands of digits"),
        ("jsonl", b'{"\\ud83d": "plain"}\n', r"line 1: no text in the field 'text' \(found: \\ud83d\)"),
        ("txt", b"one\n\ntwo " + WTF8, "line 3 is not UTF-8"),
        ("txt", b"one\r\n\r\ntwo caf\xe9", "line 3 is not UTF-8 text .byte 0xe9"),
        ("txt", b"one\r\rtwo\0", "line 3 holds the character NUL"),
        ("txt", "one\n\ntwo".encode("utf-16"), "line 1 .*UTF-16"),
        ("txt", "one\n\ntwo".encode("utf-16-le"), "line 1 .*UTF-16"),
        ("jsonl", b'{"text": "one \\u0000"}', "line 1: character 5 is NUL"),
        ("parquet", pa.table({"text": ["plain", "o\0ne"]}), "row 2: character 2 is NUL"),
        ("parquet", unchecked(b"plain", WTF8), "row 2: .*not UTF-8"),
        ("parquet", unchecked(b"plain", b"caf\xe9"), "row 2: .*not UTF-8 .byte 0xe9"),
    ],
)  # fmt: skip
def test_invalid_text_is_refused_with_file_and_line(kind, content, said, tmp_path):
    with pytest.raises(CorpusError, match=said) as caught:
        read(kind, tmp_path / "mine.text", content)
    assert str(tmp_path / "mine.text") in str(caught.value)
    str(caught.value).encode()  # the message itself can be printed anywhere


def test_an_unpaired_surrogate_in_a_hub_dataset_is_reported_with_its_row(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/train.jsonl").write_text(f'{{"text": "plain"}}\n{{"text": "{HALF}"}}\n')
    text = source("hub", tmp_path / "set", split="train")
    with pytest.raises(CorpusError, match=r"dataset .*set.*(row 2|cannot be read)"):
        list(read_documents(text, None))


def test_characters_are_read_in_every_json_notation(tmp_path):
    line = json.dumps({"text": "smile 😀 \u0001 \u2028 \ufeff"})
    assert "\\ud83d\\ude00" in line
    found = read("jsonl", tmp_path / "t.jsonl", line.encode())
    assert texts(found) == ["smile 😀 \u0001 \u2028 \ufeff"]


@pytest.mark.parametrize("ends", [("\n",), ("\r\n",), ("\r",), ("\n", "\r\n", "\r")])
def test_line_ends_of_every_kind_may_be_mixed(ends, tmp_path):
    lines = [f'{{"text": "text {i}"}}' for i in range(6)]
    mixed = "".join(line + ends[i % len(ends)] for i, line in enumerate(lines))
    expected = [f"text {i}" for i in range(6)]
    assert texts(read("jsonl", tmp_path / "t.jsonl", mixed.encode())) == expected
    blank = "".join(f"text {i}" + 2 * ends[i % len(ends)] for i in range(6))
    assert texts(read("txt", tmp_path / "t.txt", blank.encode())) == expected


def test_a_byte_order_mark_is_dropped_from_a_txt(tmp_path):
    found = read("txt", tmp_path / "t.txt", codecs.BOM_UTF8 + b"one\n\ntwo")
    assert texts(found) == ["one", "two"]


def test_groups_captured_by_the_delimiter_are_not_documents(tmp_path):
    content = b"one\n### 1 ###\ntwo\n### 2 ###\nthree"
    found = read("txt", tmp_path / "t.txt", content, delimiter=r"^###( \d )(###)$")
    assert texts(found) == ["one", "two", "three"]


def test_a_lookahead_delimiter_cuts_before_its_match(tmp_path):
    found = read("txt", tmp_path / "t.txt", b"# a\none\n# b\ntwo", delimiter=r"^(?=# )")
    assert texts(found) == ["# a\none", "# b\ntwo"]


def test_a_document_that_is_too_long_is_named_with_its_line(tmp_path, monkeypatch):
    monkeypatch.setattr("fispace.store.documents.MAX_CHARACTERS", 10)
    with pytest.raises(CorpusError, match="line 5: a document of 14 characters"):
        read("txt", tmp_path / "t.txt", b"one\n\n\n\ntwo\nthree four\n\n")


# Messages name the defect.


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (["one", None], "row 2: no text in the field 'text': it is null. Leave such rows out"),
        ([None, None], "row 1: no text in the field 'text': it is null"),
        ([1, 2], "row 1: no text in the field 'text': it holds int, 1"),
        ([["a"], ["b"]], "row 1: no text in the field 'text': it holds list, ['a']"),
    ],
)
def test_a_row_without_text_is_named_with_its_column(column, said, tmp_path):
    with pytest.raises(CorpusError, match=re.escape(said)):
        read("parquet", tmp_path / "t.parquet", pa.table({"text": column}))


def test_the_number_of_a_row_without_text_counts_all_row_groups_and_batches(tmp_path):
    table = pa.table({"text": [*["one"] * 70_000, None]})
    with pytest.raises(CorpusError, match="row 70001: no text in the field 'text': it is null"):
        read("parquet", tmp_path / "t.parquet", table)


def test_a_null_in_jsonl_and_in_a_hub_dataset_is_named_with_line_and_row(tmp_path):
    lines = b'{"text": "one"}\n{"text": null}\n'
    with pytest.raises(CorpusError, match="line 2: no text in the field 'text': it is null"):
        read("jsonl", tmp_path / "t.jsonl", lines)
    (tmp_path / "set").mkdir()
    (tmp_path / "set/train.jsonl").write_bytes(lines)
    with pytest.raises(CorpusError, match=r"set, row 2: no text in the field 'text': it is null"):
        list(read_documents(source("hub", tmp_path / "set", split="train"), None))


def test_a_missing_split_is_refused_with_the_list_of_splits(tmp_path):
    (tmp_path / "set").mkdir()
    for split in ("train", "test"):
        (tmp_path / f"set/{split}.jsonl").write_text('{"text": "one"}\n')
    with pytest.raises(
        CorpusError, match=r"has the splits train, test; name one in extract\.text\.split"
    ):
        list(read_documents(source("hub", tmp_path / "set"), None))
    with pytest.raises(CorpusError, match=r"train.*test"):
        list(read_documents(source("hub", tmp_path / "set", split="valid"), None))


def test_a_duplicate_column_is_refused(tmp_path):
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    with pytest.raises(CorpusError, match="more than one column 'text'"):
        read("parquet", tmp_path / "t.parquet", table)
