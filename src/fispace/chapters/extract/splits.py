"""Token windows of every split, and what to do about a text that gives a split too few.

Must not: run a model.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fispace.errors import CorpusError
from fispace.lm.windows import Window, cut_windows, require_embedded
from fispace.seeds import stream_seed
from fispace.store.documents import read_documents
from fispace.study.config.extract import ExtractStep, TextConfig

log = logging.getLogger(__name__)

UNIT_INTERVAL = 2.0**63
"""Number of possible stream seeds; they are uniform over 0 .. 2^63 - 1."""
TRANSFER = "transfer"
CUT_BY: Mapping[str, str] = {
    "txt": "set extract.text.delimiter to the regular expression between them (now '{delimiter}'; line ends "
    "are read as \\n, so a blank line is '\\n\\s*\\n')",
    "jsonl": "give each its own line",
    "parquet": "give each its own row",
    "hub": "give each its own row",
    "testbed": "increase testbed.corpus.n_documents",
}
"""How to separate the documents of each kind of source."""


def windows_by_split(
    params: ExtractStep, corpus: Path | None, lm: tuple[Any, Any], special: Iterable[int]
) -> dict[str, list[Window]]:
    """Windows of every split, taken in order until the split holds its number of tokens.

    `lm` is the model with its tokenizer, `special` the ids of the special tokens.

    Raises:
        CorpusError: if a split has too few windows for its shards, or special tokens alone.
        ModelError: if the model does not embed a token of the text.
    """
    limits = {split: params.max_tokens.of(split) for split in params.splits}
    kept: dict[str, list[Window]] = {split: [] for split in limits}
    own = [split for split in limits if split != TRANSFER]
    for text, targets in ((params.text, own), (params.transfer, [TRANSFER])):
        if text is None:
            continue
        left = {split: limits[split] for split in targets}
        for window in _windows(params, text, corpus, lm, special):
            split = TRANSFER if TRANSFER in left else _split_of(params, window.document_id)
            if left[split] > 0:
                kept[split].append(window)
                left[split] -= int((~window.is_special).sum())
            elif max(left.values()) <= 0:
                break
    for split, windows in kept.items():
        _require_windows(params, corpus, split, windows)
    return kept


def _require_windows(
    params: ExtractStep, corpus: Path | None, split: str, windows: list[Window]
) -> None:
    n_shards = params.shards.of(split)
    log.info("%s: %d windows", split, len(windows))
    if windows and all(window.is_special.all() for window in windows):
        raise CorpusError(
            f"The text of the split {split!r} holds nothing but special tokens of this model, and "
            "these are never used. Give a text without tokenizer markup."
        )
    if len(windows) < n_shards:
        text = params.transfer if split == TRANSFER and params.transfer else params.text
        own = [
            split in (TRANSFER, _split_of(params, number))
            for number, _ in enumerate(read_documents(text, corpus))
        ]
        raise CorpusError(
            f"The split {split!r} is empty or too short: the text gives it {len(windows)} windows, fewer "
            f"than its {n_shards} shards. {_advice(params, text, own, len(windows))}"
        )


def _windows(
    params: ExtractStep, text: TextConfig, corpus: Path | None, lm: tuple[Any, Any],
    special: Iterable[int],
) -> Iterator[Window]:  # fmt: skip
    """Windows of a text; every token has been checked to be one that the model embeds."""
    model, tokenizer = lm
    for window in cut_windows(
        tokenizer, enumerate(read_documents(text, corpus)),
        params.window_tokens, params.min_window_tokens, params.add_bos, special,
    ):  # fmt: skip
        place = f"{text.path or corpus}: document {window.document_id} (the first is 0)"
        require_embedded(model, tokenizer, window.token_ids, place)
        yield window


def _split_of(params: ExtractStep, document_id: int) -> str:
    """Split of a document, by a hash of its number; adding text moves no document to another split."""
    unit = stream_seed(params.root_seed, "extract", "split", document_id) / UNIT_INTERVAL
    if unit < params.test_fraction:
        return "test"
    return "val" if unit < params.test_fraction + params.val_fraction else "train"


def _advice(params: ExtractStep, text: TextConfig, is_own: Sequence[bool], n_windows: int) -> str:
    """What the text lacks and what to do; `is_own`: whether each document belongs to the split."""
    n_own = sum(is_own)
    if not is_own:
        return "All its documents are blank."
    if n_own == 0:
        delimiter = (text.delimiter or "").replace("\n", r"\n")
        cut = CUT_BY[text.source].format(delimiter=delimiter)
        return (
            "The text has too few documents: each document goes to one split as a whole, and none of its "
            f"documents ({len(is_own)}) goes to this split. Give more documents. If several were read as "
            f"one, {cut}."
        )
    if n_windows == 0:
        return (
            f"None of its documents ({n_own}) has as many tokens as extract.min_window_tokens="
            f"{params.min_window_tokens}. Give longer documents, or reduce that parameter."
        )
    return (
        f"Its documents ({n_own}) are too few or too short. Give more text, a smaller "
        "extract.min_window_tokens, or fewer extract.shards."
    )
