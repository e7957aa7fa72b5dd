"""Explanations as text: one paragraph a command, from what is explained back to what was given.

Must not: look anything up.
"""

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fispace.provenance.functions import Function
from fispace.provenance.lineage import Run
from fispace.report.explained_derivations import REPETITIONS, Derivation, Read
from fispace.report.explained_rows import FoundRow
from fispace.report.explained_steps import Explanation, Step
from fispace.report.explained_words import MOST_SHOWN, braced, cell_text, lines_text, listed
from fispace.store.origins import Row, is_missing, unchanged

WIDTH, INDENT = 100, "   "
HASH_CHARACTERS = 12
MOST_FILES, LONG_TEXT = 3, 30
PLANNED = (
    "No record of the call that made this file was kept. Calls, parameters and file names are those that "
    "the workflow plans for the run, and only the hashes of files that are kept are known."
)


def chain_lines(explained: Explanation) -> Iterator[str]:
    """The chain: what is explained, the commands from last to first, and what was given."""
    yield from _head(explained)
    said: set[str] = set()
    for number, step in enumerate(explained.steps, start=1):
        yield ""
        yield from step_lines(explained.run, step, number, said)
    yield ""
    if explained.given:
        yield from _wrapped(f"Given, not made: {', '.join(explained.given)}.", "")
    for name in explained.unrecorded:
        why = explained.run.damage(name) or "no command recorded it."
        yield from _wrapped(f"The chain ends at {explained.run.path(name)}: {why}", "")


def _head(explained: Explanation) -> Iterator[str]:
    at = f", {lines_text(explained.rows)}" if explained.rows else ""
    yield f"{explained.run.path(explained.name)}{at}"
    for row in explained.rows[:MOST_FILES]:
        yield from _cells(row.cells)
    yield from _more(len(explained.rows) - MOST_FILES, "rows")
    commands = " <- ".join(step.command for step in explained.steps)
    yield from _wrapped(f"made by {commands}", INDENT)
    if explained.steps and not explained.steps[0].records[0].code:
        yield from _wrapped(PLANNED, INDENT)


def _cells(cells: Row) -> Iterator[str]:
    """The filled cells of a row: long texts a line each, the others together."""
    filled = {key: cell_text(value) for key, value in cells.items() if not is_missing(value)}
    for key, text in filled.items():
        if len(text) > LONG_TEXT:
            yield from _wrapped(f"{key}: {text}", INDENT)
    short = [f"{key}={text}" for key, text in filled.items() if len(text) <= LONG_TEXT]
    yield from _wrapped(", ".join(short), INDENT)


def step_lines(run: Run, step: Step, number: int, said: set[str]) -> Iterator[str]:
    """One command: its function, how the rows follow, what it read, with which parameters.

    `said` holds the functions whose equations stand above, and takes up those of this step.
    """
    function = step.function
    if function is None:
        yield f"{number}. `{step.command}`, which this version of the code does not have"
    else:
        yield f"{number}. {step.command}: {function.short_name}, {function.place}"
        yield from _wrapped(function.summary, INDENT)
    if not step.derivations:
        for formula in filter(None, (function, *step.formulas)):
            yield from _formula(formula, said, is_named=formula is not function)
    for derivation in step.derivations[:MOST_SHOWN]:
        yield from derivation_lines(derivation, said)
    yield from _more(len(step.derivations) - MOST_SHOWN, "numbers, made alike")
    others = [name for record in step.records for name in run.written(record)]
    beside = braced(name for name in others if name not in step.outputs)
    also = f"; in the same call {beside}" if beside else ""
    yield from _wrapped(f"wrote {files_text(run, step, step.outputs)}{also}", INDENT)
    for option, names in step.inputs.items():
        flag = option.replace("_", "-")
        yield from _wrapped(f"read --{flag} {files_text(run, step, names)}", INDENT)
    yield from _wrapped(f"with {call_text(step)}", INDENT)


def derivation_lines(one: Derivation, said: set[str]) -> Iterator[str]:
    """How rows follow from others: the formula, and the cells behind each of its arguments."""
    made = f"{subject_text(one.made)} ({one.made[0].file}, {lines_text(one.made)})"
    yield from _wrapped(made, INDENT)
    if one.function.short_name != unchanged.__name__:
        yield from _wrapped(f"by {one.function.short_name}, {one.function.place}", 2 * INDENT)
        yield from _formula(one.function, said, is_named=False, indent=2 * INDENT)
    for reads in _alike(one.reads):
        yield from _wrapped(read_text(reads), 2 * INDENT)


