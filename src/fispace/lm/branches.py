"""Lays out prompts, and the beginnings of multi-token words after them, in two batches.

Must not: run a model past the hook point, or change an activation.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fispace.lm.hooks import read_activations
from fispace.lm.score import WordContext, WordPlan
from fispace.lm.windows import PAD_ID, padded


class Pieces(NamedTuple):
    """Tokens of words, and the position in a batch of logits where each is predicted."""

    rows: Int[np.ndarray, " pieces"]
    columns: Int[np.ndarray, " pieces"]
    tokens: Int[np.ndarray, " pieces"]
    prompts: Int[np.ndarray, " pieces"]
    words: Int[np.ndarray, " pieces"]

    def add(self, scores: np.ndarray, output: Float[Tensor, "rows columns vocabulary"]) -> None:
        """Add each token's log-probability (nats) to the score of its word after its prompt."""
        wide = output.double()
        chosen = wide[self.rows, self.columns, self.tokens]
        found = chosen - wide.logsumexp(-1)[self.rows, self.columns]
        np.add.at(scores, (self.prompts, self.words), found.cpu().numpy())


def _pieces(found: Sequence[tuple[int, int, int, int, int]]) -> Pieces:
    return Pieces(*np.array(found, dtype=np.int64).reshape(-1, 5).T)


class Branches(NamedTuple):
    """One batch with a row per prompt, and one with a row per beginning of a word after its prompt."""

    prompt_ids: Int[Tensor, "prompts pos"]
    prompt_mask: Int[Tensor, "prompts pos"]
    prompt_of: Int[Tensor, " starts"]
    """Row of each start's prompt."""
    start_ids: Int[Tensor, "starts new"]
    mask: Int[Tensor, "starts all"]
    """Attention mask over the columns of the prompt and of the start."""
    first: Pieces
    """First tokens of all words, predicted at the end of the prompt."""
    later: Pieces
    """All further tokens, predicted in the starts."""


def laid_out(plan: WordPlan, chosen: list[WordContext], branches: list[WordContext]) -> Branches:
    """The two batches for some contexts; `branches` are the contexts that contain the beginning of a word."""
    numbers = sorted({context.prompt for context in chosen})
    row_of = {number: row for row, number in enumerate(numbers)}
    ids, mask = padded([np.array(plan.prompts[number]) for number in numbers], PAD_ID)
    rows = torch.tensor([row_of[context.prompt] for context in branches])
    starts = [np.array(c.tokens[len(plan.prompts[c.prompt]) :]) for c in branches]
    start_ids, start_mask = padded(starts, PAD_ID)
    first = [
        (row_of[c.prompt], len(plan.prompts[c.prompt]) - 1, piece[0], c.prompt, word)
        for c in chosen
        for word, piece in zip(c.words, c.pieces.tolist(), strict=True)
    ]
    later = [
        (row, place, token, c.prompt, word)
        for row, c in enumerate(branches)
        for word, piece in zip(c.words, c.pieces.tolist(), strict=True)
        for place, token in enumerate(piece[1:])
    ]
    whole_mask = torch.cat([mask[rows], start_mask], dim=1)
    return Branches(ids, mask, rows, start_ids, whole_mask, _pieces(first), _pieces(later))


def held_after(
    model: Any, hook_point: int | str, branches: list[WordContext],
    n_prompt: Int[Tensor, " rows"], width: int,
) -> Float[Tensor, "rows width d_model"]:  # fmt: skip
    """Activations at the hook point at the first `width` positions after each row's prompt."""
    ids, mask = padded([np.array(context.tokens) for context in branches], PAD_ID)
    held = read_activations(model, hook_point, ids, mask)
    places = (n_prompt[:, None] + torch.arange(width)).clamp(max=ids.shape[1] - 1)
    return held[torch.arange(len(branches))[:, None], places]
