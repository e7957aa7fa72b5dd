"""Tiny causal LMs of three architectures with random weights, and their tokenizer of sixty words."""

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

WORDS = [f"w{i}" for i in range(60)]
SPECIAL = ["<pad>", "<bos>", "<unk>"]
KINDS = ("llama", "gpt2", "gpt_neox")


def save_small_lm(kind: str, folder: Path, std: float = 0.3) -> PreTrainedModel:
    """Write a model and its tokenizer to an existing folder; the model."""
    model = _model(kind)
    for parameter in model.parameters():  # random, but far from the near-identity of an init
        torch.nn.init.normal_(parameter, std=std)
    model.save_pretrained(folder)
    save_tokenizer(folder)
    return model


def save_tokenizer(folder: Path, words: Sequence[str] = WORDS) -> None:
    """Write a tokenizer of the special tokens and these words."""
    vocabulary = {word: i for i, word in enumerate([*SPECIAL, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)


def _model(kind: str) -> PreTrainedModel:
    size = len(SPECIAL + WORDS)
    torch.manual_seed(0)
    if kind == "llama":
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=size, hidden_size=16, intermediate_size=32, num_hidden_layers=3,
                num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=64,
            )
        )  # fmt: skip
    if kind == "gpt2":
        return GPT2LMHeadModel(
            GPT2Config(vocab_size=size, n_embd=16, n_layer=3, n_head=2, n_positions=64)
        )
    return GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=size, hidden_size=16, intermediate_size=32, num_hidden_layers=3,
            num_attention_heads=2, max_position_embeddings=64,
        )
    )  # fmt: skip
