"""Shared fixtures: runtime shape checks, and tiny causal LMs of three architectures on disk."""

import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test may reach a hub
os.environ.pop("MPLBACKEND", None)  # a notebook's: it may be missing in this environment

from jaxtyping import install_import_hook

install_import_hook("fispace", "beartype.beartype")

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

torch.set_num_threads(1)  # tests run beside each other; two threads of a tiny product only wait

WORDS = [f"w{i}" for i in range(60)]
SPECIAL = ["<pad>", "<bos>", "<unk>"]


def _save_tokenizer(folder: Path) -> None:
    vocabulary = {word: i for i, word in enumerate(SPECIAL + WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<bos>", pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)


def _model(kind: str) -> torch.nn.Module:
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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several workers, a file each, the files that need the finished tiny study begin first.

    Their tests are the longest, and some build on one another: it is what the others are run beside.
    """
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: "finished" not in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def lm_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of tiny random causal LMs: llama, gpt2, gpt_neox."""
    folders = {}
    for kind in ("llama", "gpt2", "gpt_neox"):
        folder = tmp_path_factory.mktemp(kind)
        model = _model(kind)
        for parameter in model.parameters():  # random, but far from the near-identity of an init
            torch.nn.init.normal_(parameter, std=0.3)
        model.save_pretrained(folder)
        _save_tokenizer(folder)
        folders[kind] = folder
    return folders
