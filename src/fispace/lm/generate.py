"""Continuations of token sequences, greedy or sampled, with something spliced in at the hook point.

Must not: know what is spliced in, or count words.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fispace.lm.hooks import Replace, logits, splice
from fispace.lm.windows import padded

PAD_ID = 0
"""Any token: padding lies to the right, where a causal model does not see it."""

Choose = Callable[[Float[Tensor, "batch vocabulary"], int], Int[Tensor, " batch"]]


@torch.no_grad()
def continue_texts(
    model: Any, hook_point: int | str, replace: Replace, prompts: Sequence[Sequence[int]],
    n_tokens: int, choose: Choose,
) -> Int[np.ndarray, "prompts tokens"]:  # fmt: skip
    """`n_tokens` tokens after each prompt; `choose` picks one a row from the next-token logits.

    Every step runs the whole sequence: what is spliced in sees every position of every step.
    """
    rows = [list(prompt) for prompt in prompts]
    with splice(model, hook_point, replace):
        for step in range(n_tokens):
            ids, mask = padded([np.array(row) for row in rows], PAD_ID)
            last = torch.tensor([len(row) - 1 for row in rows])
            output = logits(model, ids, mask)[torch.arange(len(rows)), last]
            for row, token in zip(rows, choose(output, step).tolist(), strict=True):
                row.append(token)
    return np.array([row[-n_tokens:] for row in rows])


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
