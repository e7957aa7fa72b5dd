"""Forward passes that go on where others ended: the keys and values of the positions before are kept.

What an architecture keeps, and whether padding may lie inside it, is measured once a model and
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
"""What a model may keep of prompts in one batch: everything, everything of prompts of one length, or
nothing, so that every pass begins at the first token."""

SHORT = (3, 5, PROBE_TOKENS)
"""Lengths of short prompts beside a long one: one of them ends inside a chunk, whatever its length."""

STEPS = {False: (1, 1, 1), True: (2, 1)}
"""Tokens that a measurement feeds after a prompt, step by step: always one, or at first several."""

N_NEW = sum(STEPS[False])


KEPT = "past_key_values"
"""What most architectures call the cache; state-space models say `cache_params`."""


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
    name = "cache_params" if "cache_params" in inspect.signature(model.forward).parameters else KEPT
    output = call(
        model, input_ids=token_ids, attention_mask=attention_mask, position_ids=positions,
        use_cache=True, **{name: cache},
    )  # fmt: skip
    return output.logits, getattr(output, name, None)


def keeping(model: Any, n_columns: int, n_fed: int) -> Keeping:
    """What the model may keep of prompts, where the longest, with all that follows, has `n_columns`.

    `n_fed` is the most tokens that follow a prompt at once.
    """
    if not _prefixes_are_stable(model, n_columns):
        return "nothing"
    if _KEEPS["padded", n_fed > 1](model, n_columns):
        return "padded"
    return EQUAL if _KEEPS[EQUAL, n_fed > 1](model, n_columns) else "nothing"


@UpToALength
def _prefixes_are_stable(model: Any, n_tokens: int) -> bool:
    """Whether the first tokens of a text of `n_tokens` get the logits that they get without the others.

    Not so where a text's length has a say, as in rotary positions that are scaled beyond some length.
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
        return all(_goes_on(model, lengths, STEPS[several]) for lengths in batches)

    return UpToALength(measure)


_KEEPS: dict[tuple[Keeping, bool], UpToALength] = {
    (kept, several): _measured(kept, several) for kept in ("padded", EQUAL) for several in STEPS
}
"""Whether texts go on right after prompts of all lengths, or of one; a token at a time, or several."""


def _goes_on(model: Any, lengths: Sequence[int], steps: Sequence[int]) -> bool:
    """Whether passes that go on after prompts give the logits of whole passes over each text alone."""
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
    """Logits of prompts and of what follows, the rows turned about in between; None without a cache."""
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
