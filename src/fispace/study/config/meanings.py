"""What parameters mean: the docstrings under the fields of their groups, read from the source.

Pydantic can read them itself, but does so whenever a group is imported, in every job; they are needed
for messages and for the generated reference alone. Must not: be imported where nothing is wrong.
"""

import ast
import inspect
import sys
from functools import cache

from pydantic import BaseModel


def meaning(model: type[BaseModel], name: str) -> str | None:
    """Docstring of a field as one line; None if there is none, or no such field."""
    for group in model.__mro__:
        if name in vars(group).get("__annotations__", {}):
            return _docstrings(group.__module__).get((group.__name__, name))
    return None


def summary(model: type[BaseModel]) -> str:
    """Docstring of a group as one line."""
    return " ".join((inspect.getdoc(model) or "").split())


@cache
def _docstrings(module: str) -> dict[tuple[str, str], str]:
    """Docstrings of a module's fields, by class and field: each stands right under its field."""
    found: dict[tuple[str, str], str] = {}
    for group in ast.parse(inspect.getsource(sys.modules[module])).body:
        if isinstance(group, ast.ClassDef):
            for field, below in zip(group.body, group.body[1:], strict=False):
                text = _text(below)
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and text:
                    found[group.name, field.target.id] = " ".join(text.split())
    return found


def _text(node: ast.stmt) -> str | None:
    """A string that stands alone."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return node.value.value if isinstance(node.value.value, str) else None
    return None
