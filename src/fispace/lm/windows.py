"""Token windows: documents cut to a fixed length, with their positions, special mask and labels.

Must not: run a model, or let a window cross a document.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from fispace.errors import CorpusError
from fispace.store.documents import Document


class Window(NamedTuple):
    """A run of tokens of one document, BOS in front where the study adds one."""

    document_id: int
    number: int
    """Its place among the windows of the document, from 0."""
    token_ids: np.ndarray
    is_special: np.ndarray
    labels: dict[str, np.ndarray]


def cut_windows(
    tokenizer: Any, documents: Iterable[tuple[int, Document]], window_tokens: int,
    min_window_tokens: int, add_bos: bool,
) -> Iterator[Window]:  # fmt: skip
    """Windows of at most `window_tokens` tokens, BOS included; shorter tails below the minimum drop.

    Raises:
        CorpusError: if BOS is asked for and the tokenizer has none.
    """
    bos = tokenizer.bos_token_id
    if add_bos and bos is None:
        raise CorpusError(
            "extract.add_bos is true, but this model's tokenizer has no BOS token. Set it to false."
        )
    special = np.array(sorted(tokenizer.all_special_ids), dtype=np.int64)
    prefix = [bos] if add_bos else []
    body = window_tokens - len(prefix)
    for document_id, document in documents:
        ids, labels = _tokenise(tokenizer, document)
        for number, start in enumerate(range(0, len(ids), body)):
            piece = np.concatenate([prefix, ids[start : start + body]]).astype(np.int32)
            if len(piece) < min_window_tokens:
                continue
            cut = {
                name: np.concatenate([[-1] * len(prefix), values[start : start + body]]).astype(
                    "i1"
                )
                for name, values in labels.items()
            }
            yield Window(document_id, number, piece, np.isin(piece, special), cut)


def _tokenise(tokenizer: Any, document: Document) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    if not document.labels:
        encoded = tokenizer(document.text, add_special_tokens=False, verbose=False)
        return np.asarray(encoded["input_ids"], dtype=np.int64), {}
    encoded = tokenizer(
        document.text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
    )
    starts = np.array([begin for begin, _ in encoded["offset_mapping"]], dtype=np.int64)
    words = _word_of(document.text, starts)
    labels = {name: values[words] for name, values in document.labels.items()}
    return np.asarray(encoded["input_ids"], dtype=np.int64), labels


def _word_of(text: str, starts: np.ndarray) -> np.ndarray:
    """Index of the whitespace-separated word in which each character offset lies."""
    spaces = np.array([character.isspace() for character in text])
    begins = np.flatnonzero(~spaces & np.concatenate([[True], spaces[:-1]]))
    return np.searchsorted(begins, starts, side="right") - 1


def padded(
    windows: Sequence[np.ndarray], pad_id: int
) -> tuple[Int[Tensor, "batch pos"], Int[Tensor, "batch pos"]]:
    """Token ids padded on the right to the longest window, and the attention mask."""
    width = max(len(window) for window in windows)
    ids = np.full((len(windows), width), pad_id, dtype=np.int64)
    mask = np.zeros((len(windows), width), dtype=np.int64)
    for row, window in enumerate(windows):
        ids[row, : len(window)] = window
        mask[row, : len(window)] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask)


def pad_id_of(tokenizer: Any) -> int:
    """Token id to pad with: the tokenizer's own, or 0 where it has none (padding is masked)."""
    return int(tokenizer.pad_token_id) if tokenizer.pad_token_id is not None else 0
