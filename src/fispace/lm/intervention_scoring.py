"""Log-probabilities of words after prompts, under many variants of what the hook point holds.

Must not: know what a variant means, or which words matter.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fispace.lm.batching import groups
from fispace.lm.cached import Keeping, continued, keeping
from fispace.lm.hooks import logits_after, read_activations, splice
from fispace.lm.score import PAD_ID, WordContext, WordPlan, collect, require_plan_fits
from fispace.lm.windows import padded

Variants = Callable[
    [Float[Tensor, "batch pos d_model"]], Iterator[Float[Tensor, "batch pos d_model"]]
]
"""Activations at the hook point to several variants of them, one at a time."""


class Moves(NamedTuple):
    """The variants of every position: those of a prompt, its BOS included, and those after it."""

    prompt: Variants
    following: Variants


def score_moved(
    model: Any, hook_point: int | str, plan: WordPlan, batch_contexts: int, moves: Moves,
    n_moves: int,
) -> Float[np.ndarray, "moves prompts words"]:  # fmt: skip
    """`score_words` once for each activation that `moves` makes of what the hook point holds.

    A move of a position must depend on no other position. Then what no move changes is computed once
    for all: the blocks up to the hook point; and where words have several tokens and the model can
    keep what it has computed of a prompt, each move runs a prompt once, and only the words' own
    tokens after it.

    Raises:
        ModelError: if a prompt with its words is longer than the model has positions for.
    """
    scores = np.zeros((n_moves, len(plan.prompts), plan.n_words))
    require_plan_fits(model, plan)
    kept = _kept(model, plan)
    for chosen in _by_prompt(plan, batch_contexts, kept == "equal lengths"):
        branches = [c for c in chosen if len(c.tokens) > len(plan.prompts[c.prompt])]
        score = _score_branches if branches and kept != "nothing" else _score_contexts
        score(model, hook_point, plan, chosen, moves, scores)
    return scores


def _kept(model: Any, plan: WordPlan) -> Keeping:
    """What is kept of prompts: of no use where all words have one token, read off a prompt's end."""
    n_prompts = [len(plan.prompts[context.prompt]) for context in plan.contexts]
    n_new = [len(c.tokens) - n for c, n in zip(plan.contexts, n_prompts, strict=True)]
    if not any(n_new):
        return "nothing"
    return keeping(model, max(n_prompts) + max(n_new), max(n_new))


def _by_prompt(plan: WordPlan, size: int, equal: bool) -> Iterator[list[WordContext]]:
    """All contexts of some prompts of similar length: at most `size`, or those of one prompt.

    With `equal`, of prompts of the same length.
    """
    of_prompt: dict[int, list[WordContext]] = {}
    for context in plan.contexts:
        of_prompt.setdefault(context.prompt, []).append(context)
    chosen: list[WordContext] = []
    for number in sorted(of_prompt, key=lambda number: len(plan.prompts[number])):
        is_longer = bool(chosen) and len(plan.prompts[number]) > len(plan.prompts[chosen[0].prompt])
        is_full = len(chosen) + len(of_prompt[number]) > size
        if chosen and (is_full or (equal and is_longer)):
            yield chosen
            chosen = []
        chosen = [*chosen, *of_prompt[number]]
    yield chosen


def _score_contexts(
    model: Any, hook_point: int | str, plan: WordPlan, chosen: list[WordContext], moves: Moves,
    scores: Float[np.ndarray, "moves prompts words"],
) -> None:  # fmt: skip
    """Every context in a pass of its own: words of one token are read off the end of their prompt."""
    ids, mask = padded([np.array(context.tokens) for context in chosen], PAD_ID)
    held = read_activations(model, hook_point, ids, mask)
    n_prompt = torch.tensor([len(plan.prompts[context.prompt]) for context in chosen])
    is_after = (torch.arange(ids.shape[1]) >= n_prompt[:, None]) & (mask == 1)
    for number, moved in enumerate(_moved(moves, held, is_after)):
        output = logits_after(model, hook_point, moved.to(held.dtype), ids, mask)
        collect(scores[number], chosen, output)


def _moved(
    moves: Moves, held: Float[Tensor, "batch pos d_model"], is_after: Bool[Tensor, "batch pos"]
) -> Iterator[Float[Tensor, "batch pos d_model"]]:
    """The variants of whole contexts: those of their prompts, and those of the positions after them."""
    if not is_after.any():
        yield from moves.prompt(held)
        return
    for moved, after in zip(moves.prompt(held), moves.following(held), strict=True):
        yield torch.where(is_after[..., None], after, moved)


