"""Parameters of the language model."""

from typing import Annotated, Literal

from pydantic import Field

from fispace.study.config.base import Config, NonEmpty, PlainText

TESTBED = "testbed"


class LmConfig(Config):
    """The causal LM, and the hook point at which it is read and spliced."""

    name: NonEmpty
    """'testbed', a Hugging Face name, or a local folder."""
    revision: PlainText | None
    """Commit, tag or branch of a Hugging Face model; null for its newest."""
    dtype: Literal["float32", "bfloat16", "float16"]
    """Number format in which the LM computes."""
    hook_point: Annotated[int, Field(ge=0)] | NonEmpty
    """Index i of a block, counted from 0, whose output is read, or a dotted module path. In most
    architectures this output is hidden_states[i+1]; not for the last block, since hidden_states ends with
    the output of the final norm."""

    @property
    def is_testbed(self) -> bool:
        """Whether the testbed chapter trains the LM of this study."""
        return self.name == TESTBED

    @property
    def recorded(self) -> dict[str, str | int]:
        """The values that a result's recipe records; not the name, which may be a folder of this machine."""
        return {"dtype": self.dtype, "hook_point": self.hook_point}


class ReadsLm(Config):
    """The language model of the study."""

    lm: LmConfig
    """The causal LM, and where it is read."""


class WindowBatches(Config):
    """Batch size of the language model's forward passes."""

    batch_windows: Annotated[int, Field(ge=1, le=100_000)]
    """Windows of one forward pass."""
