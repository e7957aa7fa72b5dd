"""Explanations as text: the chain call by call, the tree of all files, and JSON for tools.

Must not: look anything up.
"""

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fispace.provenance.functions import Function
from fispace.provenance.records import Record
from fispace.report.explained_rows import FoundRow
from fispace.report.explained_steps import REPETITIONS, Derivation, Explanation, Read, Step
from fispace.store.origins import Row, is_missing

WIDTH, INDENT = 100, "    "
HASH_CHARACTERS = 12
MOST_FILES, MOST_ROWS, MOST_CELLS = 4, 6, 7
NOT_RECORDED = "hash not recorded"
PLANNED = (
    "No record was kept when this run was made. Calls, parameters and file names are those that the "
    "workflow plans for it; hashes are those of the files that are kept."
)


def chain_lines(explained: Explanation) -> Iterator[str]:
    """The chain as paragraphs, one a command, from what is explained back to what was given."""
    yield from _head(explained)
    for number, step in enumerate(explained.steps, start=1):
        yield ""
        yield from step_lines(explained, step, number)
    yield ""
    yield from _ends(explained)


def _head(explained: Explanation) -> Iterator[str]:
    path = explained.run.path(explained.name)
    lines = {row.line for row in explained.rows}
    at = f", line {_listed(map(str, sorted(lines)))}" if lines else ""
    yield f"{path}{at}"
    for row in explained.rows[:MOST_ROWS]:
        yield from _wrapped(cells_text(row.cells), INDENT)
    yield from _more(len(explained.rows) - MOST_ROWS, "rows")
    if explained.steps and not explained.steps[0].records[0].code:
        yield from _wrapped(PLANNED, "")


def step_lines(explained: Explanation, step: Step, number: int) -> Iterator[str]:
    """One command: what it is, how the rows follow, what it read, with which parameters."""
    function = step.function
    if function is None:
        yield f"{number}. `{step.command}`, a command that this version does not have"
    else:
        yield f"{number}. {step.command}: {function.short_name}, {function.place}"
        yield from _wrapped(function.summary, INDENT)
    if not step.derivations:
        known = (function,) if function else ()
        for formula in (*known, *step.formulas):
            yield from _equations(formula, is_named=formula is not function)
    for derivation in step.derivations[:MOST_ROWS]:
        yield from derivation_lines(derivation)
    yield from _more(len(step.derivations) - MOST_ROWS, "such numbers")
    yield from _wrapped(f"wrote {_files(explained, step.records, step.outputs)}", INDENT)
    for option, names in step.inputs.items():
        shown = _files(explained, step.records, names)
        yield from _wrapped(f"read --{option.replace('_', '-')}: {shown}", INDENT)
    yield from _wrapped(_call_text(step), INDENT)


def derivation_lines(one: Derivation) -> Iterator[str]:
    """How rows follow from others: the formula, and the cells behind each of its arguments."""
    arguments = ", ".join(read.argument for read in one.reads)
    yield from _wrapped(
        f"{_subject(one.made)} = {one.function.short_name}({arguments}), {one.function.place}", INDENT
    )
    yield from _equations(one.function, is_named=False, indent=2 * INDENT)
    for read in one.reads:
        yield from _wrapped(f"{read.argument}: {_read_text(read)}", 2 * INDENT)


def _subject(made: list[FoundRow]) -> str:
    """What the rows are: their texts, and the numbers by seed."""
    first = made[0]
    texts = [str(value) for value in first.cells.values() if isinstance(value, str) and value]
    values = ", ".join(_repetition(row) for row in made[:MOST_ROWS])
    return f"{' '.join(texts[:3])} ({first.file} {values})"


def _repetition(row: FoundRow) -> str:
    named = [f"{name} {row.cells[name]:g}" for name in REPETITIONS if _is_number(row.cells.get(name))]
    return f"{' '.join([*named, 'line'])} {row.line}"


def _read_text(read: Read) -> str:
    """The place of the cells, and what they hold."""
    rows = [row for found in read.found.values() for row in found]
    column = read.rows.column
    place = ", ".join(f"{key}={_cell(value)}" for key, value in read.rows.where.items())
    file = rows[0].file if rows else ", ".join(sorted(set(read.files))[:MOST_FILES])
    if column is None:
        return f"{_braced(read.files)}{f' where {place}' if place else ''}"
    where = f"{column} of {file}{f' where {place}' if place else ''}"
    if not rows:
        return f"{where} ({read.missing or 'no such row'})"
    values = [f"{_cell(row.cells[column])} ({_repetition(row)})" for row in rows[:MOST_ROWS]]
    more = f" and {len(rows) - MOST_ROWS} more" if len(rows) > MOST_ROWS else ""
    return f"{where}: {'; '.join(values)}{more}"


def _equations(function: Function, *, is_named: bool, indent: str = INDENT) -> Iterator[str]:
    if is_named:
        yield from _wrapped(f"{function.short_name}, {function.place}: {function.summary}", indent)
    for line in function.equations:
        if line != function.summary or not is_named:
            yield from _wrapped(line, indent + "  | ") if not line.startswith(" ") else [
                f"{indent}  | {line}"
            ]


def _files(explained: Explanation, records: list[Record], names: list[str]) -> str:
    """Files by name, the first ones with their hashes."""
    run = explained.run
    shown = []
    for name in names[:MOST_FILES]:
        maker = run.makers.get(name)
        owners = [*([maker] if maker else []), *records]
        sha = next((sha for record in owners if (sha := run.sha256(record, name))), "")
        shown.append(f"{name} ({sha[:HASH_CHARACTERS] or NOT_RECORDED})")
    if len(names) > MOST_FILES:
        return f"{len(names)} files: {_braced(names)}"
    return ", ".join(shown)


