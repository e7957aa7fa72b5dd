"""Forward passes that go on where others ended: the keys and values of the positions before are kept.

What an architecture keeps, and whether padding may lie inside it, is measured once a model and
length. Must not: choose tokens, or know what is spliced in.
"""

from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import Cache

from fispace.lm.hooks import Replace
from fispace.lm.probe import (
    PROBE_TOKENS,
    REFUSALS,
    UpToALength,
    agree,
    call,
    plain_pass,
    probe_text,
)

Keeping = Literal["padded", "equal lengths", "nothing"]
"""What a model may keep of prompts in one batch: everything, everything of prompts of one length, or
nothing, so that every pass begins at the first token."""

N_NEW = 3
"""Tokens after a prompt that a measurement feeds: two at once, then one."""


class Replacements(NamedTuple):
    """What is spliced in at the hook point, position by position."""

    prompt: Replace
    """For a whole prompt, its BOS included."""
    following: Replace
    """For positions after it."""


@torch.no_grad()
def continued(
    model: Any, token_ids: Int[Tensor, "batch new"], attention_mask: Int[Tensor, "batch pos"],
    cache: Any,
) -> tuple[Float[Tensor, "batch new vocabulary"], Any]:  # fmt: skip
    """Next-token logits of the columns that the cache does not hold, and the cache with them in it.

    `attention_mask` is of all columns; `cache` is None at first. Rows are padded on the right of
    their prompt and of what follows: positions count only tokens that are no padding.
    """
    positions = (attention_mask.cumsum(1) - 1).clamp(min=0)[:, -token_ids.shape[1] :]
    output = call(
        model, input_ids=token_ids, attention_mask=attention_mask, position_ids=positions,
        past_key_values=cache, use_cache=True,
    )  # fmt: skip
    return output.logits, getattr(output, "past_key_values", None)


def keeping(model: Any, n_columns: int) -> Keeping:
    """What the model may keep of prompts, where the longest, with all that follows, has `n_columns`."""
    if _keeps_padded(model, n_columns):
        return "padded"
    return "equal lengths" if _keeps(model, n_columns) else "nothing"


@UpToALength
def _keeps_padded(model: Any, n_columns: int) -> bool:
    """Whether a short prompt goes on right behind the padding that a long one beside it needs."""
    long = max(n_columns - N_NEW, 2)
    return _goes_on(model, [min(PROBE_TOKENS, long // 2), long])


@UpToALength
def _keeps(model: Any, n_columns: int) -> bool:
    """Whether prompts of one length go on right."""
    long = max(n_columns - N_NEW, 2)
    return _goes_on(model, [long, long])


def _goes_on(model: Any, lengths: list[int]) -> bool:
    """Whether passes that go on after prompts give the logits of whole passes over each text alone."""
    texts = [probe_text(model, n + N_NEW, first=i) for i, n in enumerate(lengths)]
    ids = torch.zeros(len(texts), max(lengths), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, n in enumerate(lengths):
        ids[row, :n], mask[row, :n] = texts[row][:n], 1
    new = torch.stack([text[n:] for text, n in zip(texts, lengths, strict=True)])
    try:
        found = _stepwise(model, ids, mask, new)
    except REFUSALS:
        return False
    if found is None:
        return False
    for row, (text, n) in enumerate(zip(texts, lengths, strict=True)):
        whole = plain_pass(model, text[None], torch.ones(1, len(text), dtype=torch.long))[0]
        own = torch.cat([found[0][row, n - 1 : n], found[1][row]])
        if not agree(own, whole[n - 1 :]):
            return False
    return True


def _stepwise(
    model: Any, ids: Tensor, mask: Tensor, new: Int[Tensor, "batch new"]
) -> tuple[Tensor, Tensor] | None:
    """Logits of prompts and of what follows, the rows turned about in between; None without a cache."""
    prompt, cache = continued(model, ids, mask, None)
    if not isinstance(cache, Cache):
        return None
    turned = torch.arange(len(ids)).flip(0)
    cache.batch_select_indices(turned)
    mask, after = mask[turned], []
    for columns in (new[turned][:, :2], new[turned][:, 2:]):
        mask = torch.cat([mask, torch.ones_like(columns)], dim=1)
        output, cache = continued(model, columns, mask, cache)
        after.append(output)
    return prompt, torch.cat(after, dim=1)[turned]
