"""Continuations of prompts while one latent is clamped.

Must not: define an intervention; `Arm.moved` does.
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from fispace.errors import CorpusError, ParamsError
from fispace.library.arms import Arm
from fispace.library.given import given_texts
from fispace.library.language_model import LanguageModel
from fispace.lm.cached import Replacements
from fispace.lm.generate import continue_texts, greedy, sampler
from fispace.lm.hooks import Replace
from fispace.lm.score import plan_words, require_scorable
from fispace.models.interventions import Mode
from fispace.seeds import numpy_stream


def generate(
    lm: LanguageModel,
    prompts: Sequence[str],
    *,
    n_tokens: int = 20,
    arm: Arm | None = None,
    latent: int | None = None,
    amount: float = 1.0,
    mode: Mode = "multiply",
    temperature: float | None = None,
    add_bos: bool | None = None,
    seed: int = 0,
) -> list[str]:
    """The continuation of each prompt by `n_tokens` tokens, greedy, or sampled at a temperature.

    With `arm` and `latent`, the latent's activation is multiplied by `amount`, or set to it (`mode` set), at
    every token but BOS; everything else at the hook point is kept. Sampling uses the same random numbers for
    every intervention with the same seed.

    Raises:
        CorpusError: if the prompts are not a list of texts, or one has no token.
        ParamsError: if one of `arm` and `latent` is missing, or there is no such latent.
        ModelError: if a prompt with its continuation is longer than the model has positions for, or holds a
            token that the model does not embed.
    """
    if (arm is None) != (latent is None):
        raise ParamsError("generate: give `arm` and `latent` together, or neither.")
    texts = given_texts(prompts, "prompts")
    n_prefix = int(lm.has_bos if add_bos is None else add_bos)
    plan = plan_words(lm.tokenizer, texts, [], bool(n_prefix))
    if () in plan.prompts:
        raise CorpusError(
            f"prompts[{plan.prompts.index(())}] has no token to continue. Give a text, or add_bos=True where "
            "the tokenizer has a BOS."
        )
    require_scorable(lm.model, lm.tokenizer, plan, texts, [])
    choose = greedy
    if temperature is not None:
        uniforms = numpy_stream(seed, "library", "generate").random((len(texts), n_tokens))
        choose = sampler(uniforms, temperature)
    moves = Replacements(*(_moves(arm, latent, amount, mode, n) for n in (n_prefix, 0)))
    tokens = continue_texts(lm.model, lm.hook_point, moves, plan.prompts, n_tokens, choose)
    return [lm.tokenizer.decode(row) for row in np.asarray(tokens)]


def _moves(
    arm: Arm | None, latent: int | None, amount: float, mode: Mode, n_prefix: int
) -> Replace:
    """The intervention at all positions but the first `n_prefix`."""

    def replace(x: Tensor) -> Tensor:
        if arm is None or latent is None:
            return x
        moved = x.clone()
        moved[:, n_prefix:] = arm.moved(x[:, n_prefix:], latent, amount, mode)
        return moved

    return replace
