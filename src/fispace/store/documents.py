"""Documents from any text source: testbed, .txt, .jsonl, .parquet, or a Hugging Face dataset.

Must not: tokenise, split, or guess a delimiter.
"""

import codecs
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
from fispace.store.text_files import LINE_END, TextError, decoded, require_whole
from fispace.study.config.extract import TextConfig

MAX_CHARACTERS = 10_000_000
"""Characters of the longest document; its tokens are in memory at once, about 100 bytes each."""

Labels = dict[str, np.ndarray]


class Document(NamedTuple):
    """One text, and one label per whitespace-separated word for each labelled variable."""

    text: str
    labels: Labels


class LocatedDocument(NamedTuple):
    """A document, and the place that it was read from, for messages."""

    place: str
    text: str
    labels: Labels


def read_documents(source: TextConfig, testbed_corpus: Path | None) -> Iterator[Document]:
    """Documents in the order of the source, without blank ones; only the testbed's corpus has labels.

    Raises:
        CorpusError: if the source is missing, unreadable or lacks the field, or a document is not text;
            the message names the line or the row.
    """
    path = Path(source.path) if source.path else testbed_corpus
    if source.source == "hub":
        documents = _read_hub(source)
    elif path is None or not path.is_file():  # reading a pipe would not end
        raise CorpusError(
            f"The text {path} does not exist or is not a plain file. Give an existing file with "
            "--config text=PATH, or in extract.text.path."
        )
    else:
        documents = _read_file(path, source)
    return (_checked(found) for found in documents if found.text.strip())


def _checked(found: LocatedDocument) -> Document:
    if len(found.text) > MAX_CHARACTERS:
        raise CorpusError(
            f"{found.place}: a document of {len(found.text):,} characters, {found.text[:40]!r}...; at "
            f"most {MAX_CHARACTERS:,} are read as one. Are the documents separated "
            "(extract.text.delimiter for .txt, one JSON object a line for .jsonl)?"
        )
    try:
        require_whole(found.text)
    except TextError as error:
        raise CorpusError(f"{found.place}: {error}.") from None
    return Document(found.text, found.labels)


def _read_file(path: Path, source: TextConfig) -> Iterator[LocatedDocument]:
    if source.source == "txt":
        return _read_txt(path, source.delimiter or "")
    if source.source == "jsonl":
        return _read_jsonl(path, source.field)
    return _read_parquet(path, source.field, has_labels=source.source == "testbed")


def _read_txt(path: Path, delimiter: str) -> Iterator[LocatedDocument]:
    """Texts between the delimiters; every kind of line end is read as a line feed."""
    pattern = re.compile(delimiter, re.MULTILINE)
    try:
        text = decoded(LINE_END.sub(b"\n", path.read_bytes()))
    except TextError as error:
        raise CorpusError(f"{path} is not UTF-8 text: {error}.") from None
    begin, line = 0, 1
    for end, following in (*(match.span() for match in pattern.finditer(text)), (len(text),) * 2):
        piece = text[begin:end]
        n_before = piece[: len(piece) - len(piece.lstrip())].count("\n")
        yield LocatedDocument(f"{path}, line {line + n_before}", piece.strip(), {})
        line += text.count("\n", begin, following)
        begin = following


def _read_jsonl(path: Path, field: str) -> Iterator[LocatedDocument]:
    number = 0
    with path.open("rb") as stream:
        for raw in (line for lines in stream for line in lines.splitlines()):
            number += 1
            if not raw.strip():
                continue
            place = f"{path}, line {number}"
            yield LocatedDocument(place, _field(_parsed(raw, path, number), field, place), {})


def _parsed(raw: bytes, path: Path, number: int) -> Any:
    if raw.startswith(codecs.BOM_UTF8):
        raise CorpusError(
            f"{path}, line {number} is not JSON: it begins with a byte-order mark. Save the file in UTF-8 "
            "without one."
        )
    try:
        return parse_json(decoded(raw, number))
    except TextError as error:
        raise CorpusError(f"{path} is not UTF-8 text: {error}.") from None
    except ValueError as error:
        raise CorpusError(
            f"{path}, line {number} is not JSON: {error}. Each line holds one whole object."
        ) from None


