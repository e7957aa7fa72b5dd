"""Decorators and annotations by which a function declares itself a command, with its inputs and outputs.

`fispace.study.commands` reads these declarations from the source, so that neither the command line
nor a rule file repeats them. The code digest of every step covers this module.
Must not: import anything of the package.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, TypeVar

Step = TypeVar("Step", bound=Callable[..., None])
Value = TypeVar("Value")

Reads = Annotated[Path, "read"]
"""A file that the step reads."""

ReadsFolder = Annotated[Path, "read folder"]
"""A folder whose files the step reads."""

Writes = Annotated[Path, "written"]
"""A result that the step writes."""

WritesFolder = Annotated[Path, "written folder"]
"""A folder in which the step writes its results."""

Scratch = Annotated[Path, "scratch"]
"""A folder for unfinished work; an interrupted step continues from it."""

Unrecorded = Annotated[Value, "unrecorded"]
"""A value that changes how the step runs, but no byte of its results."""


def command(
    chapter: str,  # noqa: ARG001  (all four are read from the source)
    verb: str,  # noqa: ARG001
    *,
    sections: tuple[str, ...] = (),  # noqa: ARG001
    target: Literal["all", "full"] = "all",  # noqa: ARG001
) -> Callable[[Step], Step]:
    """A decorator that makes a function the command `python -m fispace CHAPTER VERB`.

    The fields of the function's `params` are looked up first in those `sections` of params.yaml that have
    a dotted name, then in the chapter's section, then in the other `sections`, then at the top level.
    `target` is the smallest Snakemake target that needs the command.
    """

    def unchanged(function: Step) -> Step:
        return function

    return unchanged


def tool(name: str) -> Callable[[Step], Step]:  # noqa: ARG001
    """A decorator that makes a function the command `python -m fispace NAME`, which no rule calls."""

    def unchanged(function: Step) -> Step:
        return function

    return unchanged
