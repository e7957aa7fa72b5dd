"""The logit lens: what the language model's own final norm and head read from a vector.

Must not: know where the vector comes from.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fispace.lm.anatomy import anatomy_of
from fispace.lm.batching import n_positions
from fispace.lm.hooks import logits_after
from fispace.lm.probe import probe_text

MOST_POSITIONS = 128
"""Vectors that one pass of the head reads."""


class Moved(NamedTuple):
    """Tokens whose logits a direction moves most, and by how much."""

    promoted: Int[Tensor, "directions n"]
    gains: Float[Tensor, "directions n"]
    """Change of their logits, largest first."""
    suppressed: Int[Tensor, "directions n"]
    losses: Float[Tensor, "directions n"]
    """Change of their logits, lowest first."""


def reads_width(model: Any, width: int) -> bool:
    """Whether the final norm and head can read vectors of this width: that of the last block's output."""
    parts = anatomy_of(model)
    last = parts.outputs.get(f"{parts.blocks_path}.{parts.n_blocks - 1}")
    return last is not None and last.width == width


def moved_tokens(
    model: Any,
    mean: Float[Tensor, " d_model"],
    directions: Float[Tensor, "directions d_model"],
    n: int,
) -> Iterator[Moved]:
    """Tokens whose logits change most from `mean` to `mean` plus a direction, some directions at a time.

    change = head(norm(mean + direction)) - head(norm(mean)), in logits. No block runs in between: the
    direction is read as if it came out of the last block. Source: nostalgebraist 2020 (logit lens).
    """
    base = head_logits(model, mean[None])[0]
    n = min(n, len(base))
    for some in directions.split(_positions(model)):
        change = head_logits(model, mean + some) - base
        gains, losses = change.topk(n, dim=1), change.topk(n, dim=1, largest=False)
        yield Moved(gains.indices, gains.values, losses.indices, losses.values)


def head_logits(
    model: Any, states: Float[Tensor, "states d_model"]
) -> Float[Tensor, "states vocabulary"]:
    """Logits of the final norm and head alone, for each vector as the last block's output."""
    found: list[Tensor] = []
    for some in states.split(_positions(model)):
        ids = probe_text(model, len(some))[None]
        last = anatomy_of(model).n_blocks - 1
        found.append(
            logits_after(model, last, some[None].to(_dtype(model)), ids, torch.ones_like(ids))[0]
        )
    return torch.cat(found).float()


def _positions(model: Any) -> int:
    return min(MOST_POSITIONS, n_positions(model) or MOST_POSITIONS)


def _dtype(model: Any) -> torch.dtype:
    return next(model.parameters()).dtype
