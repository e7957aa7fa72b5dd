"""Parameters of the extract chapter."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from fispace.study.config.base import (
    Config,
    Count,
    Distinct,
    InnerShare,
    NonEmpty,
    OnDevice,
    PlainText,
    Refusal,
    Seeded,
)
from fispace.study.config.lm import ReadsLm, WindowBatches

WindowLength = Annotated[int, Field(ge=1, le=1_048_576)]


def _pattern(text: str) -> str:
    try:
        re.compile(text, re.MULTILINE)
    except re.error as error:
        raise ValueError(f"{text!r} is not a regular expression: {error}") from None
    return text


Delimiter = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_pattern)]


class TextConfig(Config):
    """Where the documents come from."""

    source: Literal["testbed", "txt", "jsonl", "parquet", "hub"]
    """Kind of source."""
    path: NonEmpty | None
    """File, folder or dataset name; null for the testbed."""
    field: NonEmpty
    """Column that holds a document (jsonl, parquet, hub)."""
    delimiter: Delimiter | None
    """Regular expression between documents (txt)."""
    config: PlainText | None
    """Dataset configuration (hub)."""
    split: PlainText | None
    """Dataset split (hub)."""
    revision: PlainText | None
    """Dataset revision (hub)."""

    @model_validator(mode="after")
    def _require_place(self) -> "TextConfig":
        if self.source != "testbed" and self.path is None:
            raise Refusal(
                "path",
                f"missing: source={self.source!r} needs a file, folder or dataset name. On the "
                "command line: --config text=PATH",
            )
        if self.source == "testbed" and self.path is not None:
            raise Refusal(
                "path",
                f"must be null: source='testbed' is the corpus that the testbed writes. To read {self.path}, "
                "set source to txt, jsonl, parquet or hub",
            )
        if self.source == "txt" and self.delimiter is None:
            raise Refusal(
                "delimiter",
                f"missing: a .txt file ({self.path}) needs the regular expression that separates "
                r"documents, for example '\n\n'",
            )
        return self


class PerSplit(Config):
    """A number for each split."""

    train: Count
    """Of the split that models are trained on."""
    val: Count
    """Of the split on which the learning rate is chosen."""
    test: Count
    """Of the split that everything is measured on."""
    transfer: Count
    """Of the second text, if there is one."""

    def of(self, split: str) -> int:
        """The number of one split."""
        return getattr(self, split)


class BosOption(Config):
    """First token of a sequence."""

    add_bos: bool
    """Whether every window begins with the tokenizer's BOS token."""


class SpecialTokensConfig(Config):
    """Changes to the set of special tokens, which are neither trained on nor scored."""

    add: Distinct[NonEmpty]
    """Further tokens to treat as special, written as in the tokenizer's vocabulary."""
    exempt: Distinct[NonEmpty]
    """Tokens that the tokenizer marks as special but the study treats as ordinary."""

    @model_validator(mode="after")
    def _require_one_kind_for_each_token(self) -> "SpecialTokensConfig":
        both = sorted(set(self.add) & set(self.exempt))
        if both:
            raise Refusal(
                "exempt",
                f"{both[0]!r} stands in `add` as well, but a token is either special or ordinary; take it "
                "out of one of them",
            )
        return self


class Windows(BosOption, WindowBatches):
    """Windows into which a text is cut."""

    window_tokens: Annotated[int, Field(ge=2, le=1_048_576)]
    """Tokens of a window, BOS included."""
    special_tokens: SpecialTokensConfig
    """Exceptions to the tokenizer's own list of special tokens."""


class Texts(Windows):
    """Texts, their windows and splits, and how activations are stored."""

    text: TextConfig
    """Where the documents come from."""
    transfer: TextConfig | None
    """A second text, on which fidelity is measured as well; null for none."""
    min_window_tokens: WindowLength
    """Shorter windows at the end of a document are dropped; tokens, BOS included."""
    val_fraction: InnerShare
    """Share of the documents held out for choosing."""
    test_fraction: InnerShare
    """Share of the documents held out for measuring."""
    max_tokens: PerSplit
    """Non-special tokens taken of each split."""
    shards: PerSplit
    """Number of Parquet files of each split."""
    store_dtype: Literal["float16", "float32"]
    """Number format of the stored activations."""
    row_group_tokens: Annotated[int, Field(ge=1, le=10_000_000)]
    """Rows of a Parquet row group: the unit that is read and shuffled."""

    @model_validator(mode="after")
    def _require_windows_and_documents(self) -> "Texts":
        if self.min_window_tokens > self.window_tokens:
            raise Refusal(
                "min_window_tokens",
                f"must be <= window_tokens={self.window_tokens}",
                self.min_window_tokens,
            )
        if self.val_fraction + self.test_fraction >= 1:
            raise Refusal(
                "val_fraction",
                f"and test_fraction={self.test_fraction} leave no training documents",
                self.val_fraction,
            )
        return self

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits of this study."""
        return ("train", "val", "test") + (("transfer",) if self.transfer else ())


class ExtractStep(Texts, ReadsLm, Seeded, OnDevice):
    """What `extract activations` depends on."""


class StandardiserStep(Config):
    """What `extract standardiser` depends on."""

    zero_variance: Literal["refuse", "keep"]
    """What to do with a dimension that never varies: refuse it, or keep it at scale 1."""
