"""Builds the frozen configuration dataclasses from plain mappings, strictly.

Must not: hold a default, read a file, or know a chapter.
"""

import contextlib
import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from fispace.errors import ParamsError

T = TypeVar("T")


def build(cls: type[T], value: Any, where: str) -> T:
    """Instance of the dataclass `cls` with exactly the keys of `value`, nested dataclasses included.

    Raises:
        ParamsError: on an unknown, missing or ill-typed key; the message names it as `where.key`.
    """
    if not isinstance(value, Mapping):
        raise ParamsError(f"{where}: expected a mapping, got {value!r}.")
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls)]  # pyright: ignore[reportArgumentType]
    for key in value:
        if key not in names:
            raise ParamsError(f"{where}.{key}: unknown parameter; known here: {', '.join(names)}.")
    for name in names:
        if name not in value:
            raise ParamsError(f"{where}.{name}: missing parameter.")
    return cls(**{name: _convert(hints[name], value[name], f"{where}.{name}") for name in names})


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _convert_union(args, value, where)
    if origin is typing.Literal:
        return _checked(value in args, value, f"one of {', '.join(map(repr, args))}", where)
    if origin is tuple:
        _checked(isinstance(value, list | tuple), value, "a list", where)
        return tuple(_convert(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        _checked(isinstance(value, Mapping), value, "a mapping", where)
        return {key: _convert(args[1], item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value, where)
    return _convert_scalar(hint, value, where)


def _convert_union(options: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in options:
        return None
    *others, last = [option for option in options if option is not type(None)]
    for option in others:
        with contextlib.suppress(ParamsError):
            return _convert(option, value, where)
    return _convert(last, value, where)


def _convert_scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is Any:
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float:
        return float(_checked(is_number, value, "a number", where))
    if hint is int:
        return _checked(is_number and isinstance(value, int), value, "a whole number", where)
    if hint is bool:
        return _checked(isinstance(value, bool), value, "true or false", where)
    return _checked(isinstance(value, str), value, "a text", where)


def _checked(holds: bool, value: Any, expected: str, where: str) -> Any:
    if not holds:
        raise ParamsError(f"{where}: expected {expected}, got {value!r}.")
    return value
