"""Digest of the code that a step's results depend on: its module, and all that the module imports.

Comments, layout and docstrings do not count. Must not: import the code it reads.
"""

import ast
import hashlib
from collections import deque
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE_NAME = "fispace"
SOURCE = Path(__file__).parents[1]
NOT_IN_RESULTS = frozenset({"fispace", "fispace.errors"})
"""Modules that never change what a finished job has written: the names of the library, and errors."""
QUOTING = frozenset({"fispace.report.explanations"})
"""Modules whose results quote the docstrings of functions and classes, of any module."""
READS_FILES = {"fispace.html.render": "html/assets"}
"""Folders of the package whose files, whole, count as code of a module: it copies them into results."""
BLOCKS = ("body", "handlers", "cases", "orelse", "finalbody")
"""Fields of a statement that hold statements, in the order in which they stand in the source."""


@cache
def code_digest(module: str, source: Path = SOURCE) -> str:
    """SHA-256 over the syntax trees of `module` and of all it imports; 64 hexadecimal digits.

    Only imports of this package count, also indirect ones and those inside functions. For a module that
    quotes docstrings, the docstrings of all functions and classes of the package count as well.

    Raises:
        FileNotFoundError: if the module does not exist.
    """
    digest = hashlib.sha256()
    for name in sorted(closure(module, source)):
        digest.update(f"{name} {_read(name, source).digest}\n".encode())
        if name in READS_FILES:
            for path in sorted((source / READS_FILES[name]).iterdir()):
                digest.update(
                    f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
                )
    if module in QUOTING:
        for path in sorted(source.rglob("*.py")):
            digest.update(f"{_docstrings_digest(_name(path, source), source)}\n".encode())
    return digest.hexdigest()


def closure(module: str, source: Path = SOURCE) -> set[str]:
    """Names of `module` and of all package modules that it imports, directly or not."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or name in NOT_IN_RESULTS:
            continue
        found.add(name)
        waiting.extend(_read(name, source).imports - found)
    return found


class _Module(NamedTuple):
    imports: frozenset[str]
    digest: str


@cache
def _read(module: str, source: Path) -> _Module:
    tree = _parsed(module, source)
    imports = _imports(tree, module, source)
    for node in _statements(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            # a string that is a statement has no effect
            node.body = [item for item in node.body if not _is_text(item)] or [ast.Pass()]
    return _Module(imports, hashlib.sha256(tree_text(tree).encode()).hexdigest())


def _docstrings_digest(module: str, source: Path) -> str:
    """Digest of the docstrings of functions and classes."""
    said = [
        f"{node.name} {ast.get_docstring(node)}"
        for node in _statements(_parsed(module, source))
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()


def _parsed(module: str, source: Path) -> ast.Module:
    return ast.parse(_path(module, source).read_text(encoding="utf-8"))


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """The module and every statement in it, outer ones first.

    Every job walks dozens of modules, and `ast.walk` visits all their expressions as well.
    """
    waiting: deque[ast.AST] = deque([tree])
    while waiting:
        node = waiting.popleft()
        for name in BLOCKS:
            waiting.extend(getattr(node, name, ()))
        yield node


def tree_text(node: object) -> str:
    """A syntax tree as text that is the same in Python 3.11, 3.12 and 3.13.

    It holds the types of nodes and their fields, without positions and empty fields. `ast.dump` differs
    between versions: 3.12 added `type_params`, 3.13 leaves out empty fields.
    """
    if isinstance(node, ast.JoinedStr):
        return f"JoinedStr([{','.join(map(tree_text, _joined(node.values)))}])"
    if isinstance(node, ast.AST):
        fields: list[str] = []
        for name in node._fields:
            value = getattr(node, name, None)
            if value is not None and value != []:
                fields.append(f"{name}={tree_text(value)}")
        return f"{type(node).__name__}({','.join(fields)})"
    if isinstance(node, list):
        return f"[{','.join(map(tree_text, node))}]"
    return ascii(node)  # `repr` depends on the version of the Unicode tables


def _joined(values: list[ast.expr]) -> list[ast.expr]:
    """Parts of an f-string with adjacent texts joined, since versions split them differently."""
    found: list[ast.expr] = []
    for part in values:
        last = found[-1] if found else None
        if isinstance(part, ast.Constant) and isinstance(last, ast.Constant):
            found[-1] = ast.Constant(f"{last.value}{part.value}")
        elif not (isinstance(part, ast.Constant) and part.value == ""):
            found.append(part)
    return found


def _path(module: str, source: Path) -> Path:
    base = source.joinpath(*module.split(".")[1:])
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


def _name(path: Path, source: Path) -> str:
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join([PACKAGE_NAME, *(part for part in parts if part != "__init__")])


def _exists(module: str, source: Path) -> bool:
    return _path(module, source).is_file()


def _imports(tree: ast.Module, module: str, source: Path) -> frozenset[str]:
    """Package modules named by any import statement of the module, with their parent packages."""
    names: set[str] = set()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module, source)
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    ours = {name for name in names if name.split(".")[0] == PACKAGE_NAME}
    parents = {name.rsplit(".", depth)[0] for name in ours for depth in range(name.count(".") + 1)}
    return frozenset(name for name in ours | parents if _exists(name, source))


def _absolute(node: ast.ImportFrom, module: str, source: Path) -> str:
    if node.level == 0:
        return node.module or ""
    is_package = _path(module, source).name == "__init__.py"
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, node.module] if node.module else parts)


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
