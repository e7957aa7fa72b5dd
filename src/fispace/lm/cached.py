"""Forward passes that continue earlier ones with a key/value cache.

What an architecture can cache, and whether the cache may contain padding, is measured once per model and
length. Must not: choose tokens, or know what is spliced in.
"""

import inspect
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import Cache

from fispace.lm.batching import EQUAL
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
"""Which prompts in one batch may be cached: all; only those of equal length; or none, so that every pass
begins at the first token."""

SHORT = (3, 5, PROBE_TOKENS)
"""Lengths of short prompts in a batch with a long one. Whatever the length of an attention chunk, one of
them ends inside a chunk."""

FED_TOKENS = {False: (1, 1, 1), True: (2, 1)}
"""Tokens that a measurement feeds after a prompt at each step: one each, or first two (if several)."""

N_NEW = sum(FED_TOKENS[False])


KEPT = "past_key_values"
"""Name of the cache in most architectures; in state-space models it is `cache_params`."""


class Replacements(NamedTuple):
    """Replacements at the hook point, by position."""

    prompt: Replace
    """For all positions of a prompt, BOS included."""
    following: Replace
    """For the positions after it."""


@torch.no_grad()
def continued(
    model: Any, token_ids: Int[Tensor, "batch new"], attention_mask: Int[Tensor, "batch pos"],
    cache: Any,
) -> tuple[Float[Tensor, "batch new vocabulary"], Any]:  # fmt: skip
    """Next-token logits of the columns that are not in the cache yet, and the cache extended by them.

    `attention_mask` covers all columns; `cache` is None at first. Prompts and what follows them are padded
    on the right, each on its own; positions count only tokens that are not padding.
    """
    positions = (attention_mask.cumsum(1) - 1).clamp(min=0)[:, -token_ids.shape[1] :]
    name = "cache_params" if "cache_params" in inspect.signature(model.forward).parameters else KEPT
    output = call(
        model, input_ids=token_ids, attention_mask=attention_mask, position_ids=positions,
        use_cache=True, **{name: cache},
    )  # fmt: skip
    return output.logits, getattr(output, name, None)


def keeping(model: Any, n_columns: int, n_fed: int) -> Keeping:
    """Which prompts the model may cache if the longest text, continuation included, has `n_columns` tokens.

    `n_fed` is the largest number of tokens fed after a prompt in one pass.
    """
    if not _prefixes_are_stable(model, n_columns):
        return "nothing"
    if _KEEPS["padded", n_fed > 1](model, n_columns):
        return "padded"
    return EQUAL if _KEEPS[EQUAL, n_fed > 1](model, n_columns) else "nothing"


@UpToALength
def _prefixes_are_stable(model: Any, n_tokens: int) -> bool:
    """Whether the first tokens of a text get the same logits with and without the rest of its `n_tokens`.

    They do not if the text's length matters, as with rotary positions that are rescaled for long texts.
    """
    text = probe_text(model, n_tokens)
    whole, first = (
        plain_pass(model, ids[None], torch.ones(1, len(ids), dtype=torch.long))
        for ids in (text, text[: SHORT[0]])
    )
    return agree(model, whole[:, : first.shape[1]], first)


def _measured(kept: Keeping, several: bool) -> UpToALength:
    def measure(model: Any, n_columns: int) -> bool:
        long = max(n_columns - N_NEW, 1)
        short = [min(n, long) for n in SHORT]
        batches = [[*short, long]] if kept == "padded" else [[long, long], [short[0]] * 2]
        return all(_goes_on(model, lengths, FED_TOKENS[several]) for lengths in batches)

    return UpToALength(measure)


_KEEPS: dict[tuple[Keeping, bool], UpToALength] = {
    (kept, several): _measured(kept, several)
    for kept in ("padded", EQUAL)
    for several in FED_TOKENS
}
"""Tests whether continued passes are right: after prompts of any or of equal length (padded or not), one
token at a time or several."""


def _goes_on(model: Any, lengths: Sequence[int], steps: Sequence[int]) -> bool:
    """Whether continued passes give the same logits as a whole pass over each text alone."""
    texts = [probe_text(model, n + N_NEW, first=i) for i, n in enumerate(lengths)]
    prompts = [text[:n] for text, n in zip(texts, lengths, strict=True)]
    ids = pad_sequence(prompts, batch_first=True)
    mask = pad_sequence([torch.ones_like(prompt) for prompt in prompts], batch_first=True)
    new = torch.stack([text[n:] for text, n in zip(texts, lengths, strict=True)])
    try:
        found = _stepwise(model, ids, mask, list(new.split(list(steps), dim=1)))
    except REFUSALS:
        return False
    if found is None:
        return False
    for row, (text, n) in enumerate(zip(texts, lengths, strict=True)):
        whole = plain_pass(model, text[None], torch.ones(1, len(text), dtype=torch.long))[0]
        if not agree(model, torch.cat([found[0][row, n - 1 : n], found[1][row]]), whole[n - 1 :]):
            return False
    return True


def _stepwise(
    model: Any, ids: Tensor, mask: Tensor, new: Sequence[Int[Tensor, "batch new"]]
) -> tuple[Tensor, Tensor] | None:
    """Logits of the prompts and of what follows, with the rows reversed in between; None without a cache."""
    prompt, cache = continued(model, ids, mask, None)
    if not isinstance(cache, Cache):
        return None
    turned: Any = torch.arange(len(ids)).flip(0)  # the cache asks for a legacy tensor type
    cache.reorder_cache(turned)
    mask, after = mask[turned], []
    for columns in new:
        mask = torch.cat([mask, torch.ones_like(columns)], dim=1)
        output, cache = continued(model, columns[turned], mask, cache)
        after.append(output)
    return prompt, torch.cat(after, dim=1)[turned]
