"""The language model of a notebook: loaded once, read and spliced at one hook point.

Must not: know a trained model.
"""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from fispace.lm.load import load_lm as load
from fispace.lm.load import model_fingerprint
from fispace.study.config.lm import LmConfig

Dtype = Literal["float32", "bfloat16", "float16"]


class LanguageModel:
    """A causal language model with its tokenizer, and the hook point at which it is read and spliced."""

    def __init__(self, config: LmConfig, model: Any, tokenizer: Any) -> None:
        """Use `fispace.load_lm`, which checks the model before it is used."""
        self.config, self.model, self.tokenizer = config, model, tokenizer

    @property
    def hook_point(self) -> int | str:
        """Block, counted from 0, whose output is read, or a dotted module path."""
        return self.config.hook_point

    @property
    def has_bos(self) -> bool:
        """Whether the tokenizer has a token for the beginning of a text."""
        return self.tokenizer.bos_token_id is not None

    @cached_property
    def fingerprint(self) -> dict[str, str]:
        """What identifies the weights: hashes of a folder's files, or name and commit on the hub."""
        return model_fingerprint(self.config, None, self.model)


def load_lm(
    name: str | Path,
    hook_point: int | str,
    *,
    revision: str | None = None,
    dtype: Dtype = "float32",
) -> LanguageModel:
    """A causal language model on the CPU, from a folder or from the Hugging Face hub.

    `hook_point` is the number of a block, counted from 0, whose output is read and replaced, or a dotted
    module path. Weights are read from safetensors only, and code that comes with a model is not executed.

    Raises:
        ModelError: if the model cannot be loaded, or the measures are not defined for it.
        HookPointError: if the hook point does not exist, or does not give one vector per token; the
            message lists those that do.
        ParamsError: if an argument is not of its type.
    """
    values = {"name": str(name), "revision": revision, "dtype": dtype, "hook_point": hook_point}
    config = LmConfig.read(values, "lm")
    return LanguageModel(config, *load(config, None))
