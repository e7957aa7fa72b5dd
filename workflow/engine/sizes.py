"""The sizes of a study from which memory, time and disk of its jobs are estimated.

Must not: load a model, or need a file that is not there yet.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fispace.study.config.lm import TESTBED

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
WIDTHS = ("hidden_size", "n_embd", "d_model", "dim")
"""Names that architectures give the width of their blocks in config.json."""


class LmSizes(NamedTuple):
    """Sizes of a language model."""

    weights: int
    width: int
    vocabulary: int


UNKNOWN_LM = LmSizes(weights=8_000_000_000, width=4096, vocabulary=128_000)
"""A model on a hub of which this machine has no copy yet; after `make prefetch` its files tell."""
TESTBED_VOCABULARY = 2000


class Sizes(NamedTuple):
    """Sizes of a study."""

    lm: LmSizes
    lm_bytes: int
    """Per weight, in the number format in which the model computes."""
    sae_weights: int
    """Of the largest arm: encoder, decoder and linear part, factors, and the interaction's MLP."""
    n_latents: int
    train_tokens: int
    """Stored; the trainings present `presented_tokens`."""
    held_out_tokens: int
    """Of the largest of the other splits."""
    presented_tokens: int
    batch_tokens: int
    pass_tokens: int
    """Tokens of the language model's largest forward pass."""
    store_bytes: int
    pooled_rows: int
    """Rows that a training holds while it shuffles."""
    shard_tokens: int
    """Of the largest shard of activations."""
    tested_tokens: int
    """Whose residuals the chapter `interactions` holds."""
    gpus: int
    """That a job of tensors asks for: 1 if the study asks for CUDA."""


def sizes_of(study: Mapping[str, Any]) -> Sizes:
    """The sizes of a study, from its parameters and from the folder of its language model."""
    lm, train, extract = lm_sizes(study), study["train"], study["extract"]
    tokens, shards, d_embed = extract["max_tokens"], extract["shards"], train["d_embed"]
    passes = [extract, study["fidelity"]]
    return Sizes(
        lm=lm,
        lm_bytes=BYTES[study["lm"]["dtype"]],
        sae_weights=train["n_latents"] * (3 * lm.width + d_embed) + d_embed * (d_embed + lm.width),
        n_latents=train["n_latents"],
        train_tokens=tokens["train"],
        held_out_tokens=max(tokens[split] for split in tokens if split != "train"),
        presented_tokens=train["n_tokens"],
        batch_tokens=train["batch_tokens"],
        pass_tokens=max(each["batch_windows"] for each in passes) * extract["window_tokens"],
        store_bytes=BYTES[extract["store_dtype"]],
        pooled_rows=train["pool_groups"] * extract["row_group_tokens"],
        shard_tokens=max(tokens[split] // shards[split] for split in tokens),
        tested_tokens=min(study["interactions"]["max_tokens"], tokens["train"]),
        gpus=gpus_of(study),
    )


def gpus_of(study: Mapping[str, Any]) -> int:
    """1 if the study's `device` is CUDA, else 0; `auto` takes a GPU where one is, and reserves none."""
    return int(str(study.get("device", "cpu")).startswith("cuda"))


def lm_sizes(study: Mapping[str, Any]) -> LmSizes:
    """Sizes of the study's language model; `UNKNOWN_LM` where only its name on a hub is known."""
    name = study["lm"]["name"]
    if name == TESTBED:
        return _testbed_sizes(study["testbed"]["lm"])
    folder = _folder_of(str(name), study["lm"]["revision"])
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config |= config.get("text_config") or {}
        width = next(int(config[key]) for key in WIDTHS if key in config)
        weights = sum(_weights_in(path) for path in folder.glob("*.safetensors"))
        return LmSizes(weights, width, int(config["vocab_size"]))
    except (OSError, ValueError, TypeError, AttributeError, KeyError, StopIteration):
        return UNKNOWN_LM  # a folder that is damaged is refused by the step that loads it


def _folder_of(name: str, revision: str | None) -> Path:
    """The model's folder; of a name on a hub, its folder in this machine's cache if it has one."""
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import try_to_load_from_cache  # a third of a second, for these names alone

    try:
        found = try_to_load_from_cache(name, "config.json", revision=revision)
    except ValueError:  # no name that a hub could have
        found = None
    return Path(found).parent if isinstance(found, str) else Path(name)


def _testbed_sizes(lm: Mapping[str, Any]) -> LmSizes:
    width, vocabulary = lm["d_model"], TESTBED_VOCABULARY
    block = width * (4 * width + 3 * lm["d_mlp"])
    weights = lm["n_blocks"] * block + (2 * vocabulary + lm["n_positions"]) * width
    return LmSizes(weights, width, vocabulary)


def _weights_in(path: Path) -> int:
    """Number of weights in a safetensors file, by its header."""
    with path.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(min(size, 100_000_000)))
    return sum(math.prod(each["shape"]) for name, each in header.items() if name[0] != "_")
