"""Forward passes that go on where others ended: the keys and values of the positions before are kept.

Must not: choose tokens, or know what is spliced in.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fispace.lm.hooks import Replace


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
    output = model(
        input_ids=token_ids, attention_mask=attention_mask, position_ids=positions,
        past_key_values=cache, use_cache=True,
    )  # fmt: skip
    return output.logits, output.past_key_values