def _braced(names: Iterable[str]) -> str:
    """Names with their differing seeds, worlds and shards in braces."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        stem, number = _numbered(name)
        groups.setdefault(stem, []).append(number)
    shown = [
        stem.replace("#", numbers[0] if len(numbers) == 1 else f"{{{','.join(numbers)}}}")
        for stem, numbers in groups.items()
    ]
    return ", ".join(shown)


def _numbered(name: str) -> tuple[str, str]:
    """The name with `#` for its first number after a letter or dash of its last part; and the number."""
    folder, slash, last = name.rpartition("/")
    digits = [i for i, character in enumerate(last) if character.isdigit()]
    if not digits:
        return name, ""
    start = end = digits[0]
    while end < len(last) and last[end].isdigit():
        end += 1
    return f"{folder}{slash}{last[:start]}#{last[end:]}", last[start:end]


def _call_text(step: Step) -> str:
    """Options and parameters of the calls."""
    options = {
        key: list(dict.fromkeys(str(record.options.get(key)) for record in step.records))
        for record in step.records
        for key in record.options
    }
    said = [f"{key} {_listed(values)}" for key, values in options.items()]
    for key, value in (step.records[0].params or {}).items():
        said.append(f"{key} {json.dumps(value, ensure_ascii=False)}")
    calls = f"{len(step.records)} calls, " if len(step.records) > 1 else ""
    return f"{calls}with {'; '.join(said) or 'no parameters'}"


def _ends(explained: Explanation) -> Iterator[str]:
    if explained.given:
        yield from _wrapped(f"Given, not made: {', '.join(explained.given)}.", "")
    for name in explained.unrecorded:
        why = explained.run.damage(name) or "no command recorded it"
        yield from _wrapped(f"The chain ends at {explained.run.path(name)}: {why}", "")


def tree_lines(explained: Explanation) -> Iterator[str]:
    """Every file behind the one explained, below what was made of it; a file that stands above is cut."""
    shown: set[str] = set()

    def below(name: str, head: str, rest: str) -> Iterator[str]:
        maker = explained.run.makers.get(name)
        record = f" <- {maker.command}{_options_text(maker)}" if maker else ""
        sha = explained.run.sha256(maker, name) if maker else ""
        is_above = name in shown
        yield f"{head}{name} {sha[:HASH_CHARACTERS]}{record}{' (above)' if is_above else ''}"
        if maker is None or is_above:
            return
        shown.add(name)
        names = [one for files in explained.run.inputs(maker).values() for one in files]
        for i, one in enumerate(names):
            is_last = i == len(names) - 1
            yield from below(one, f"{rest}{'└─ ' if is_last else '├─ '}", rest + ("   " if is_last else "│  "))

    yield from below(explained.name, "", "")


def _options_text(record: Record) -> str:
    return "".join(f" {key}={_cell(value)}" for key, value in record.options.items())


def as_json(explained: Explanation) -> dict[str, Any]:
    """Everything that is known, for tools."""
    run = explained.run

    def rows(found: Iterable[FoundRow]) -> list[dict[str, Any]]:
        return [
            {"file": row.file, "line": row.line, "cells": {k: _plain(v) for k, v in row.cells.items()}}
            for row in found
        ]

    def function(one: Function | None) -> dict[str, Any] | None:
        if one is None:
            return None
        return {"name": one.name, "place": one.place, "summary": one.summary,
                "equations": list(one.equations)}  # fmt: skip

    def call(record: Record) -> dict[str, Any]:
        return {
            "options": record.options, "params": record.params, "code": record.code,
            "streams": record.streams, "versions": record.versions,
            "inputs": {run.name(record, name): sha for name, sha in record.inputs.items()},
            "outputs": {run.name(record, name): sha for name, sha in record.outputs.items()},
        }  # fmt: skip

    def derivation(one: Derivation) -> dict[str, Any]:
        reads = [
            {
                "argument": read.argument, "option": read.rows.table, "column": read.rows.column,
                "where": {k: _plain(v) for k, v in read.rows.where.items()}, "files": read.files,
                "rows": rows(row for found in read.found.values() for row in found),
                "missing": read.missing,
            }
            for read in one.reads
        ]  # fmt: skip
        return {"rows": rows(one.made), "function": function(one.function), "reads": reads}

    steps = [
        {
            "command": step.command, "depth": step.depth, "function": function(step.function),
            "formulas": [function(one) for one in step.formulas], "wrote": step.outputs,
            "read": step.inputs, "derivations": [derivation(one) for one in step.derivations],
            "calls": [call(record) for record in step.records],
        }
        for step in explained.steps
    ]  # fmt: skip
    return {
        "file": str(run.path(explained.name)), "rows": rows(explained.rows), "steps": steps,
        "given": explained.given, "unrecorded": explained.unrecorded,
    }  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if is_missing(value) and value != "" else value


def cells_text(cells: Row) -> str:
    """The filled cells of a row."""
    filled = {key: value for key, value in cells.items() if not is_missing(value)}
    return ", ".join(f"{key}={_cell(value)}" for key, value in filled.items())


def _cell(value: Any) -> str:
    if isinstance(value, tuple):
        return "|".join(_cell(one) for one in value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not is_missing(value) and value >= 0


def _listed(values: Iterable[str]) -> str:
    shown = list(values)
    more = f" and {len(shown) - MOST_ROWS} more" if len(shown) > MOST_ROWS else ""
    return ", ".join(shown[:MOST_ROWS]) + more


def _more(n: int, what: str) -> Iterator[str]:
    if n > 0:
        yield f"{INDENT}and {n} more {what}"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