def subject_text(made: Sequence[FoundRow]) -> str:
    """What the rows are: the texts that name them."""
    cells = made[0].cells.values()
    texts = [str(value) for value in cells if isinstance(value, str) and value]
    return " ".join(text for text in texts[:5] if len(text) <= 3 * LONG_TEXT)


def _alike(reads: Iterable[Read]) -> Iterator[list[Read]]:
    """Reads of the same rows together, as numerator and denominator are."""
    found: dict[Any, list[Read]] = {}
    for read in reads:
        place = sorted((key, str(value)) for key, value in read.rows.where.items())
        found.setdefault((read.rows.table, *place), []).append(read)
    yield from found.values()


def read_text(reads: Sequence[Read]) -> str:
    """The place of the cells behind some arguments, and what they hold."""
    first = reads[0]
    rows = [row for found in first.found.values() for row in found]
    names = ", ".join(read.argument for read in reads)
    columns = ", ".join(
        dict.fromkeys(str(read.rows.column) for read in reads if read.rows.column is not None)
    )
    held = {key: value for key, value in first.rows.where.items() if key not in REPETITIONS}
    place = ", ".join(f"{key}={cell_text(value)}" for key, value in held.items())
    files = braced(dict.fromkeys(row.file for row in rows) if rows else first.files)
    text = (
        f"{names}: {f'{columns} of ' if columns else ''}{files}{f' where {place}' if place else ''}"
    )
    if first.rows.column is None:
        return text
    if not rows:
        return f"{text} ({first.missing or 'no such row'})"
    values = [_values(read) for read in reads]
    return f"{text} = {' and '.join(values)} ({lines_text(rows)})"


def _values(read: Read) -> str:
    cells = [row.cells[str(read.rows.column)] for found in read.found.values() for row in found]
    return listed(cell_text(cell) for cell in cells)


def _formula(
    function: Function, said: set[str], *, is_named: bool, indent: str = INDENT
) -> Iterator[str]:
    """The equations of a function; the second time, only where they are."""
    is_known = function.name in said
    said.add(function.name)
    if is_named:
        text = f"{function.short_name}, {function.place}"
        yield from _wrapped(text if is_known else f"{text}: {function.summary}", indent)
    for line in () if is_known else function.equations:
        if line != function.summary or not is_named:
            yield from (
                [f"{indent}| {line}"] if line.startswith(" ") else _wrapped(line, f"{indent}| ")
            )


def files_text(run: Run, step: Step, names: Sequence[str]) -> str:
    """Files by name; few of them with their hashes."""
    if len(names) > MOST_FILES:
        return f"{len(names)} files: {braced(names)}"
    hashes = [(name, _hash(run, step, name)) for name in names]
    return ", ".join(f"{name} ({sha})" if sha else name for name, sha in hashes)


def _hash(run: Run, step: Step, name: str) -> str:
    maker = run.makers.get(name)
    records = step.records if maker is None else [maker, *step.records]
    return next((sha for record in records if (sha := run.sha256(record, name))), "")[
        :HASH_CHARACTERS
    ]


def call_text(step: Step) -> str:
    """Options and parameters of the calls."""
    options: dict[str, list[str]] = {}
    for record in sorted(step.records, key=lambda one: str(sorted(one.options.items()))):
        for key, value in record.options.items():
            if value is not None:
                options.setdefault(key, []).append(cell_text(value))
    said = [f"{key} {listed(dict.fromkeys(values))}" for key, values in options.items()]
    params: Mapping[str, Any] = step.records[0].params or {}
    said += [f"{key} {_json(value)}" for key, value in params.items() if value is not None]
    calls = f"{len(step.records)} calls: " if len(step.records) > 1 else ""
    return f"{calls}{'; '.join(said) or 'no parameters'}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace('"', "")


def _more(n: int, what: str) -> Iterator[str]:
    if n > 0:
        yield f"{INDENT}and {n} more {what}"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
