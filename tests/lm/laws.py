"""By how much a model breaks the laws that every number rests on, against plain passes of transformers."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from fispace.chapters.fidelity.document_sums import MASKED
from fispace.chapters.fidelity.spliced_evaluation import Scored, unchanged_pass
from fispace.lm.cached import Replacements
from fispace.lm.generate import continue_texts, greedy
from fispace.lm.hooks import read_activations, resolve_hook_point
from fispace.lm.intervention_scoring import Moves, prompt_log_probs, score_moved
from fispace.lm.score import WordContext, WordPlan, next_token_log_probs, score_words
from fispace.lm.window_batches import WindowBatch
from fispace.lm.windows import padded
from fispace.stats.metrics import kl_per_token

HOOK_POINT = 0
LENGTHS = (3, 14, 30)
PROMPTS = tuple(tuple(3 + (7 * i + n) % 55 for i in range(n)) for n in LENGTHS)
PIECES = ((5,), (6, 7), (8, 9, 10))
"""Tokens of the words that are scored: one, two, and three."""
STRENGTHS = (0.0, 0.7)
N_TOKENS = 6
ONE_BY_ONE, ALL = 1, 256


def moved(x: torch.Tensor, strength: float) -> torch.Tensor:
    """A change of each position by itself, as every clamp is; strength 0 changes nothing."""
    return x + strength * x.roll(1, -1).tanh()


def variants(x: torch.Tensor) -> Iterator[torch.Tensor]:
    return (moved(x, strength) for strength in STRENGTHS)


def plan_of(prompts: tuple[tuple[int, ...], ...]) -> WordPlan:
    contexts = [
        WordContext(number, prompt + piece[:-1], (word,), np.array([piece]))
        for number, prompt in enumerate(prompts)
        for word, piece in enumerate(PIECES)
    ]
    return WordPlan(prompts, tuple(contexts), len(PIECES))


class Alone:
    """The truth: one text in one plain pass of transformers itself, without padding or cache."""

    def __init__(self, model: Any) -> None:
        self.model, self.module = (
            model,
            dict(model.named_modules())[resolve_hook_point(model, HOOK_POINT)[0]],
        )

    def log_probs(self, ids: tuple[int, ...], strength: float | None = None) -> np.ndarray:
        """[pos vocabulary] of one text; with a strength, with the moved activations at the hook point."""

        def hook(_module: Any, _inputs: Any, output: Any) -> Any:
            if isinstance(output, tuple | list):
                return type(output)([moved(output[0], strength), *output[1:]])
            return moved(output, strength)

        handle = self.module.register_forward_hook(hook) if strength is not None else None
        row = torch.tensor([ids])
        mask = torch.ones_like(row)
        found = self.model(input_ids=row, attention_mask=mask, use_cache=False).logits
        if handle is not None:
            handle.remove()
        return found[0].double().log_softmax(-1).numpy()

    def scores(self, strength: float) -> np.ndarray:
        """[prompts words] log-probabilities of whole words, nats."""
        rows = [
            [
                self.log_probs(prompt + piece[:-1], strength)[-len(piece) :][
                    range(len(piece)), piece
                ].sum()
                for piece in PIECES
            ]
            for prompt in PROMPTS
        ]
        return np.array(rows)


def of_scores(model: Any) -> float:
    """Log-probabilities of words, nats: alone, in a batch, and in a batch in another order."""
    expected, turned = Alone(model).scores(0.0), plan_of(PROMPTS[::-1])
    found = [score_words(model, plan_of(PROMPTS), size) for size in (ONE_BY_ONE, ALL)]
    found.append(score_words(model, turned, ALL)[::-1])
    return largest(found, expected)


def of_clamps(model: Any) -> float:
    """The same under a move at the hook point, nats."""
    expected = np.stack([Alone(model).scores(strength) for strength in STRENGTHS])
    moves = Moves(variants, variants)
    assert np.abs(expected[1] - expected[0]).max() > 1e-3  # the move does move
    found = [
        score_moved(model, HOOK_POINT, plan_of(PROMPTS), size, moves, len(STRENGTHS))
        for size in (ONE_BY_ONE, ALL)
    ]
    turned = score_moved(model, HOOK_POINT, plan_of(PROMPTS[::-1]), ALL, moves, len(STRENGTHS))
    return largest([*found, turned[:, ::-1]], expected)


def of_texts(model: Any) -> float:
    """Log-probabilities at every step of a continuation under a move, nats."""
    seen: list[np.ndarray] = []

    def choose(output: torch.Tensor, step: int) -> torch.Tensor:
        seen.append(output.double().log_softmax(-1).numpy())
        return greedy(output, step)

    move = Replacements(*[lambda x: moved(x, STRENGTHS[1])] * 2)
    tokens = continue_texts(model, HOOK_POINT, move, PROMPTS, N_TOKENS, choose)
    alone = Alone(model)
    expected = [
        [
            alone.log_probs((*prompt, *tokens[i, :step].tolist()), STRENGTHS[1])[-1]
            for step in range(N_TOKENS)
        ]
        for i, prompt in enumerate(PROMPTS)
    ]
    return largest([np.stack(seen, axis=1)], np.array(expected))


def of_kl(model: Any) -> float:
    """KL and CE of windows with something else spliced in, nats: together, and each alone."""
    texts = [np.array(prompt) for prompt in PROMPTS]
    together = spliced_sums(model, texts)
    return max(
        largest([together[i]], spliced_sums(model, [text])[0]) for i, text in enumerate(texts)
    )


def spliced_sums(model: Any, texts: list[np.ndarray]) -> np.ndarray:
    """[texts 2] KL and excess CE, mean over the tokens of each text."""
    ids, mask = padded(texts, 0)
    batch = WindowBatch(ids, mask, mask == 1, np.arange(len(texts)))
    scored = Scored(unchanged_pass(model, HOOK_POINT, batch), MASKED)
    found = scored.splice(moved(scored.rows, STRENGTHS[1]))
    sums = [found["kl"].sum(1), (found["ce"] - scored.original["ce"]).sum(1)]
    return torch.stack(sums, dim=1).double().numpy() / mask.sum(1, keepdim=True).numpy()


def of_activations(model: Any) -> float:
    """Activations, in units of their standard deviation: in a batch, and alone."""
    ids, mask = padded([np.array(prompt) for prompt in PROMPTS], 0)
    together = read_activations(model, HOOK_POINT, ids, mask)
    scale = float(together[mask == 1].std())
    alone = [
        read_activations(model, HOOK_POINT, ids[[i], :n], mask[[i], :n])
        for i, n in enumerate(LENGTHS)
    ]
    pairs = [(together[i, :n], x[0]) for (i, n), x in zip(enumerate(LENGTHS), alone, strict=True)]
    return max(float((found - x).abs().max()) / scale for found, x in pairs)


def of_later_tokens(model: Any) -> float:
    """Log-probabilities after the first tokens of a text, nats: with other tokens after them."""
    alone, text = Alone(model), PROMPTS[-1]
    other = (*text[: len(text) // 2], *PROMPTS[1][: len(text) - len(text) // 2])
    first = slice(0, len(text) // 2)
    return largest([alone.log_probs(text)[first]], alone.log_probs(other)[first])


def of_identity(model: Any) -> float:
    """KL after each prompt, nats, of its own activations put back by the passes that scoring makes."""
    plan, still = plan_of(PROMPTS), Moves(*[lambda x: iter([x])] * 2)
    found = prompt_log_probs(model, HOOK_POINT, plan, range(len(PROMPTS)), still)
    original = torch.from_numpy(next_token_log_probs(model, PROMPTS))
    return float(kl_per_token(original, torch.from_numpy(found)).max())


def largest(found: list[np.ndarray], expected: np.ndarray) -> float:
    return max(float(np.abs(values - expected).max()) for values in found)


CHECKS: dict[str, Callable[[Any], float]] = {
    "causal": of_later_tokens,
    "activations": of_activations,
    "scores": of_scores,
    "clamps": of_clamps,
    "texts": of_texts,
    "KL and CE": of_kl,
    "identity": of_identity,
}
