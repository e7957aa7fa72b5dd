"""Decides which texts may share a batch, so that each gets the same numbers as alone.

A batch is padded on the right, where a causal model does not see the padding. Some architectures are
affected all the same, for example by rotary positions that scale with the longest text of the batch. So
the effect is measured, and if padding changes a number, only texts of equal length share a batch. Must
not: know hook points.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from fispace.errors import ModelError
from fispace.lm.probe import (
    PROBE_TOKENS,
    REFUSALS,
    UpToALength,
    agree,
    plain_pass,
    probe_text,
    refusal,
)

EQUAL: Literal["equal lengths"] = "equal lengths"

Sharing = Literal["padded", "equal lengths", "alone"]
"""Which texts may share a batch: all, those of equal length, or none."""


@UpToALength
def padding_is_harmless(model: Any, width: int) -> bool:
    """Whether a short text gets the same logits alone and in a batch with a text of `width` tokens."""
    short = probe_text(model, min(PROBE_TOKENS, (width + 1) // 2))
    texts = [short, probe_text(model, width, first=2)]
    mask = pad_sequence([torch.ones_like(text) for text in texts], batch_first=True)
    together = plain_pass(model, pad_sequence(texts, batch_first=True), mask)
    return agree(model, together[0, : len(short)], _alone(model, short))


@UpToALength
def rows_are_independent(model: Any, n_tokens: int) -> bool:
    """Whether two texts of `n_tokens` tokens get the same logits alone and in one batch."""
    texts = torch.stack([probe_text(model, n_tokens, first=first) for first in (0, 1)])
    together = plain_pass(model, texts, torch.ones_like(texts))
    return all(agree(model, together[row], _alone(model, text)) for row, text in enumerate(texts))


def _alone(model: Any, text: Int[Tensor, " pos"]) -> Float[Tensor, "pos vocabulary"]:
    return plain_pass(model, text[None], torch.ones(1, len(text), dtype=torch.long))[0]


def sharing(model: Any, lengths: Sequence[int]) -> Sharing:
    """Which of the texts with these lengths may share a batch."""
    if len(set(lengths)) > 1 and padding_is_harmless(model, max(lengths)):
        return "padded"
    return EQUAL if rows_are_independent(model, PROBE_TOKENS) else "alone"


def groups(lengths: Sequence[int], share: Sharing) -> list[list[int]]:
    """Groups of texts that run together, each as ascending numbers of texts."""
    if share == "padded":
        return [list(range(len(lengths)))]
    if share == "alone":
        return [[number] for number in range(len(lengths))]
    found: dict[int, list[int]] = {}
    for number, length in enumerate(lengths):
        found.setdefault(length, []).append(number)
    return list(found.values())


def by_groups(
    model: Any, token_ids: Int[Tensor, "batch pos"], attention_mask: Int[Tensor, "batch pos"],
    run: Callable[[Int[Tensor, " rows"], Tensor, Tensor], Float[Tensor, "rows width d"]],
) -> Float[Tensor, "batch pos d"]:  # fmt: skip
    """Results of `run` for all rows of a batch, in as many passes as the model needs.

    `run` is given the numbers of some rows, their token ids and their mask, cut to the longest row. The
    result is zero at padding that no pass has seen.

    Raises:
        ModelError: if a token that is not padding has no row in the model's embedding.
    """
    token_ids = _embedded(model, token_ids, attention_mask)
    lengths = attention_mask.sum(1).tolist()
    share = sharing(model, lengths)
    parts = groups(lengths, share)
    if share == "padded" or (len(parts) == 1 and lengths[0] == token_ids.shape[1]):
        return run(torch.arange(len(token_ids)), token_ids, attention_mask)
    whole: Tensor | None = None
    for part in parts:
        rows, width = torch.tensor(part), max(lengths[row] for row in part)
        found = run(rows, token_ids[rows, :width], attention_mask[rows, :width])
        if whole is None:
            whole = found.new_zeros(*token_ids.shape, found.shape[-1])
        whole[rows, :width] = found
    assert whole is not None
    return whole


def _embedded(model: Any, token_ids: Tensor, attention_mask: Tensor) -> Tensor:
    """The token ids, with token 0 as padding if the model does not embed the padding token."""
    n_rows = n_embedded(model)
    if int(token_ids.max()) < n_rows:
        return token_ids
    token_ids = token_ids * attention_mask
    if int(token_ids.max()) >= n_rows:
        raise ModelError(
            f"A text holds the token id {int(token_ids.max())}, but {type(model).__name__} embeds only "
            f"the ids 0 to {n_rows - 1}. Give the tokenizer that belongs to the model."
        )
    return token_ids


def n_embedded(model: Any) -> int:
    """Number of token ids that the model embeds."""
    return model.get_input_embeddings().weight.shape[0]


def n_positions(model: Any) -> int | None:
    """Longest text, in tokens, that the model's configuration allows; None if it does not say."""
    config = model.config.get_text_config(decoder=True)
    return getattr(config, "max_position_embeddings", None)


def require_positions(model: Any, n_tokens: int, what: str) -> None:
    """Refuse texts that are longer than the model has positions for.

    `what` begins the message: it names the text, as in "extract.window_tokens=600".

    Raises:
        ModelError: if the configuration names fewer positions, or a pass over such a text fails.
    """
    most = n_positions(model)
    if most is not None and n_tokens > most:
        raise refusal(
            model, "positions", f"{what}, but the model has {most} positions.",
            f"Shorten it to at most {most} tokens, or give a model with more positions.",
        )  # fmt: skip
    try:
        padding_is_harmless(model, n_tokens)  # runs a text of this length; the result is cached
    except REFUSALS as error:
        raise refusal(
            model, "positions", f"{what}; a pass over {n_tokens} tokens raises {error!r:.200}.",
            "Shorten it, or give a model with more positions.",
        ) from None  # fmt: skip