class _Pieces(NamedTuple):
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


def _pieces(found: Sequence[tuple[int, int, int, int, int]]) -> _Pieces:
    return _Pieces(*np.array(found, dtype=np.int64).reshape(-1, 5).T)


class _Branches(NamedTuple):
    """Prompts, a row each, and the starts of words of several tokens after them, a row each."""

    prompt_ids: Int[Tensor, "prompts pos"]
    prompt_mask: Int[Tensor, "prompts pos"]
    prompt_of: Int[Tensor, " starts"]
    """Row of each start's prompt."""
    start_ids: Int[Tensor, "starts new"]
    mask: Int[Tensor, "starts all"]
    """Of the prompt's columns and of the start's."""
    first: _Pieces
    """First tokens of all words, predicted at the end of their prompt."""
    later: _Pieces
    """The others, predicted in the starts."""


def _laid_out(plan: WordPlan, chosen: list[WordContext], branches: list[WordContext]) -> _Branches:
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
    return _Branches(ids, mask, rows, start_ids, whole_mask, _pieces(first), _pieces(later))


def _score_branches(
    model: Any, hook_point: int | str, plan: WordPlan, chosen: list[WordContext], moves: Moves,
    scores: Float[np.ndarray, "moves prompts words"],
) -> None:  # fmt: skip
    """Words of several tokens: each move runs the prompts, and then the words' starts after them."""
    branches = [c for c in chosen if len(c.tokens) > len(plan.prompts[c.prompt])]
    at = _laid_out(plan, chosen, branches)
    n_prompt = at.prompt_mask.sum(1)[at.prompt_of]
    held = read_activations(model, hook_point, at.prompt_ids, at.prompt_mask)
    after = _held_after(model, hook_point, branches, n_prompt, at.start_ids.shape[1])
    variants = zip(moves.prompt(held), moves.following(after), strict=True)
    for own, (moved, moved_after) in zip(scores, variants, strict=True):
        output, cache = _prompt_pass(model, hook_point, at.prompt_ids, at.prompt_mask, moved)
        at.first.add(own, output)
        cache.reorder_cache(at.prompt_of)
        with splice(model, hook_point, lambda _, own=moved_after: own):
            output, _ = continued(model, at.start_ids, at.mask, cache)
        at.later.add(own, output)


def _prompt_pass(
    model: Any, hook_point: int | str, ids: Tensor, mask: Tensor, activations: Tensor
) -> tuple[Float[Tensor, "prompts pos vocabulary"], Any]:
    """Logits of prompts with the given activations at the hook point, and what the model keeps of them."""
    with splice(model, hook_point, lambda _: activations):
        return continued(model, ids, mask, None)


def _held_after(
    model: Any, hook_point: int | str, branches: list[WordContext],
    n_prompt: Int[Tensor, " rows"], width: int,
) -> Float[Tensor, "rows width d_model"]:  # fmt: skip
    """What the hook point holds at the first `width` positions after each row's prompt."""
    ids, mask = padded([np.array(context.tokens) for context in branches], PAD_ID)
    held = read_activations(model, hook_point, ids, mask)
    places = (n_prompt[:, None] + torch.arange(width)).clamp(max=ids.shape[1] - 1)
    return held[torch.arange(len(branches))[:, None], places]


def prompt_log_probs(
    model: Any, hook_point: int | str, plan: WordPlan, numbers: Sequence[int], moves: Moves
) -> Float[np.ndarray, "prompts vocabulary"]:
    """Log-probabilities (nats, float64) of the token after each of these prompts, under the first move.

    By the passes that `score_moved` makes of this plan: kept prompts, or whole contexts.
    """
    prompts = [np.array(plan.prompts[number]) for number in numbers]
    kept = _kept(model, plan)
    found = torch.empty(0)
    shared = "equal lengths" if kept == "equal lengths" else "padded"
    for rows in groups([len(prompt) for prompt in prompts], shared):
        ids, mask = padded([prompts[row] for row in rows], PAD_ID)
        held = read_activations(model, hook_point, ids, mask)
        moved = next(iter(moves.prompt(held))).to(held.dtype)
        if kept == "nothing":
            output = logits_after(model, hook_point, moved, ids, mask)
        else:
            output, _ = _prompt_pass(model, hook_point, ids, mask, moved)
        last = output[torch.arange(len(rows)), mask.sum(1) - 1].double().log_softmax(-1)
        found = found if len(found) else torch.empty(len(prompts), last.shape[1]).double()
        found[rows] = last
    return found.numpy()
