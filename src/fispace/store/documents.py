"""Documents from any text source: testbed, .txt, .jsonl, .parquet, or a Hugging Face dataset.

Must not: tokenise, split, or guess a delimiter.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fispace.errors import CorpusError
from fispace.store.files import parse_json, require_memory
from fispace.store.shards import LABEL_PREFIX
from fispace.study.config.extract import TextConfig

MAX_CHARACTERS = 10_000_000
"""Longest document: its tokens are held in memory at once, about a hundred bytes each."""


class Document(NamedTuple):
    """One text, and one label per whitespace-separated word for each labelled variable."""

    text: str
    labels: dict[str, np.ndarray]


def read_documents(source: TextConfig, testbed_corpus: Path | None) -> Iterator[Document]:
    """Documents in the order of the source, blank ones left out.

    Raises:
        CorpusError: if the source is missing, unreadable, or has no such field.
    """
    path = Path(source.path) if source.path else testbed_corpus
    if source.source == "hub":
        documents = _read_hub(source)
    elif path is None or not path.is_file():  # a pipe would never end
        raise CorpusError(
            f"The text {path} does not exist or is no plain file. Give an existing file with "
            "--config text=PATH, or in extract.text.path."
        )
    else:
        documents = _read_file(path, source)
    return (_sized(document, path) for document in documents if document.text.strip())


def _sized(document: Document, path: Path | None) -> Document:
    if len(document.text) > MAX_CHARACTERS:
        raise CorpusError(
            f"{path}: a document of {len(document.text):,} characters, {document.text[:40]!r}...; at "
            f"most {MAX_CHARACTERS:,} are read as one. Are the documents separated "
            "(extract.text.delimiter for .txt, one JSON object a line for .jsonl)?"
        )
    return document


def _read_file(path: Path, source: TextConfig) -> Iterator[Document]:
    if source.source == "txt":
        return _read_txt(path, source.delimiter or "")
    if source.source == "jsonl":
        return _read_jsonl(path, source.field)
    return _read_parquet(path, source.field)


def _read_txt(path: Path, delimiter: str) -> Iterator[Document]:
    try:
        pattern = re.compile(delimiter, re.MULTILINE)
    except re.error as error:
        raise CorpusError(
            f"extract.text.delimiter={delimiter!r} is not a regular expression: {error}."
        ) from None
    text = _decode(path.read_bytes(), path)
    for piece in pattern.split(text):
        if piece is not None:
            yield Document(piece.strip(), {})


def _read_jsonl(path: Path, field: str) -> Iterator[Document]:
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, start=1):
            line = _decode(raw, path)
            if not line.strip():
                continue
            try:
                row = parse_json(line)
            except ValueError as error:
                raise CorpusError(f"{path}, line {number} is not JSON: {error}.") from None
            yield Document(_field(row, field, f"{path}, line {number}"), {})


def _read_parquet(path: Path, field: str) -> Iterator[Document]:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        require_memory(error)
        raise CorpusError(f"{path} is not readable as Parquet: {error}.") from None
    with file:
        names = file.schema_arrow.names
        if field not in names:
            raise CorpusError(f"{path} has no column {field!r}; it has {', '.join(names)}.")
        labels = [name for name in names if name.startswith(LABEL_PREFIX)]
        for batch in _batches(file, [field, *labels], path):
            texts = batch.column(field)
            for row in range(batch.num_rows):
                values = {name: np.asarray(batch[name][row].values) for name in labels}
                yield Document(_field({field: texts[row].as_py()}, field, str(path)), values)


def _batches(file: pq.ParquetFile, columns: list[str], path: Path) -> Iterator[pa.RecordBatch]:
    try:
        yield from file.iter_batches(columns=columns, use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        require_memory(error)
        raise CorpusError(f"{path} is damaged: {error}.") from None


def _read_hub(source: TextConfig) -> Iterator[Document]:
    import datasets  # a third of a second, and only this source needs it

    try:
        rows = datasets.load_dataset(
            str(source.path), source.config, split=source.split, revision=source.revision,
            streaming=True,
        )  # fmt: skip
        for row in rows:
            yield Document(_field(row, source.field, f"dataset {source.path}"), {})
    except (OSError, ValueError, RuntimeError) as error:
        raise CorpusError(
            f"The dataset {source.path!r} (configuration {source.config}, split {source.split}, "
            f"revision {source.revision}) cannot be read: {error}. Check the name and the network, "
            "or give a local file with --config text=PATH."
        ) from None


def _field(row: Any, field: str, where: str) -> str:
    if not isinstance(row, dict) or not isinstance(row.get(field), str):
        found = ", ".join(row) if isinstance(row, dict) else type(row).__name__
        raise CorpusError(
            f"{where}: no text in the field {field!r} (found: {found}). Set extract.text.field."
        )
    return row[field]


def _decode(raw: bytes, path: Path) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path} is not UTF-8 text: {error}.") from None
