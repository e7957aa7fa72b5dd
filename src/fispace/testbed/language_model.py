"""The testbed's language model and its tokenizer.

The model is a small Llama, trained from scratch on documents of the grammar. One word is one token. Must
not: read or write files, or use a document of the study corpus.
"""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from fispace.errors import DivergedError
from fispace.seeds import stream_seed
from fispace.study.config.testbed import TestbedLmConfig
from fispace.testbed.grammar import Grammar
from fispace.testbed.sampling import NO_WORD

logger = logging.getLogger(__name__)

NO_TARGET = -100
"""Target at padding positions, which the cross-entropy ignores."""

UNKNOWN, BEGIN, FINISH, PADDING = "<unk>", "<bos>", "<eos>", "<pad>"
SPECIAL = (UNKNOWN, BEGIN, FINISH, PADDING)
BEGIN_ID, FINISH_ID, PADDING_ID = (SPECIAL.index(token) for token in (BEGIN, FINISH, PADDING))

FIRST_WORD_ID = len(SPECIAL)
"""Token id of word 0: token id = word id + FIRST_WORD_ID."""


def build_tokenizer(grammar: Grammar, n_positions: int) -> PreTrainedTokenizerFast:
    """Word-level tokenizer over whitespace for texts of the grammar."""
    vocabulary = {text: i for i, text in enumerate((*SPECIAL, *grammar.texts))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = WhitespaceSplit()  # pyright: ignore[reportAttributeAccessIssue]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=UNKNOWN,
        bos_token=BEGIN,
        eos_token=FINISH,
        pad_token=PADDING,
        padding_side="right",
        clean_up_tokenization_spaces=False,
        model_max_length=n_positions,
        model_input_names=["input_ids", "attention_mask"],
    )


@contextmanager
def deterministic_torch(threads: int) -> Iterator[None]:
    """Fixed thread count and deterministic kernels inside the block; the old settings are restored."""
    before, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    torch.set_deterministic_debug_mode("error")  # loads no compiler: see `devices.prepare`
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_deterministic_debug_mode("error" if strict else "default")


def build_lm(config: TestbedLmConfig, n_words: int, root_seed: int) -> LlamaForCausalLM:
    """Untrained model for `n_words` words and the special tokens, with weights from a named stream."""
    shape = LlamaConfig(
        vocab_size=n_words + FIRST_WORD_ID,
        hidden_size=config.d_model,
        intermediate_size=config.d_mlp,
        num_hidden_layers=config.n_blocks,
        num_attention_heads=config.n_heads,
        num_key_value_heads=config.n_heads,
        max_position_embeddings=config.n_positions,
        initializer_range=config.init_std,
        bos_token_id=BEGIN_ID,
        eos_token_id=FINISH_ID,
        pad_token_id=PADDING_ID,
        tie_word_embeddings=False,
        use_cache=True,
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(root_seed, "testbed", "lm", "init"))
        model = LlamaForCausalLM(shape)
    with torch.no_grad():
        model.model.embed_tokens.weight.mul_(config.embedding_std / config.init_std)
    return model


def token_ids(words: Int[np.ndarray, "documents width"]) -> Int[Tensor, "documents width+1"]:
    """Token ids with BOS in front; -1 becomes padding."""
    ids = torch.as_tensor(words.astype(np.int64)) + FIRST_WORD_ID
    ids[ids == FIRST_WORD_ID + NO_WORD] = PADDING_ID
    return torch.nn.functional.pad(ids, (1, 0), value=BEGIN_ID)


def train(
    model: LlamaForCausalLM, words: Int[np.ndarray, "documents width"], config: TestbedLmConfig
) -> pd.DataFrame:
    """Training curve (step, n_tokens, lr, loss in nats per token); the model is trained in place.

    Training is one pass over the documents in the order given, with AdamW. The learning rate rises
    linearly over `warmup_fraction` of the steps and then falls linearly towards zero.

    Raises:
        DivergedError: at the first loss that is not finite.
    """
    optimiser = torch.optim.AdamW(
        _parameter_groups(model, config.weight_decay),
        lr=config.lr,
        betas=(config.adam_betas[0], config.adam_betas[1]),
        fused=True,
    )
    model.train()
    rows, losses, n_tokens = [], [], 0
    for step in range(config.n_steps):
        first = step * config.batch_documents
        batch = token_ids(words[first : first + config.batch_documents])
        lr = config.lr * lr_factor(step, config.n_steps, config.warmup_fraction)
        losses.append(_step(model, optimiser, batch, lr, config.grad_clip))
        n_tokens += int((batch[:, 1:] != PADDING_ID).sum())
        if not math.isfinite(losses[-1]):
            raise DivergedError(
                f"testbed lm: the loss is {losses[-1]} at step {step}; lower testbed.lm.lr."
            )
        if (step + 1) % config.log_every == 0 or step + 1 == config.n_steps:
            rows.append((step + 1, n_tokens, lr, float(np.mean(losses))))
            logger.info("step %d of %d: loss %.4f nats", step + 1, config.n_steps, rows[-1][3])
            losses.clear()
    model.eval()
    return pd.DataFrame(rows, columns=["step", "n_tokens", "lr", "loss"])


def lr_factor(step: int, n_steps: int, warmup_fraction: float) -> float:
    """Learning rate at a step (counted from 0) over the peak learning rate, in (0, 1]."""
    warmup = max(1, round(warmup_fraction * n_steps))
    if step < warmup:
        return (step + 1) / warmup
    return (n_steps - step) / (n_steps - warmup + 1)


@torch.no_grad()
def lm_log_probabilities(
    model: LlamaForCausalLM, words: Int[np.ndarray, "documents width"], batch_documents: int
) -> Float[np.ndarray, "documents width"]:
    """Log p(w_t | BOS, w_<t) of every word in nats (float64); zero in the padding."""
    model.eval()
    found = []
    for first in range(0, len(words), batch_documents):
        ids = token_ids(words[first : first + batch_documents])
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits.double()
        scored = torch.log_softmax(logits, dim=-1).gather(-1, ids[:, 1:, None])[..., 0]
        found.append(scored.masked_fill(ids[:, 1:] == PADDING_ID, 0.0).numpy())
    return np.concatenate(found)


def _step(
    model: LlamaForCausalLM,
    optimiser: torch.optim.Optimizer,
    batch: Int[Tensor, "documents width"],
    lr: float,
    grad_clip: float,
) -> float:
    for group in optimiser.param_groups:
        group["lr"] = lr
    optimiser.zero_grad(set_to_none=True)
    # Padding follows the words, so causal attention never sees it and no mask is needed.
    logits = model(input_ids=batch[:, :-1], use_cache=False).logits
    targets = batch[:, 1:].masked_fill(batch[:, 1:] == PADDING_ID, NO_TARGET)
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), grad_clip)
    optimiser.step()
    return loss.item()


def _parameter_groups(model: LlamaForCausalLM, weight_decay: float) -> list[dict[str, object]]:
    matrices = [p for p in model.parameters() if p.ndim > 1]
    gains = [p for p in model.parameters() if p.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": gains, "weight_decay": 0.0},
    ]
