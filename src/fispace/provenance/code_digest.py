"""Digest of the code that a step's results depend on: its module and what that imports.

Comments, layout and docstrings do not enter. Must not: import the code it reads.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = "fispace"
SOURCE = Path(__file__).parents[1]
NOT_IN_RESULTS = frozenset({"fispace.errors"})
"""Modules that can end a job but never change what a finished job has written."""


@cache
def code_digest(module: str, source: Path = SOURCE) -> str:
    """SHA-256 over the syntax trees of `module` and of all it imports; 64 hexadecimal digits.

    Imports count as far as they are of this package, directly or not, inside functions too.
    A module outside the closure (the command line, other chapters) does not enter.

    Raises:
        FileNotFoundError: if the module does not exist.
    """
    digest = hashlib.sha256()
    for name in sorted(closure(module, source)):
        digest.update(f"{name} {_read(name, source).digest}\n".encode())
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
    tree = ast.parse(_path(module, source).read_text(encoding="utf-8"))
    imports = _imports(tree, module, source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            # a string that stands alone is a docstring wherever it stands: it has no effect
            node.body = [item for item in node.body if not _is_text(item)] or [ast.Pass()]
    return _Module(imports, hashlib.sha256(ast.dump(tree).encode()).hexdigest())


def _path(module: str, source: Path) -> Path:
    base = source.joinpath(*module.split(".")[1:])
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


def _exists(module: str, source: Path) -> bool:
    return _path(module, source).is_file()


def _imports(tree: ast.Module, module: str, source: Path) -> frozenset[str]:
    """Package modules named by any import statement of the module, with their parent packages."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module, source)
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    ours = {name for name in names if name.split(".")[0] == PACKAGE}
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
