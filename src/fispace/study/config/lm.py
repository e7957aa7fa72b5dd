"""Configuration of the language model."""

from typing import Annotated, Literal

from pydantic import Field

from fispace.study.config.base import Config, NonEmpty, PlainText

TESTBED = "testbed"


class LmConfig(Config):
    """Which causal LM, and the hook point at which it is read and spliced."""

    name: NonEmpty
    """'testbed', a Hugging Face name, or a local folder."""
    revision: PlainText | None
    """Commit, tag or branch of a Hugging Face model; null for its newest."""
    dtype: Literal["float32", "bfloat16", "float16"]
    """Number format the LM computes in."""
    hook_point: Annotated[int, Field(ge=0)] | NonEmpty
    """Output of block i counted from 0, or a dotted module path. In most architectures it is
    hidden_states[i+1], but for the last block, whose hidden state is given after the final norm."""

    @property
    def is_testbed(self) -> bool:
        """Whether the testbed chapter trains the LM of this study."""
        return self.name == TESTBED

    @property
    def recorded(self) -> dict[str, str | int]:
        """What a result's recipe says of it: no name, which may be a folder of this machine."""
        return {"dtype": self.dtype, "hook_point": self.hook_point}


class ReadsLm(Config):
    """The language model of the study."""

    lm: LmConfig
    """Which causal LM, and where in it."""


class WindowBatches(Config):
    """Sizes of the language model's runs."""

    batch_windows: Annotated[int, Field(ge=1, le=100_000)]
    """Windows of one forward pass."""
