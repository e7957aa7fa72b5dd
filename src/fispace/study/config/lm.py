"""Configuration of the language model. Meanings and ranges: workflow/schemas/lm.schema.yaml."""

from dataclasses import dataclass
from typing import Literal

TESTBED = "testbed"


@dataclass(frozen=True)
class LmConfig:
    """Which causal LM, and the hook point at which it is read and spliced."""

    name: str
    revision: str | None
    dtype: Literal["float32", "bfloat16", "float16"]
    hook_point: int | str

    @property
    def is_testbed(self) -> bool:
        """Whether the testbed chapter trains the LM of this study."""
        return self.name == TESTBED

    @property
    def recorded(self) -> dict[str, str | int]:
        """What a result's recipe says of it: no name, which may be a folder of this machine."""
        return {"dtype": self.dtype, "hook_point": self.hook_point}
