"""The command line `python -m fispace CHAPTER VERB`: calls a step's function, shows errors as one paragraph.

The options of a verb are the keyword-only arguments of its function. If options have n values (n seeds,
n inputs, n outputs) instead of one, the function is called n times in turn, with the i-th of each, so
that n small steps need only one process. Must not: hold logic or defaults.
"""

import argparse
import logging
import os
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from fispace.errors import FispaceError, ParamsError
from fispace.provenance.recording import hashed_inputs, state_of, write_record
from fispace.seeds import named_streams
from fispace.store.files import parse_json
from fispace.study.chapters import STEP_FOLDERS
from fispace.study.commands import Command, Tool, all_tools, commands_of, find_command
from fispace.study.declarations import Function, Option, OptionKind

PROGRAM = "python -m fispace"
USAGE_ERROR, USER_ERROR = 2, 1
MEMORY_WORDS = ("can't allocate memory", "failed to map segment", "without exception set")
"""Texts in exceptions that libraries raise, of any type, when memory runs out."""
OUT_OF_MEMORY = (
    "this process has run out of memory. No half-written file has a final name. Give the process "
    "more memory, or reduce the batches (*.batch_windows, train.batch_tokens), and run the same "
    "command again."
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the process's exit code."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("fispace").setLevel(logging.INFO)  # other packages: warnings and errors only
    os.environ.pop("MPLBACKEND", None)  # a notebook's backend may be missing here
    given = sys.argv[1:] if arguments is None else arguments
    asked, rest = _asked(given)
    try:
        if isinstance(asked, Tool):
            _run_tool(asked, rest)
        else:
            _run_command(asked, rest)
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


def _asked(given: list[str]) -> tuple[Tool | Command, list[str]]:
    """The tool or command that the first words name, and the words after them; exits on others."""
    if len(given) > 1:
        try:
            return find_command(*given[:2]), given[2:]
        except KeyError:
            pass
    for tool in all_tools():
        if given[:1] == [tool.name]:
            return tool, given[1:]
    _overview().parse_args(given[:2])  # lists what there is, and exits
    sys.exit(USAGE_ERROR)


def _run_tool(tool: Tool, rest: list[str]) -> None:
    values = vars(_parser_of(f"{PROGRAM} {tool.name}", tool).parse_args(rest))
    positional = [values.pop(option.name) for option in tool.options if option.is_positional]
    tool.loaded()(*positional, **values)


def _run_command(command: Command, rest: list[str]) -> None:
    calls = _turns_of(command, rest)
    function = command.loaded()
    for values in calls:
        inputs, before = hashed_inputs(command, values), state_of(command, values)
        with named_streams() as streams:
            function(**values)
        write_record(command, values, inputs, before, streams)


def _system_error(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return (
        f"{place}{error.strerror or error}. No half-written file has a final name; "
        "run the same command again once the cause (space, rights, limits) is removed."
    )


def _overview() -> argparse.ArgumentParser:
    """A parser of the first words only; its help lists all tools, chapters and verbs."""
    tools = "".join(_entry(tool.name, tool.doc.splitlines()[0]) for tool in all_tools())
    verbs = {chapter: [each.verb for each in commands_of(chapter)] for chapter in STEP_FOLDERS}
    steps = "".join(_entry(chapter, ", ".join(known)) for chapter, known in verbs.items())
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} TOOL ...\n       {PROGRAM} CHAPTER VERB ...",
        description="Tools that look at finished runs, and the single steps of the study.",
        epilog=f"tools:\n{tools}\nsteps, which `snakemake` runs in the right order:\n{steps}\n"
        f"`{PROGRAM} TOOL --help` and `{PROGRAM} CHAPTER VERB --help` say more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    words = parser.add_subparsers(required=True, metavar="TOOL or CHAPTER", help=argparse.SUPPRESS)
    for tool in all_tools():
        words.add_parser(tool.name)
    for chapter, known in verbs.items():
        lines = (_entry(each.verb, each.doc.splitlines()[0]) for each in commands_of(chapter))
        below = words.add_parser(
            chapter,
            prog=f"{PROGRAM} {chapter}",
            epilog="verbs:\n" + "".join(lines),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        below.add_argument("verb", metavar="VERB", choices=known, help=argparse.SUPPRESS)
    return parser


def _entry(word: str, text: str) -> str:
    """A word of the command line and its meaning, with a hanging indent."""
    return textwrap.fill(text, 98, initial_indent=f"  {word:18}", subsequent_indent=" " * 20) + "\n"


def calls_of(given: Sequence[str]) -> tuple[Command, list[dict[str, Any]]]:
    """The command that the words call, and the arguments of each call of its function.

    Raises:
        KeyError: if the first two words are no command.
    """
    command = find_command(*given[:2])
    return command, _turns_of(command, list(given[2:]))


def _turns_of(command: Command, rest: list[str]) -> list[dict[str, Any]]:
    """Arguments of each call of the function; all are checked before the first call."""
    parser = _parser_of(f"{PROGRAM} {command.name}", command, "+")
    if command.config is not None:
        parser.add_argument("--params", required=True, metavar="JSON", help=command.config.__doc__)
    values = vars(parser.parse_args(rest))
    if command.config is not None:
        values["params"] = _parse_params(command, values["params"])
    lists = {option.name for option in command.options if option.is_list}
    in_turn = {n: v for n, v in values.items() if isinstance(v, list) and n not in lists}
    try:
        return [values | turn for turn in _turns(in_turn, command.writes)]
    except ValueError as error:
        parser.error(str(error))


def _turns(in_turn: dict[str, list[Any]], outputs: tuple[str, ...]) -> list[dict[str, Any]]:
    """Values of each call: the i-th of n values goes to the i-th call, and a single value to all calls.

    Raises:
        ValueError: if the numbers of values differ, or two calls would write the same file.
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


def _parser_of(prog: str, function: Function, nargs: str | None = None) -> argparse.ArgumentParser:
    """Parser with an option per argument of the function; options that are not lists take `nargs` values."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=function.doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for option in function.options:
        if option.is_positional:
            parser.add_argument(
                option.name,
                type=option.type,
                metavar=option.name.upper(),
                nargs="?" if option.is_optional else None,
            )
        elif option.type is bool:
            parser.add_argument(option.flag, action="store_true")
        else:
            _add_option(parser, option, "*" if option.is_list else nargs)
    return parser


def _add_option(parser: argparse.ArgumentParser, option: Option, nargs: str | None) -> None:
    parser.add_argument(
        option.flag,
        required=not option.is_optional,  # absent = None
        nargs=nargs,
        type=option.type,
        help=None if option.kind is OptionKind.VALUE else option.kind.value,
    )


def _parse_params(command: Command, text: str) -> Any:
    where = f"{command.chapter}"
    try:
        value = parse_json(text)
    except ValueError as error:
        raise ParamsError(f"--params of {where} {command.verb} is not JSON: {error}.") from None
    assert command.config is not None
    return command.config.read(value, where)
