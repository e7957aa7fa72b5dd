"""Reads one YAML file of plain values, and refuses YAML features whose effect is easy to miss.

Must not: resolve tags, aliases or merge keys, or know what the values mean.
"""

import math
from pathlib import Path
from typing import Any

import yaml

from fispace.errors import ParamsError

MAX_BYTES = 1 << 20
MAX_DEPTH = 20


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses aliases, merge keys, deep nesting, and duplicate or non-string keys."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"line {self._line()}: aliases (*name) are not allowed")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.YAMLError(f"line {self._line()}: nested deeper than {MAX_DEPTH} levels")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.YAMLError(f"line {line}: the key {_text(key)} is not plain text")
            if key.value in seen:
                raise yaml.YAMLError(f"line {line}: the key '{key.value}' is given twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def _line(self) -> int:
        return self.peek_event().start_mark.line + 1  # pyright: ignore[reportOptionalMemberAccess]


def _text(key: yaml.Node) -> str:
    return repr(key.value) if isinstance(key, yaml.ScalarNode) else "(a collection)"


def read_yaml_mapping(path: Path) -> dict[str, Any]:
    """Content of a YAML file whose top level is a mapping of plain values.

    Plain values are strings, finite numbers, booleans, null, and lists and mappings of these.

    Raises:
        ParamsError: if the file is missing, too large, not UTF-8, not YAML, holds a duplicate key,
            an alias, a tag or a value that is not plain; the message names file and place.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ParamsError(
                f"{path}: larger than {MAX_BYTES} bytes; this is not a parameter file."
            )
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise ParamsError(f"{path}: is not UTF-8 text.") from None
    values = _parse(text, path)
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ParamsError(f"{path}: expected keys and values at the top level, got {values!r:.80}.")
    _check_plain(values, "", path)
    return values


def _parse(text: str, place: Path | str) -> Any:
    try:
        return _StrictLoader(text).get_single_data()
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a number or date Python cannot hold
        detail = " ".join(str(error).split())
        raise ParamsError(f"{place}: not readable as plain YAML: {detail:.300}.") from None


def _check_plain(value: Any, where: str, place: Path | str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _check_plain(item, f"{where}.{key}" if where else key, place)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_plain(item, f"{where}[{index}]", place)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ParamsError(f"{place}: {where}: {value} is not a finite number.")
    elif not isinstance(value, str | int | float | bool | None):
        kind = type(value).__name__
        raise ParamsError(f"{place}: {where}: a value of kind {kind} is not allowed; quote it.")


def read_yaml_value(text: str, key: str, place: str) -> Any:
    """One value as it stands in a parameter file: quoted texts are texts; `place` is named in messages.

    Raises:
        ParamsError: as `read_yaml_mapping`.
    """
    value = _parse(text, f"{place}: {key}")
    _check_plain(value, key, place)
    return value
