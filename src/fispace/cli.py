"""Command line `python -m fispace CHAPTER VERB`: arguments to a step's function, errors to one paragraph.

The options of a verb are the keyword-only parameters of its function. Must not: hold logic or defaults.
"""

import argparse
import importlib
import inspect
import json
import logging
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

from fispace.commands import CHAPTERS, COMMANDS, Command, find_command
from fispace.config.build import build
from fispace.errors import FispaceError, ParamsError

USAGE_ERROR, USER_ERROR = 2, 1


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the process's exit code."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("fispace").setLevel(logging.INFO)  # libraries speak from warnings up
    options, rest = _top_parser().parse_known_args(arguments)
    command = find_command(options.chapter, options.verb)
    try:
        function = getattr(importlib.import_module(command.module), command.function)
        function(**_call_arguments(command, function, rest))
    except FispaceError as error:
        logging.getLogger(__name__).error("error: %s", error)
        return USER_ERROR
    return 0


def _top_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fispace", description="One step of the study.")
    chapters = parser.add_subparsers(dest="chapter", required=True, metavar="CHAPTER")
    for chapter in CHAPTERS:
        verbs = [command.verb for command in COMMANDS if command.chapter == chapter]
        if not verbs:
            continue
        chapter_parser = chapters.add_parser(chapter, help=f"verbs: {', '.join(verbs)}")
        verb_parsers = chapter_parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for verb in verbs:
            verb_parsers.add_parser(verb, add_help=False)  # its options come from the function
    return parser


def _call_arguments(
    command: Command, function: Callable[..., Any], rest: list[str]
) -> dict[str, Any]:
    parser = argparse.ArgumentParser(
        prog=f"python -m fispace {command.chapter} {command.verb}",
        description=inspect.getdoc(function),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if command.config is not None:
        parser.add_argument("--params", required=True, metavar="JSON", help=command.config.__doc__)
    hints = typing.get_type_hints(function)
    for name in inspect.signature(function).parameters:
        if name != "params":
            _add_option(parser, name, hints[name])
    values = vars(parser.parse_args(rest))
    if command.config is not None:
        values["params"] = _parse_params(command, values["params"])
    return values


def _add_option(parser: argparse.ArgumentParser, name: str, hint: Any) -> None:
    flag = "--" + name.replace("_", "-")
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        parser.add_argument(flag, required=True, nargs="*", type=args[0])
    elif origin in (types.UnionType, typing.Union):
        parser.add_argument(flag, required=False, type=args[0])  # absent = None
    else:
        parser.add_argument(flag, required=True, type=hint)


def _parse_params(command: Command, text: str) -> Any:
    where = f"{command.chapter}"
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ParamsError(f"--params of {where} {command.verb} is not JSON: {error}.") from None
    assert command.config is not None
    return build(command.config, value, where)
