"""Prompts, and after each the starts of words of several tokens: how they are laid out in two batches.

Must not: run a model past the hook point, or move an activation.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fispace.lm.hooks import read_activations
from fispace.lm.score import PAD_ID, WordContext, WordPlan
from fispace.lm.windows import padded


class Pieces(NamedTuple):
    """Tokens of words, and where in a batch of logits each is predicted."""

    rows: Int[np.ndarray, " pieces"]
    columns: Int[np.ndarray, " pieces"]
    tokens: Int[np.ndarray, " pieces"]
    prompts: Int[np.ndarray, " pieces"]
    words: Int[np.ndarray, " pieces"]

    def add(self, scores: np.ndarray, output: Float[Tensor, "rows columns vocabulary"]) -> None:
        """Add each token's log-probability to its word's score after its prompt."""
        wide = output.double()
        chosen = wide[self.rows, self.columns, self.tokens]
        found = chosen - wide.logsumexp(-1)[self.rows, self.columns]
        np.add.at(scores, (self.prompts, self.words), found.numpy())


def _pieces(found: Sequence[tuple[int, int, int, int, int]]) -> Pieces:
    return Pieces(*np.array(found, dtype=np.int64).reshape(-1, 5).T)


class Branches(NamedTuple):
    """Prompts, a row each, and the starts of words of several tokens after them, a row each."""

    prompt_ids: Int[Tensor, "prompts pos"]
    prompt_mask: Int[Tensor, "prompts pos"]
    prompt_of: Int[Tensor, " starts"]
    """Row of each start's prompt."""
    start_ids: Int[Tensor, "starts new"]
    mask: Int[Tensor, "starts all"]
    """Of the prompt's columns and of the start's."""
    first: Pieces
    """First tokens of all words, predicted at the end of their prompt."""
    later: Pieces
    """The others, predicted in the starts."""


def laid_out(plan: WordPlan, chosen: list[WordContext], branches: list[WordContext]) -> Branches:
    """The two batches of some contexts; `branches` are those of them that begin a word."""
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
    """What the hook point holds at the first `width` positions after each row's prompt."""
    ids, mask = padded([np.array(context.tokens) for context in branches], PAD_ID)
    held = read_activations(model, hook_point, ids, mask)
    places = (n_prompt[:, None] + torch.arange(width)).clamp(max=ids.shape[1] - 1)
    return held[torch.arange(len(branches))[:, None], places]
