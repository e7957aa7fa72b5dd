"""Continuations of token sequences, greedy or sampled, with something spliced in at the hook point.

Must not: know what is spliced in, or count words.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fispace.lm.cached import Replacements, continued
from fispace.lm.hooks import splice
from fispace.lm.windows import padded

PAD_ID = 0
"""Any token: padding lies to the right, where a causal model does not see it."""

Choose = Callable[[Float[Tensor, "batch vocabulary"], int], Int[Tensor, " batch"]]


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
    last, rows = mask.sum(1) - 1, torch.arange(len(prompts))
    cache, chosen = None, torch.empty(len(prompts), 0, dtype=torch.long)
    for step in range(n_tokens):
        with splice(model, hook_point, replace.following if step else replace.prompt):
            output, cache = continued(model, ids, mask, cache)
        token = choose(output[rows, last], step)
        chosen = torch.cat([chosen, token[:, None]], dim=1)
        ids, last = token[:, None], torch.zeros_like(last)
        mask = torch.cat([mask, torch.ones_like(ids)], dim=1)
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
