"""Log-probabilities of words after prompts, under many variants of the activations at the hook point.

Must not: know what a variant means, or which words matter.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fispace.lm.batching import EQUAL, groups
from fispace.lm.branches import held_after, laid_out
from fispace.lm.cached import Keeping, continued, keeping
from fispace.lm.hooks import logits_after, read_activations, splice
from fispace.lm.probe import TOLERANCE, refusal
from fispace.lm.score import (
    WordContext,
    WordPlan,
    collect,
    require_plan_fits,
    score_words,
)
from fispace.lm.windows import PAD_ID, padded

Variants = Callable[
    [Float[Tensor, "batch pos d_model"]], Iterator[Float[Tensor, "batch pos d_model"]]
]
"""From activations at the hook point to several variants of them, one at a time."""


class Moves(NamedTuple):
    """The variants by position: for a prompt, BOS included, and for the positions after it."""

    prompt: Variants
    following: Variants


def score_moved(
    model: Any, hook_point: int | str, plan: WordPlan, batch_contexts: int, moves: Moves,
    n_moves: int,
) -> Float[np.ndarray, "moves prompts words"]:  # fmt: skip
    """`score_words` once for each variant that `moves` makes of the activations at the hook point.

    A variant at a position must not depend on other positions. Then the blocks up to the hook point are run
    only once for all variants. If words have several tokens and the model can cache a prompt, each
    variant runs a prompt once, and after it only the tokens of the words.

    Raises:
        ModelError: if a prompt with its words is longer than the model has positions for.
    """
    scores = np.zeros((n_moves, len(plan.prompts), plan.n_words))
    require_plan_fits(model, plan)
    kept = _kept(model, plan)
    for chosen in _by_prompt(plan, batch_contexts, kept == EQUAL):
        branches = [c for c in chosen if len(c.tokens) > len(plan.prompts[c.prompt])]
        score = _score_branches if branches and kept != "nothing" else _score_contexts
        score(model, hook_point, plan, chosen, moves, scores)
    return scores


def _kept(model: Any, plan: WordPlan) -> Keeping:
    """What is cached of prompts: nothing if all words have one token, scored at the end of the prompt."""
    n_prompts = [len(plan.prompts[context.prompt]) for context in plan.contexts]
    n_new = [len(c.tokens) - n for c, n in zip(plan.contexts, n_prompts, strict=True)]
    if not any(n_new):
        return "nothing"
    return keeping(model, max(n_prompts) + max(n_new), max(n_new))


def _by_prompt(plan: WordPlan, size: int, equal: bool) -> Iterator[list[WordContext]]:
    """Batches of contexts: all contexts of prompts of similar length, at most `size` unless of one prompt.

    With `equal`, all prompts of a batch have the same length.
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
    """Score without a cache: every context is a row of its own, and each variant runs all of it."""
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
    """The variants of whole contexts, joined from those of prompts and those of the positions after them."""
    if not is_after.any():
        yield from moves.prompt(held)
        return
    is_after = is_after.to(held.device)
    for moved, after in zip(moves.prompt(held), moves.following(held), strict=True):
        yield torch.where(is_after[..., None], after, moved)


def _score_branches(
    model: Any, hook_point: int | str, plan: WordPlan, chosen: list[WordContext], moves: Moves,
    scores: Float[np.ndarray, "moves prompts words"],
) -> None:  # fmt: skip
    """Score with a cache: each variant runs the prompts, and then the beginnings of words after them."""
    branches = [c for c in chosen if len(c.tokens) > len(plan.prompts[c.prompt])]
    at = laid_out(plan, chosen, branches)
    n_prompt = at.prompt_mask.sum(1)[at.prompt_of]
    held = read_activations(model, hook_point, at.prompt_ids, at.prompt_mask)
    after = held_after(model, hook_point, branches, n_prompt, at.start_ids.shape[1])
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


def prompt_log_probs(
    model: Any, hook_point: int | str, plan: WordPlan, numbers: Sequence[int], moves: Moves
) -> Float[np.ndarray, "prompts vocabulary"]:
    """Log-probabilities (nats, float64) of the token after each of these prompts, under the first move.

    By the passes that `score_moved` makes of this plan: kept prompts, or whole contexts.
    """
    prompts = [np.array(plan.prompts[number]) for number in numbers]
    kept = _kept(model, plan)
    parts = groups([len(prompt) for prompt in prompts], EQUAL if kept == EQUAL else "padded")
    found: list[Tensor] = []
    for rows in parts:
        ids, mask = padded([prompts[row] for row in rows], PAD_ID)
        held = read_activations(model, hook_point, ids, mask)
        moved = next(iter(moves.prompt(held))).to(held.dtype)
        if kept == "nothing":
            output = logits_after(model, hook_point, moved, ids, mask)
        else:
            output, _ = _prompt_pass(model, hook_point, ids, mask, moved)
        found.append(output[torch.arange(len(rows)), mask.sum(1) - 1])
    order = torch.tensor([row for rows in parts for row in rows]).argsort()
    return torch.cat(found)[order].double().log_softmax(-1).cpu().numpy()


def score_checked(
    model: Any, hook_point: int | str, plan: WordPlan, batch_contexts: int, moves: Moves,
    n_moves: int,
) -> Float[np.ndarray, "moves prompts words"]:  # fmt: skip
    """`score_moved`, with one more move, which moves nothing, through the same passes.

    Raises:
        ModelError: as `score_moved`, or if the scores under that move are not those of plain passes.
    """
    checked = Moves(*(_and_unmoved(variants) for variants in moves))
    *scores, unmoved = score_moved(model, hook_point, plan, batch_contexts, checked, n_moves + 1)
    plain = score_words(model, plan, batch_contexts)
    error = np.abs(unmoved - plain)
    if not (error <= TOLERANCE[model.dtype] * np.maximum(np.abs(plain), 1)).all():
        raise refusal(
            model, "scores", "with its own activations at the hook point the words' log-probabilities "
            f"differ from those of plain passes by up to {np.nanmax(error):.2g} nats.",
            "Report this architecture; until then give words of one token.",
        )  # fmt: skip
    return np.stack(scores)


def _and_unmoved(variants: Variants) -> Variants:
    return lambda x: chain(variants(x), [x])
