"""Continuations of token sequences, greedy or sampled, with something spliced in at the hook point.

Must not: know what is spliced in, or count words.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fispace.lm.hooks import Replace, continued_logits, splice
from fispace.lm.windows import padded

PAD_ID = 0
"""Any token: padding lies to the right, where a causal model does not see it."""

Choose = Callable[[Float[Tensor, "batch vocabulary"], int], Int[Tensor, " batch"]]


class Replacements(NamedTuple):
    """What is spliced in at the hook point, position by position."""

    prompt: Replace
    """For a whole prompt, its BOS included."""
    following: Replace
    """For one position after it."""


@torch.no_grad()
def continue_texts(
    model: Any, hook_point: int | str, replace: Replacements, prompts: Sequence[Sequence[int]],
    n_tokens: int, choose: Choose,
) -> Int[np.ndarray, "prompts tokens"]:  # fmt: skip
    """`n_tokens` tokens after each prompt; `choose` picks one a row from the next-token logits.

    Keys and values of the positions before are kept, those of the spliced stream: what is spliced
    in at a position depends on no other, so this equals running the whole sequence at every step.
    """
    ids, mask = padded([np.array(prompt) for prompt in prompts], PAD_ID)
    n_before = mask.sum(1)
    cache, chosen = None, torch.empty(len(prompts), 0, dtype=torch.long)
    for step in range(n_tokens):
        if step:
            ids, n_before = chosen[:, -1:], n_before + 1
            mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
        with splice(model, hook_point, replace.following if step else replace.prompt):
            output, cache = continued_logits(model, ids, mask, n_before - 1, cache)
        chosen = torch.cat([chosen, choose(output, step)[:, None]], dim=1)
    return chosen.numpy()


def greedy(output: Float[Tensor, "batch vocabulary"], _step: int) -> Int[Tensor, " batch"]:
    """The most probable token."""
    return output.argmax(-1)


def sampler(uniforms: Float[np.ndarray, "batch tokens"], temperature: float) -> Choose:
    """Token at which the cumulative probability passes a given uniform number.

    The same numbers serve every condition: what differs between two texts is the condition.
    """

    def choose(output: Tensor, step: int) -> Tensor:
        cumulative = (output.double() / temperature).softmax(-1).cumsum(-1)
        passed = torch.searchsorted(cumulative, torch.from_numpy(uniforms[:, [step]]))[:, 0]
        return passed.clamp(max=output.shape[-1] - 1)

    return choose
