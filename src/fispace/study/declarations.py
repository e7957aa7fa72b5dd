"""Reads the declarations of commands and tools from the source, without importing it.

Must not: import the modules it reads, or know a chapter.
"""

import ast
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fispace.study.config.base import Config

PACKAGE_FOLDER = Path(__file__).parents[1]
DECLARATIONS = "fispace.study.step"


class OptionKind(Enum):
    """What an option of a command is."""

    READS = "read"
    WRITES = "written"
    SCRATCH = "for unfinished work"
    VALUE = "changes the results"
    UNRECORDED = "changes no byte of the results"


PATH_KINDS = {
    "Reads": OptionKind.READS,
    "ReadsFolder": OptionKind.READS,
    "Writes": OptionKind.WRITES,
    "WritesFolder": OptionKind.WRITES,
    "Scratch": OptionKind.SCRATCH,
}
FOLDER_TYPES = ("ReadsFolder", "WritesFolder", "Scratch")
VALUES = {"int": int, "float": float, "str": str, "bool": bool, "Path": Path}


@dataclass(frozen=True)
class Option:
    """One argument of a step's function, and so one option of its command."""

    name: str
    kind: OptionKind
    type: type
    is_list: bool
    is_optional: bool
    is_folder: bool
    is_positional: bool

    @property
    def flag(self) -> str:
        """The option as a user types it."""
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True)
class Function:
    """A function that the command line can call, as its source declares it."""

    module: str
    function: str
    line: int
    doc: str
    options: tuple[Option, ...]
    config_path: str | None
    """Dotted name of the class of its argument `params`; None if it has none."""

    @property
    def config(self) -> "type[Config] | None":
        """Class whose fields are exactly the parameters that the function depends on."""
        if self.config_path is None:
            return None
        module, _, name = self.config_path.rpartition(".")
        return getattr(importlib.import_module(module), name)

    def loaded(self) -> Any:
        """The function itself; this imports its module."""
        return getattr(importlib.import_module(self.module), self.function)

    def names_of(self, *kinds: OptionKind) -> tuple[str, ...]:
        """Names of the options of these kinds."""
        return tuple(option.name for option in self.options if option.kind in kinds)


@dataclass(frozen=True)
class Declaration:
    """A decorated function, and the values given to its decorator."""

    function: Function
    values: tuple[Any, ...]
    named: dict[str, Any]


def declarations(decorator: str, folder: Path, text: str) -> Iterator[Declaration]:
    """Functions with the decorator in the folder's modules; only modules that contain `text` are parsed."""
    for path in sorted(folder.glob("*.py")):
        if text in path.read_text(encoding="utf-8"):
            yield from _declared_in(_parsed(path), f"{DECLARATIONS}.{decorator}")


@dataclass(frozen=True)
class _Source:
    """A parsed module, and the dotted names of what it imports."""

    path: Path
    tree: ast.Module
    imports: dict[str, str]

    @property
    def module(self) -> str:
        return ".".join(self.path.relative_to(PACKAGE_FOLDER.parent).with_suffix("").parts)

    def error(self, node: ast.arg, why: str) -> TypeError:
        return TypeError(f"{self.path}:{node.lineno}: {why}.")


@cache
def _parsed(path: Path) -> _Source:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    statements = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    imports = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in statements
        for alias in node.names
    }
    return _Source(path, tree, imports)


def _declared_in(source: _Source, decorator: str) -> Iterator[Declaration]:
    functions = (node for node in source.tree.body if isinstance(node, ast.FunctionDef))
    for node, call in ((each, call) for each in functions for call in each.decorator_list):
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            continue
        if source.imports.get(call.func.id) == decorator:
            values = tuple(ast.literal_eval(each) for each in call.args)
            named = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
            yield Declaration(_function(node, source), values, named)


def _function(node: ast.FunctionDef, source: _Source) -> Function:
    arguments = [*node.args.args, *node.args.kwonlyargs]
    config = [argument for argument in arguments if argument.arg == "params"]
    options = [_option(each, source, is_positional=True) for each in node.args.posonlyargs]
    options += [_option(each, source) for each in arguments if each.arg != "params"]
    return Function(
        module=source.module,
        function=node.name,
        line=node.lineno,
        doc=ast.get_docstring(node) or "",
        options=tuple(options),
        config_path=_config_path(config[0], source) if config else None,
    )


def _config_path(argument: ast.arg, source: _Source) -> str:
    name = argument.annotation
    if isinstance(name, ast.Name) and name.id in source.imports:
        return source.imports[name.id]
    raise source.error(argument, "the class of `params` must be imported by its name")


def _option(argument: ast.arg, source: _Source, *, is_positional: bool = False) -> Option:
    """An argument, by its annotation: `T`, `list[T]`, `T | None` or `Unrecorded[T]`."""
    inner, wrapper = argument.annotation, ""
    is_optional = isinstance(inner, ast.BinOp)
    if isinstance(inner, ast.BinOp):
        inner = inner.left
    if isinstance(inner, ast.Subscript) and isinstance(inner.value, ast.Name):
        inner, wrapper = inner.slice, inner.value.id
    name = inner.id if isinstance(inner, ast.Name) else ""
    if source.imports.get(name) == f"{DECLARATIONS}.{name}":
        kind, of_type = PATH_KINDS[name], Path
    elif name in VALUES:
        kind, of_type = OptionKind.VALUE, VALUES[name]
    else:
        raise source.error(
            argument, f"the argument {argument.arg!r} has a type that no option can have"
        )
    return Option(
        name=argument.arg,
        kind=OptionKind.UNRECORDED if wrapper == "Unrecorded" else kind,
        type=of_type,
        is_list=wrapper == "list",
        is_optional=is_optional,
        is_folder=name in FOLDER_TYPES,
        is_positional=is_positional,
    )
