"""Log-probabilities of whole words after prompts, words of several tokens included.

Must not: know what is spliced into the model, or which words matter.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fispace.errors import StimuliError
from fispace.lm.batching import require_positions
from fispace.lm.hooks import logits
from fispace.lm.windows import PAD_ID, padded, require_embedded


class WordContext(NamedTuple):
    """A sequence to run: a prompt, then all tokens but the last of the words that it scores."""

    prompt: int
    tokens: tuple[int, ...]
    words: tuple[int, ...]
    """Indices of the words."""
    pieces: np.ndarray
    """[words length] token ids of the words, which have equal numbers of tokens."""


class WordPlan(NamedTuple):
    """Sequences that score every word after every prompt."""

    prompts: tuple[tuple[int, ...], ...]
    """Token ids of each prompt, BOS included."""
    contexts: tuple[WordContext, ...]
    n_words: int


def plan_words(
    tokenizer: Any, prompts: Sequence[str], words: Sequence[str], add_bos: bool
) -> WordPlan:
    """Plan for scoring every word after every prompt, with a space in between.

    All words of one token share one context per prompt, so one forward pass scores them all.

    Raises:
        StimuliError: if a word is unknown to the tokenizer, or merges with the prompt's last token.
    """
    prefix = (tokenizer.bos_token_id,) if add_bos else ()
    sequences: list[tuple[int, ...]] = []
    contexts: list[WordContext] = []
    for number, prompt in enumerate(prompts):
        body = _ids(tokenizer, prompt)
        sequences.append(prefix + body)
        by_start: dict[tuple[int, ...], list[tuple[int, tuple[int, ...]]]] = {}
        for word, text in enumerate(words):
            piece = _word_ids(tokenizer, prompt, body, text)
            by_start.setdefault(piece[:-1], []).append((word, piece))
        for start, users in by_start.items():
            columns = tuple(word for word, _ in users)
            pieces = np.array([piece for _, piece in users])
            contexts.append(WordContext(number, prefix + body + start, columns, pieces))
    return WordPlan(tuple(sequences), tuple(contexts), len(words))


def require_scorable(
    model: Any, tokenizer: Any, plan: WordPlan, prompts: Sequence[str], words: Sequence[str]
) -> None:
    """Refuse prompts and words with tokens that the model does not embed; arguments as for `plan_words`.

    Raises:
        ModelError: if there is one; the message names it and its prompt or word.
    """
    for ids, text in zip(plan.prompts, prompts, strict=True):
        require_embedded(model, tokenizer, ids, f"The prompt {text!r}")
    for context in plan.contexts:
        for word, piece in zip(context.words, context.pieces, strict=True):
            require_embedded(model, tokenizer, piece, f"The response word {words[word]!r}")


def score_words(
    model: Any, plan: WordPlan, batch_contexts: int
) -> Float[np.ndarray, "prompts words"]:
    """Log p(word | prompt) in nats, float64: the sum over the word's tokens.

    Raises:
        ModelError: if a prompt with its words is longer than the model has positions for.
    """
    require_plan_fits(model, plan)
    scores = np.zeros((len(plan.prompts), plan.n_words))
    for chosen, ids, mask in _batches(plan, batch_contexts):
        collect(scores, chosen, logits(model, ids, mask))
    return scores


def require_plan_fits(model: Any, plan: WordPlan) -> None:
    """Refuse a plan whose longest sequence exceeds the model's positions.

    Raises:
        ModelError: if it does.
    """
    longest = max(len(context.tokens) for context in plan.contexts)
    require_positions(model, longest, f"a prompt with the words after it has {longest} tokens")


def _batches(plan: WordPlan, size: int) -> Iterator[tuple[list[WordContext], Tensor, Tensor]]:
    """Batches of contexts of similar length, with padded token ids and mask."""
    by_length = sorted(plan.contexts, key=lambda context: len(context.tokens))
    for begin in range(0, len(by_length), size):
        chosen = by_length[begin : begin + size]
        ids, mask = padded([np.array(context.tokens) for context in chosen], PAD_ID)
        yield chosen, ids, mask


def collect(scores: np.ndarray, chosen: list[WordContext], output: Tensor) -> None:
    """Write the words' log-probabilities, from a batch of logits, to their cells of `scores`."""
    for row, context in enumerate(chosen):
        length, end = context.pieces.shape[1], len(context.tokens)
        logp = output[row, end - length : end].double().log_softmax(-1).cpu().numpy()
        found = logp[np.arange(length), context.pieces].sum(1)
        scores[context.prompt, list(context.words)] = found


def next_token_log_probs(
    model: Any, sequences: Sequence[tuple[int, ...]]
) -> Float[np.ndarray, "sequences vocabulary"]:
    """Log-probabilities of the token after each sequence, in nats, float64."""
    ids, mask = padded([np.array(sequence) for sequence in sequences], PAD_ID)
    last = torch.tensor([len(sequence) - 1 for sequence in sequences])
    output = logits(model, ids, mask)[torch.arange(len(sequences)), last]
    return output.double().log_softmax(-1).cpu().numpy()


def _ids(tokenizer: Any, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def _word_ids(tokenizer: Any, prompt: str, body: tuple[int, ...], word: str) -> tuple[int, ...]:
    whole = _ids(tokenizer, f"{prompt} {word}")
    piece = whole[len(body) :]
    if whole[: len(body)] != body or not piece:
        raise StimuliError(
            f"The response word {word!r} does not start a new token after the prompt {prompt!r}, "
            "so its probability is not defined. Change the word or the end of the prompt."
        )
    if tokenizer.unk_token_id is not None and tokenizer.unk_token_id in piece:
        raise StimuliError(
            f"The response word {word!r} is unknown to the model's tokenizer. Choose response "
            "words from its vocabulary (responses.csv of the battery)."
        )
    return piece
