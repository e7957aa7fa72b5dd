"""The commands and tools that the source declares.

A chapter's name is also its section of params.yaml, its rule file `workflow/rules/<chapter>.smk`, the
first word of its commands, its package `fispace/chapters/<chapter>/`, its tests `tests/<chapter>/`, its
results `results/<run>/<chapter>/` and its DVC stage. What stands `BESIDE` the chapters has all of these but
the stage. A command is a function in that package with the
decorator `fispace.study.step.command`; the function's arguments are its options.
Must not: import a step (torch stays unloaded), or hold a list of commands.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from fispace.study.chapters import STEP_FOLDERS
from fispace.study.declarations import PACKAGE_FOLDER, Function, OptionKind, declarations

TOOL_FOLDERS = ("exchange", "provenance", "report", "study")

ALIASES = {
    "baseline": "train",
    "joint": "train",
    "ablation": "fidelity",
    "interventions": "factorial",
    "figures": "report",
}
"""Snakemake targets named by subject, and the chapter each belongs to."""


@dataclass(frozen=True)
class Command(Function):
    """`python -m fispace <chapter> <verb>`: a step of the study, called by the rule of its name."""

    chapter: str
    verb: str
    also: tuple[str, ...]
    """Other sections of params than the chapter's own; see `fispace.study.step.command`."""

    target: str
    """Smallest Snakemake target that needs the command: `all` or `full`."""

    @property
    def name(self) -> str:
        """Chapter and verb."""
        return f"{self.chapter} {self.verb}"

    @property
    def sections(self) -> tuple[str, ...]:
        """Sections of params in the order in which a field is looked up; "" is the top level."""
        nested = tuple(name for name in self.also if "." in name)
        others = tuple(name for name in self.also if "." not in name)
        return (*nested, self.chapter, *others, "")

    @property
    def writes(self) -> tuple[str, ...]:
        """Options that name what the command writes."""
        return self.names_of(OptionKind.WRITES)

    @property
    def rule(self) -> str:
        """Rule that calls the command."""
        return rule_of(self.name)


@dataclass(frozen=True)
class Tool(Function):
    """`python -m fispace <name>`: a function about whole runs; no rule calls it."""

    name: str


def rule_of(command: str) -> str:
    """Name of the rule that calls `chapter verb`."""
    return command.replace(" ", "_").replace("-", "_")


@cache
def all_commands() -> tuple[Command, ...]:
    """Every command, chapter by chapter, then those beside the chapters."""
    return tuple(found for chapter in STEP_FOLDERS for found in commands_of(chapter))


@cache
def commands_of(chapter: str) -> tuple[Command, ...]:
    """The commands of a chapter, in the order of its modules' names."""
    return tuple(_commands_in(chapter, "@command("))


@cache
def find_command(chapter: str, verb: str) -> Command:
    """The command of a chapter and verb; only modules that contain the verb are parsed.

    Raises:
        KeyError: if there is none.
    """
    for found in _commands_in(chapter, f'"{verb}"') if chapter in STEP_FOLDERS else ():
        if found.verb == verb:
            return found
    raise KeyError(f"{chapter} {verb}")


@cache
def all_tools() -> tuple[Tool, ...]:
    """Every tool, by its name."""
    found = [
        Tool(**vars(each.function), name=each.values[0])
        for folder in TOOL_FOLDERS
        for each in declarations("tool", PACKAGE_FOLDER / folder, "@tool(")
    ]
    return tuple(sorted(found, key=lambda tool: tool.name))


def _commands_in(chapter: str, text: str) -> Iterator[Command]:
    for each in declarations("command", PACKAGE_FOLDER / STEP_FOLDERS[chapter], text):
        own, verb = each.values
        if own != chapter:
            raise TypeError(
                f"{each.function.module}: a command of {own!r} among those of {chapter!r}."
            )
        sections = each.named.get("sections", ())
        target = each.named.get("target", "all")
        yield Command(
            **vars(each.function), chapter=chapter, verb=verb, also=sections, target=target
        )
