"""Command line `python -m fispace CHAPTER VERB`: arguments to a step's function, errors to one paragraph.

The options of a verb are the keyword-only parameters of its function. Given n values (n seeds, n
inputs, n outputs) instead of one, the function is called n times, in turn, with the i-th of each: n
small steps pay for one start. Must not: hold logic or defaults.
"""

import argparse
import importlib
import inspect
import logging
import sys
import types
import typing
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from fispace.errors import FispaceError, ParamsError
from fispace.provenance.records import hashed_inputs, state_of, write_record
from fispace.seeds import named_streams
from fispace.store.files import parse_json
from fispace.study.commands import CHAPTERS, COMMANDS, TOOLS, Command, find_command

USAGE_ERROR, USER_ERROR = 2, 1
MEMORY_WORDS = ("can't allocate memory", "failed to map segment", "without exception set")
"""What libraries say, in exceptions of their own choice, when the system gives them no memory."""
OUT_OF_MEMORY = (
    "the memory that this process may use does not suffice. Nothing half-written stands under a "
    "final name; give more memory, or smaller batches (*.batch_windows, train.batch_tokens), and "
    "run the same command again."
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the process's exit code."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("fispace").setLevel(logging.INFO)  # libraries speak from warnings up
    options, rest = _top_parser().parse_known_args(arguments)
    try:
        _run(options, rest)
    except FispaceError as error:
        logging.getLogger(__name__).error("error: %s", error)
        return USER_ERROR
    except MemoryError:
        logging.getLogger(__name__).error("error: %s", OUT_OF_MEMORY)
        return USER_ERROR
    except (RuntimeError, ImportError, SystemError) as error:
        if not any(words in str(error) for words in MEMORY_WORDS):
            raise
        logging.getLogger(__name__).error("error: %s", OUT_OF_MEMORY)
        return USER_ERROR
    except OSError as error:  # a full disk, a read-only folder: not the program's fault
        logging.getLogger(__name__).error("error: %s", _system_error(error))
        return USER_ERROR
    return 0


def _run(options: argparse.Namespace, rest: list[str]) -> None:
    for tool in TOOLS:
        if options.chapter == tool.name:
            function = getattr(importlib.import_module(tool.module), tool.function)
            values = vars(_parser_of(f"python -m fispace {tool.name}", function).parse_args(rest))
            call = inspect.BoundArguments(inspect.signature(function), OrderedDict(values))
            function(*call.args, **call.kwargs)
            return
    command = find_command(options.chapter, options.verb)
    function = getattr(importlib.import_module(command.module), command.function)
    for values in _calls(command, function, rest):
        inputs, before = hashed_inputs(command, values), state_of(command, values)
        with named_streams() as streams:
            function(**values)
        write_record(command, values, inputs, before, streams)


def _system_error(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return (
        f"{place}{error.strerror or error}. Nothing half-written stands under a final name; "
        "the same command continues once the cause (space, rights, limits) is gone."
    )


def _top_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fispace", description="One step of the study.")
    chapters = parser.add_subparsers(dest="chapter", required=True, metavar="CHAPTER")
    for tool in TOOLS:
        chapters.add_parser(tool.name, add_help=False)
    for chapter in CHAPTERS:
        verbs = [command.verb for command in COMMANDS if command.chapter == chapter]
        if not verbs:
            continue
        chapter_parser = chapters.add_parser(chapter, help=f"verbs: {', '.join(verbs)}")
        verb_parsers = chapter_parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        for verb in verbs:
            verb_parsers.add_parser(verb, add_help=False)  # its options come from the function
    return parser


def _calls(command: Command, function: Callable[..., Any], rest: list[str]) -> list[dict[str, Any]]:
    """Arguments of each call of the function; all are checked before the first call."""
    parser = _parser_of(f"python -m fispace {command.chapter} {command.verb}", function, "+")
    if command.config is not None:
        parser.add_argument("--params", required=True, metavar="JSON", help=command.config.__doc__)
    values = vars(parser.parse_args(rest))
    if command.config is not None:
        values["params"] = _parse_params(command, values["params"])
    hints = typing.get_type_hints(function)
    in_turn = {
        name: given
        for name, given in values.items()
        if isinstance(given, list) and typing.get_origin(hints[name]) is not list
    }
    try:
        return [values | turn for turn in _turns(in_turn, command.writes)]
    except ValueError as error:
        parser.error(str(error))


def _turns(in_turn: dict[str, list[Any]], outputs: tuple[str, ...]) -> list[dict[str, Any]]:
    """Values of each call: of n values the i-th is the i-th call's, a single one is every call's.

    Raises:
        ValueError: if the counts do not fit, or two calls would write the same file.
    """
    n_calls = max(map(len, in_turn.values()), default=1)
    for name, given in in_turn.items():
        flag = "--" + name.replace("_", "-")
        if name in outputs and len(set(given)) != n_calls:
            raise ValueError(
                f"argument {flag}: {len(set(given))} different values for {n_calls} calls; each "
                "call writes a file of its own"
            )
        if len(given) not in (1, n_calls):
            raise ValueError(
                f"argument {flag}: {len(given)} values for {n_calls} calls; give one for all calls "
                "or one for each"
            )
    return [
        {name: given[i % len(given)] for name, given in in_turn.items()} for i in range(n_calls)
    ]


def _parser_of(
    prog: str, function: Callable[..., Any], nargs: str | None = None
) -> argparse.ArgumentParser:
    """Options from the function's signature; those that hold no list take `nargs` values."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=inspect.getdoc(function),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    hints = typing.get_type_hints(function)
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.POSITIONAL_ONLY:
            parser.add_argument(name, type=hints[name], metavar=name.upper())
        elif name != "params":
            _add_option(parser, name, hints[name], nargs)
    return parser


def _add_option(parser: argparse.ArgumentParser, name: str, hint: Any, nargs: str | None) -> None:
    flag = "--" + name.replace("_", "-")
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        parser.add_argument(flag, required=True, nargs="*", type=args[0])
    elif origin in (types.UnionType, typing.Union):
        parser.add_argument(flag, required=False, nargs=nargs, type=args[0])  # absent = None
    else:
        parser.add_argument(flag, required=True, nargs=nargs, type=hint)


def _parse_params(command: Command, text: str) -> Any:
    where = f"{command.chapter}"
    try:
        value = parse_json(text)
    except ValueError as error:
        raise ParamsError(f"--params of {where} {command.verb} is not JSON: {error}.") from None
    assert command.config is not None
    return command.config.read(value, where)
