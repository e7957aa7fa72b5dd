"""Tokens as the texts that they stand for, so that a reader sees what the language model read.

Must not: run a model.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from fispace.errors import ModelError

BROKEN = "\ufffd"
"""What a tokenizer writes for bytes that are not a whole character."""


class TokenTexts:
    """Texts of tokens. A token is decoded after another one, so that a leading blank is kept."""

    def __init__(self, tokenizer: Any) -> None:
        """Choose the token that all others are decoded after.

        Raises:
            ModelError: if no token of the vocabulary is a plain word or digit.
        """
        self._tokenizer = tokenizer
        self._known: dict[int, str] = {}
        special = set(tokenizer.all_special_ids)
        ordinary = (i for i in range(len(tokenizer)) if i not in special)
        plain = (i for i in ordinary if _is_plain(self._decoded([i])))
        self._before = next(plain, None)
        if self._before is None:
            raise ModelError(
                "The tokenizer has no token that is a plain word or digit, so the texts of its tokens "
                "cannot be told apart. Give the tokenizer that belongs to the model."
            )
        self._head = self._decoded([self._before])

    def one(self, token_id: int) -> str:
        """Text of a token, with a leading blank where it begins a word."""
        if token_id not in self._known:
            self._known[token_id] = self._after([token_id])
        return self._known[token_id]

    def of_window(self, token_ids: Sequence[int]) -> list[str]:
        """Text of every token of a window.

        Where a character is spread over several tokens, the first has its text and the others are empty.
        """
        texts = [self.one(int(token_id)) for token_id in token_ids]
        begin = 0
        while begin < len(texts):
            end = begin
            while end < len(texts) and BROKEN in texts[end]:
                end += 1
            if end > begin:
                run = [int(token_id) for token_id in token_ids[begin:end]]
                texts[begin:end] = [self._after(run), *[""] * (end - begin - 1)]
            begin = end + 1
        return texts

    def _after(self, token_ids: list[int]) -> str:
        whole = self._decoded([self._before, *token_ids])
        if whole.startswith(self._head):
            return whole[len(self._head) :]
        return self._decoded(token_ids)

    def _decoded(self, token_ids: Iterable[int | None]) -> str:
        text = self._tokenizer.decode(
            list(token_ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text.encode(errors="replace").decode()  # half a character cannot be written


def _is_plain(text: str) -> bool:
    return text.strip().isascii() and text.strip().isalnum()
