"""Functions of the package by name, from its syntax trees: file, line, docstring, equations.

Must not: import the code it reads.
"""

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fispace.provenance.code_digest import SOURCE

SECTIONS = ("Args:", "Attributes:", "Example:", "Note:", "Raises:", "Returns:", "Yields:")
"""Headings that end the description in a docstring."""
EQUATION = re.compile(r"\S = \S|\S / \S|\w - \w|\w\^\w|\bsum_")
"""Found in a line of arithmetic, and not in a sentence."""
SENTENCE_END = re.compile(r"(?<=[.;]) (?=[A-Z`(|])|(?<=:) (?=[A-Z])")
DEFINITION = re.compile(r"^\S+ {2,}\S")
"""A line of an aligned list: `name   what it is`."""


@dataclass(frozen=True)
class Definition:
    """A function or class of the package."""

    name: str
    """`module:function`."""
    file: str
    """Path of the module's file from the working folder: `src/fispace/...`."""
    line: int
    summary: str
    """First line of the docstring."""
    equations: tuple[str, ...]
    """Lines of the docstring with an equation."""

    @property
    def place(self) -> str:
        """`src/fispace/stats/paper_formulas.py:142`."""
        return f"{self.file}:{self.line}"

    @property
    def short_name(self) -> str:
        """The function's name without its module."""
        return self.name.partition(":")[2]


@cache
def find_definition(name: str, source: Path = SOURCE) -> Definition:
    """The function, class or method `module:function`, `module:Class` or `module:Class.method`.

    Raises:
        KeyError: if there is no such module, or it does not define the name.
    """
    module, _, qualified = name.partition(":")
    path = source.joinpath(*module.split(".")[1:]).with_suffix(".py")
    if not path.is_file():
        raise KeyError(name)
    body = _parsed(path).body
    found: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | None = None
    for part in qualified.split("."):
        found = _defined(body, part)
        if found is None:
            raise KeyError(name)
        body = found.body
    assert found is not None
    text = ast.get_docstring(found) or ""
    summary, *rest = text.splitlines() or [""]
    shown = path.relative_to(source.parents[1]).as_posix()
    return Definition(name, shown, found.lineno, summary, tuple(equations(summary, rest)))


def equations(summary: str, rest: list[str]) -> list[str]:
    """Sentences of a docstring with an equation, and lines of lists that define names, in order.

    Sections such as `Raises:` are left out. A line of a list keeps its indented continuation.
    """
    found: list[str] = [summary] if EQUATION.search(summary) else []
    prose: list[str] = []

    def end_of_paragraph() -> None:
        sentences = SENTENCE_END.split(" ".join(prose))
        found.extend(sentence for sentence in sentences if EQUATION.search(sentence))
        prose.clear()

    is_list = False
    for line in rest:
        if line.strip() in SECTIONS:
            break
        is_list = bool(DEFINITION.match(line)) or (is_list and line.startswith("  "))
        if is_list or not line.strip():
            end_of_paragraph()
        if is_list:
            found.append(line.rstrip())
        elif line.strip():
            prose.append(line.strip())
    end_of_paragraph()
    return found


def constant_names(module: str, source: Path = SOURCE) -> dict[str, str]:
    """The function `module:function` of each entry in the module's mapping of names to functions.

    The mapping looks like `{"kl": fidelity.kl}`: its keys are strings, and its values are functions of
    imported modules. These modules are not loaded.
    """
    tree = _parsed(source.joinpath(*module.split(".")[1:]).with_suffix(".py"))
    modules = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(value, ast.Attribute):
                    owner = value.value
                    if isinstance(owner, ast.Name) and owner.id in modules:
                        found[str(key.value)] = f"{modules[owner.id]}:{value.attr}"
    return found


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _defined(
    body: list[ast.stmt], name: str
) -> ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | None:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name == name:
                return node
        elif isinstance(node, ast.If | ast.Try | ast.With):  # such as `if TYPE_CHECKING:`
            inner = _defined(node.body, name)
            if inner is not None:
                return inner
    return None