def _read_parquet(path: Path, field: str, *, has_labels: bool) -> Iterator[LocatedDocument]:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        require_memory(error)
        raise CorpusError(f"{path} is not readable as Parquet: {error}.") from None
    with file:
        names = file.schema_arrow.names
        if names.count(field) != 1:
            held = "has no column" if field not in names else "has more than one column"
            raise CorpusError(f"{path} {held} {field!r}; it has {', '.join(names)}.")
        labels = [name for name in names if has_labels and name.startswith(LABEL_PREFIX)]
        number = 0
        for batch in _batches(file, [field, *labels], path):
            for row in range(batch.num_rows):
                number += 1
                place = f"{path}, row {number}"
                text = _field({field: _value(batch[field][row], place)}, field, place)
                yield LocatedDocument(place, text, _labels(batch, row, labels, text, place))


def _value(cell: pa.Scalar, place: str) -> Any:
    try:
        return cell.as_py()
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{place}: the text is not UTF-8 (byte {error.object[error.start]:#04x}). Write the file from "
            "UTF-8 texts."
        ) from None


def _labels(batch: pa.RecordBatch, row: int, names: list[str], text: str, place: str) -> Labels:
    """The testbed's labels, one per word."""
    labels, n_words = Labels(), len(text.split()) if names else 0
    for name in names:
        is_list = pa.types.is_list(batch.schema.field(name).type)
        values = np.asarray(batch[name][row].values) if is_list else np.empty(0)
        if values.dtype.kind != "i" or len(values) != n_words:
            raise CorpusError(
                f"{place}: {name} does not hold one label per word, so this is not the testbed's corpus. Run "
                "the rule testbed_corpus again, or give another text with --config text=PATH."
            )
        labels[name] = values
    return labels


def _batches(file: pq.ParquetFile, columns: list[str], path: Path) -> Iterator[pa.RecordBatch]:
    try:
        yield from file.iter_batches(columns=columns, use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        require_memory(error)
        raise CorpusError(f"{path} is damaged: {error}.") from None


def _read_hub(source: TextConfig) -> Iterator[LocatedDocument]:
    import datasets  # takes a third of a second, and only this source needs it

    try:
        rows = datasets.load_dataset(
            str(source.path), source.config, split=source.split, revision=source.revision,
            streaming=True,
        )  # fmt: skip
        if isinstance(rows, dict):
            raise CorpusError(
                f"The dataset {source.path!r} has the splits {', '.join(map(str, rows))}; name one in "
                "extract.text.split."
            )
        for number, row in enumerate(rows, start=1):
            place = f"dataset {source.path}, row {number}"
            yield LocatedDocument(place, _field(row, source.field, place), {})
    except (OSError, ValueError, RuntimeError) as error:
        raise CorpusError(
            f"The dataset {source.path!r} (configuration {source.config}, split {source.split}, "
            f"revision {source.revision}) cannot be read: {error}. Check the name and the network, "
            "or give a local file with --config text=PATH."
        ) from None


def _field(row: Any, field: str, place: str) -> str:
    if not isinstance(row, dict) or field not in row:
        names = ", ".join(map(str, row)) if isinstance(row, dict) else type(row).__name__
        found = names.encode(errors="backslashreplace").decode()
        raise CorpusError(
            f"{place}: no text in the field {field!r} (found: {found:.300}). Set extract.text.field."
        )
    value = row[field]
    if value is None:
        raise CorpusError(
            f"{place}: no text in the field {field!r}: it is null. Leave such rows out of the text, or set "
            "extract.text.field to another column."
        )
    if not isinstance(value, str):
        raise CorpusError(
            f"{place}: no text in the field {field!r}: it holds {type(value).__name__}, {value!r:.60}. Set "
            "extract.text.field to the column that holds the text."
        )
    return value
