"""Continuations of token sequences, greedy or sampled, with something spliced in at the hook point.

Must not: know what is spliced in, or count words.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fispace.lm.batching import EQUAL, groups, require_positions
from fispace.lm.cached import Replacements, continued, keeping
from fispace.lm.hooks import logits, splice
from fispace.lm.windows import PAD_ID, padded

Choose = Callable[[Float[Tensor, "batch vocabulary"], int], Int[Tensor, " batch"]]


def continue_texts(
    model: Any, hook_point: int | str, replace: Replacements, prompts: Sequence[Sequence[int]],
    n_tokens: int, choose: Choose,
) -> Int[np.ndarray, "prompts tokens"]:  # fmt: skip
    """`n_tokens` tokens after each prompt; at each step `choose` picks one per row from the logits.

    What is spliced in at a position must not depend on other positions. Then the keys and values of the
    spliced stream can be cached, and the result equals running the whole sequence at every step. If the
    model does not support the cache, the whole sequence is run.

    Raises:
        ModelError: if a prompt with its continuation is longer than the model has positions for.
    """
    kept = keeping(model, require_room(model, prompts, n_tokens), 1)
    started = _Whole if kept == "nothing" else _Kept
    parts = groups([len(prompt) for prompt in prompts], "padded" if kept == "padded" else EQUAL)
    running = [
        started(model, hook_point, replace, [prompts[row] for row in rows]) for rows in parts
    ]
    order = torch.tensor([row for rows in parts for row in rows]).argsort()
    chosen = torch.empty(len(prompts), 0, dtype=torch.long)
    for step in range(n_tokens):
        output = torch.cat([texts.next_logits() for texts in running])[order].cpu()
        token = choose(output, step)
        chosen = torch.cat([chosen, token[:, None]], dim=1)
        for rows, texts in zip(parts, running, strict=True):
            texts.add(token[rows])
    return chosen.numpy()


def require_room(model: Any, prompts: Sequence[Sequence[int]], n_tokens: int) -> int:
    """Number of tokens that the model reads for `n_tokens` tokens after the longest of the prompts.

    The last token of a continuation is not read.

    Raises:
        ModelError: if the model has fewer positions.
    """
    longest = max(len(prompt) for prompt in prompts)
    n_read = longest + n_tokens - 1
    require_positions(
        model,
        n_read,
        f"a prompt of {longest} tokens and a continuation of {n_tokens} need {n_read}",
    )
    return n_read


class _Kept:
    """Texts in one batch that grow by a token at a time, with a cache."""

    def __init__(
        self, model: Any, hook_point: int | str, replace: Replacements,
        prompts: Sequence[Sequence[int]],
    ) -> None:  # fmt: skip
        self.model, self.hook_point = model, hook_point
        self.replace, self.following = replace.prompt, replace.following
        self.ids, self.mask = padded([np.array(prompt) for prompt in prompts], PAD_ID)
        self.last, self.cache = self.mask.sum(1) - 1, None

    def next_logits(self) -> Float[Tensor, "texts vocabulary"]:
        """Logits of the token after each text."""
        with splice(self.model, self.hook_point, self.replace):
            output, self.cache = continued(self.model, self.ids, self.mask, self.cache)
        return output[torch.arange(len(output)), self.last]

    def add(self, tokens: Int[Tensor, " texts"]) -> None:
        """Lengthen each text by a token."""
        self.ids, self.last = tokens[:, None], torch.zeros_like(self.last)
        self.mask = torch.cat([self.mask, torch.ones_like(self.ids)], dim=1)
        self.replace = self.following


class _Whole:
    """Texts of equal length that grow by a token at a time; every step runs them from the beginning."""

    def __init__(
        self, model: Any, hook_point: int | str, replace: Replacements,
        prompts: Sequence[Sequence[int]],
    ) -> None:  # fmt: skip
        self.model, self.hook_point, self.replace = model, hook_point, replace
        self.ids, self.n_prompt = torch.tensor(prompts), len(prompts[0])

    def next_logits(self) -> Float[Tensor, "texts vocabulary"]:
        """Logits of the token after each text."""
        with splice(self.model, self.hook_point, self._replaced):
            return logits(self.model, self.ids, torch.ones_like(self.ids))[:, -1]

    def add(self, tokens: Int[Tensor, " texts"]) -> None:
        """Lengthen each text by a token."""
        self.ids = torch.cat([self.ids, tokens[:, None]], dim=1)

    def _replaced(
        self, x: Float[Tensor, "texts pos d_model"]
    ) -> Float[Tensor, "texts pos d_model"]:
        if x.shape[1] == self.n_prompt:
            return self.replace.prompt(x)
        parts = (
            self.replace.prompt(x[:, : self.n_prompt]),
            self.replace.following(x[:, self.n_prompt :]),
        )
        return torch.cat([part.to(x.dtype) for part in parts], dim=1)


def greedy(output: Float[Tensor, "batch vocabulary"], _step: int) -> Int[Tensor, " batch"]:
    """The most probable token."""
    return output.argmax(-1)


def sampler(uniforms: Float[np.ndarray, "batch tokens"], temperature: float) -> Choose:
    """A sampler: the token at which the cumulative probability exceeds a given uniform number.

    All conditions use the same numbers, so texts differ only by the condition.
    """

    def choose(output: Tensor, step: int) -> Tensor:
        cumulative = (output.double() / temperature).softmax(-1).cumsum(-1)
        passed = torch.searchsorted(cumulative, torch.from_numpy(uniforms[:, [step]]))[:, 0]
        return passed.clamp(max=output.shape[-1] - 1)

    return choose
