"""Configuration of the extract chapter. Meanings and ranges: workflow/schemas/extract.schema.yaml."""

from dataclasses import dataclass
from typing import Literal

from fispace.errors import ParamsError
from fispace.study.config.lm import LmConfig


@dataclass(frozen=True)
class TextConfig:
    """Where the documents come from."""

    source: Literal["testbed", "txt", "jsonl", "parquet", "hub"]
    path: str | None
    field: str
    delimiter: str | None
    config: str | None
    split: str | None
    revision: str | None

    def __post_init__(self) -> None:
        if self.source != "testbed" and self.path is None:
            raise ParamsError(
                f"extract.text.path is missing: source={self.source!r} needs a file, folder or "
                "dataset name. On the command line: --config text=PATH."
            )
        if self.source == "txt" and self.delimiter is None:
            raise ParamsError(
                f"extract.text.delimiter is missing: a .txt file ({self.path}) needs the regular "
                r"expression that separates documents, for example '\n\n'."
            )


@dataclass(frozen=True)
class SpecialTokensConfig:
    """Tokens that are special beside those that the tokenizer marks as such, and marked ones that are not."""

    add: tuple[str, ...]
    exempt: tuple[str, ...]


@dataclass(frozen=True)
class ExtractStep:
    """What `extract activations` depends on."""

    lm: LmConfig
    text: TextConfig
    transfer: TextConfig | None
    window_tokens: int
    min_window_tokens: int
    add_bos: bool
    special_tokens: SpecialTokensConfig
    val_fraction: float
    test_fraction: float
    max_tokens: dict[str, int]
    shards: dict[str, int]
    store_dtype: Literal["float16", "float32"]
    row_group_tokens: int
    batch_windows: int
    root_seed: int
    threads: int

    def __post_init__(self) -> None:
        if self.min_window_tokens > self.window_tokens:
            raise ParamsError(
                f"extract.min_window_tokens={self.min_window_tokens} must be <= "
                f"window_tokens={self.window_tokens}."
            )
        if self.val_fraction + self.test_fraction >= 1:
            raise ParamsError(
                f"extract.val_fraction={self.val_fraction} and test_fraction={self.test_fraction} "
                "leave no training documents."
            )

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits that this study extracts."""
        return ("train", "val", "test") + (("transfer",) if self.transfer else ())


@dataclass(frozen=True)
class StandardiserStep:
    """What `extract standardiser` depends on."""

    zero_variance: Literal["refuse", "keep"]
