"""What every job checks of a model before it uses it: some passes over two short texts.

Must not: go by the name of an architecture, or read a text of the study.
"""

from typing import Any

import torch

from fispace.lm.anatomy import N_SHARED, require_causal, two_texts
from fispace.lm.batching import rows_are_independent
from fispace.lm.hooks import logits, read_activations, resolve_hook_point, splice
from fispace.lm.probe import PROBE_TOKENS, TOLERANCE, deviation, refusal


def self_test(model: Any, hook_point: int | str) -> None:
    """Refuse a model, or a hook point in it, that the study's measures are not defined for.

    Checked: the model runs on token ids alone, its logits are finite, and no token sees those after
    it; the hook point gives one vector a token, in one call a pass, and is causal as well; putting
    its own activations back changes no logit.

    Raises:
        ModelError: if a check of the model fails; the message names it and the model's class.
        HookPointError: if the hook point does not exist or does not serve.
    """
    resolve_hook_point(model, hook_point)
    rows_are_independent(model, PROBE_TOKENS)  # measured now, not inside somebody's first batch
    ids = two_texts(model)
    mask = torch.ones_like(ids)
    own = read_activations(model, hook_point, ids, mask)
    require_causal(model, own[:, :N_SHARED])
    expected = logits(model, ids, mask)
    with splice(model, hook_point, lambda x: own if len(x) == len(own) else x):
        spliced = logits(model, ids, mask)
    found = deviation(spliced, expected)
    if not found <= TOLERANCE[expected.dtype]:
        raise refusal(
            model, "splice", f"its own activations put back at {hook_point!r} change its logits by "
            f"{found:.1%} (relative length of the difference).",
            "The output of this module is changed after the fact, or is not all that later ones "
            "read. Take another lm.hook_point.",
        )  # fmt: skip
