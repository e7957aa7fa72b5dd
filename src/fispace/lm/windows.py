"""Token windows: documents cut to a fixed length, with their positions, special mask and labels.

Must not: run a model, or let a window cross a document.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from fispace.errors import CorpusError, ModelError
from fispace.lm.batching import n_embedded
from fispace.store.documents import Document
from fispace.study.config.extract import SpecialTokensConfig

PAD_ID = 0
"""Any token: padding is on the right, where a causal model does not see it."""


class Window(NamedTuple):
    """Consecutive tokens of one document, after BOS if the study adds one."""

    document_id: int
    number: int
    """Index of the window in its document, from 0."""
    token_ids: np.ndarray
    is_special: np.ndarray
    labels: dict[str, np.ndarray]


def special_tokens(tokenizer: Any, changes: SpecialTokensConfig | None = None) -> dict[int, str]:
    """Ids and texts of the special tokens, which are neither trained on nor scored.

    They are the tokens with a named role (BOS, padding, unknown) and all added tokens that the tokenizer
    marks as special (those of a chat template, for example). `changes` adds to them and exempts some.

    Raises:
        CorpusError: if `changes` names a token that the tokenizer does not have, or exempts one that
            is not special.
    """
    added = getattr(tokenizer, "added_tokens_decoder", {})
    found = set(tokenizer.all_special_ids) | {i for i, token in added.items() if token.special}
    if changes is not None:
        for text in changes.exempt:
            if _id_of(tokenizer, text, "exempt") not in found:
                known = tokenizer.convert_ids_to_tokens(sorted(found))
                raise CorpusError(
                    f"extract.special_tokens.exempt: {text!r} is not a special token of this model's "
                    f"tokenizer. Special tokens are: {', '.join(known)}."
                )
        found -= {_id_of(tokenizer, text, "exempt") for text in changes.exempt}
        found |= {_id_of(tokenizer, text, "add") for text in changes.add}
    return {token_id: tokenizer.convert_ids_to_tokens(token_id) for token_id in sorted(found)}


def _id_of(tokenizer: Any, text: str, option: str) -> int:
    token_id = tokenizer.get_vocab().get(text)
    if token_id is None:
        raise CorpusError(
            f"extract.special_tokens.{option}: this model's tokenizer has no token {text!r}. Write it as "
            "its tokenizer.json does (where Ġ or ▁ may stand for a space)."
        )
    return token_id


def require_embedded(
    model: Any, tokenizer: Any, token_ids: Sequence[int] | Int[np.ndarray, " _"], where: str
) -> None:
    """Refuse a text with a token that the model does not embed.

    A tokenizer may have more tokens than the model embeds, as long as they do not occur.

    Raises:
        ModelError: if there is one; the message names the token and, as `where`, the text.
    """
    highest = int(max(token_ids, default=-1))
    if highest >= n_embedded(model):
        raise ModelError(
            f"{where} holds the token {tokenizer.convert_ids_to_tokens(highest)!r} (id {highest}), but "
            f"{type(model).__name__} embeds only the ids 0 to {n_embedded(model) - 1}. Take the token "
            "out of the text, or give the tokenizer that belongs to the model."
        )


def cut_windows(
    tokenizer: Any, documents: Iterable[tuple[int, Document]], window_tokens: int,
    min_window_tokens: int, add_bos: bool, special: Iterable[int] | None = None,
) -> Iterator[Window]:  # fmt: skip
    """Windows of at most `window_tokens` tokens, BOS included; tails below the minimum are dropped.

    `special` are the ids of special tokens; None means those of the tokenizer.

    Raises:
        CorpusError: if BOS is asked for and the tokenizer has none.
    """
    bos = tokenizer.bos_token_id
    if add_bos and bos is None:
        raise CorpusError(
            "extract.add_bos is true, but this model's tokenizer has no BOS token. Set it to false."
        )
    is_special = np.array(sorted(special_tokens(tokenizer) if special is None else special))
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
            yield Window(document_id, number, piece, np.isin(piece, is_special), cut)


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
