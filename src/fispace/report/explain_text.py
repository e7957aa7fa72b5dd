"""Explanations as text: one paragraph per command, from what is explained back to what was given.

Must not: look anything up.
"""

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from fispace.provenance.functions import Definition
from fispace.provenance.lineage import Run
from fispace.report.explain_chain import REPETITIONS, Derivation, Explanation, Read, Step
from fispace.report.explain_rows import FoundRow
from fispace.store.origins import Row, is_missing, unchanged

WIDTH, INDENT = 100, "   "
HASH_CHARACTERS = 12
MOST_SHOWN = 8
"""Values of a list that are printed; of more, only the number is."""
MOST_FILES = 3
"""Files of a list that are named with their hashes, and rows that are printed in full."""
LONG_TEXT = 30
"""Characters from which on a cell has a line of its own."""
PLANNED = (
    "No record of the call that made this file was kept. Calls, parameters and file names are those that "
    "the workflow plans for the run, and only the hashes of files that are kept are known."
)


def chain_lines(explained: Explanation) -> Iterator[str]:
    """The chain: what is explained, the commands from last to first, and the files that were given."""
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
    """The filled cells of a row: each long text on a line of its own, the others together."""
    filled = {key: cell_text(value) for key, value in cells.items() if not is_missing(value)}
    for key, text in filled.items():
        if len(text) > LONG_TEXT:
            yield from _wrapped(f"{key}: {text}", INDENT)
    short = [f"{key}={text}" for key, text in filled.items() if len(text) <= LONG_TEXT]
    yield from _wrapped(", ".join(short), INDENT)


def step_lines(run: Run, step: Step, number: int, said: set[str]) -> Iterator[str]:
    """One command: its function, how it computed the rows, what it read, and its parameters.

    `said` holds the functions whose equations have been printed; this step's functions are added.
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
    """How rows were computed from others: the formula, and the cells behind each of its arguments."""
    made = f"{subject_text(one.made)} ({one.made[0].file}, {lines_text(one.made)})"
    yield from _wrapped(made, INDENT)
    if one.function.short_name != unchanged.__name__:
        yield from _wrapped(f"by {one.function.short_name}, {one.function.place}", 2 * INDENT)
        yield from _formula(one.function, said, is_named=False, indent=2 * INDENT)
    for reads in _alike(one.reads):
        yield from _wrapped(read_text(reads), 2 * INDENT)


def subject_text(made: Sequence[FoundRow]) -> str:
    """The texts of the first row, which say what the rows are about."""
    cells = made[0].cells.values()
    texts = [str(value) for value in cells if isinstance(value, str) and value]
    return " ".join(text for text in texts[:5] if len(text) <= 3 * LONG_TEXT)


def _alike(reads: Iterable[Read]) -> Iterator[list[Read]]:
    """Reads of the same rows together, such as numerator and denominator."""
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
    function: Definition, said: set[str], *, is_named: bool, indent: str = INDENT
) -> Iterator[str]:
    """The equations of a function; if they have been printed before, only the function's place."""
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
    """Files by name; with their hashes if they are few."""
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


def lines_text(rows: Sequence[FoundRow]) -> str:
    """Seeds and lines of rows: `seeds 0-4, lines 12-16`."""
    said = [seeds_text(rows), _ranges("line", [row.line for row in rows])]
    return ", ".join(filter(None, said))


def seeds_text(rows: Sequence[FoundRow]) -> str:
    """Seeds or worlds of rows: `seeds 0-4`; empty where they have none."""
    said: list[str] = []
    for name in REPETITIONS:
        numbers = [row.cells[name] for row in rows if _is_number(row.cells.get(name))]
        if numbers:
            said.append(_ranges(name, [int(number) for number in numbers]))
    return ", ".join(said)


def _ranges(word: str, numbers: Iterable[int]) -> str:
    """Numbers with runs as `first-last`."""
    ordered = sorted(set(numbers))
    starts = [number for number in ordered if number - 1 not in ordered]
    ends = [number for number in ordered if number + 1 not in ordered]
    shown = [
        str(one) if one == other else f"{one}-{other}"
        for one, other in zip(starts, ends, strict=True)
    ]
    return f"{word}{'s' if len(ordered) > 1 else ''} {listed(shown)}"


def braced(names: Iterable[str]) -> str:
    """The names, with those that differ only in one number as one: `seed{0-4}.parquet`."""
    groups: dict[str, list[int | None]] = {}
    for name in dict.fromkeys(names):
        stem, number = _numbered(name)
        groups.setdefault(stem, []).append(number)
    shown: list[str] = []
    for stem, numbers in groups.items():
        known = [number for number in numbers if number is not None]
        ranged = _ranges("", known).split(" ", 1)[1] if known else ""
        shown.append(stem.replace("#", f"{{{ranged}}}" if len(known) > 1 else ranged))
    return ", ".join(shown)


def _numbered(name: str) -> tuple[str, int | None]:
    """The name with `#` in place of the first number in its last part, and that number."""
    folder, slash, last = name.rpartition("/")
    start = next((i for i, character in enumerate(last) if character.isdecimal()), None)
    if start is None or "#" in name:
        return name, None
    end = next((i for i in range(start, len(last)) if not last[i].isdecimal()), len(last))
    return f"{folder}{slash}{last[:start]}#{last[end:]}", int(last[start:end])


def cell_text(value: Any) -> str:
    """A cell for reading: a number with six digits, alternatives with a bar between them."""
    if isinstance(value, tuple):
        return "|".join(cell_text(one) for one in value)
    if isinstance(value, np.ndarray):
        return f"{len(value)} numbers"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not is_missing(value) and value >= 0


def listed(values: Iterable[str]) -> str:
    """The first values, and how many more there are."""
    shown = list(values)
    more = f" and {len(shown) - MOST_SHOWN} more" if len(shown) > MOST_SHOWN else ""
    return ", ".join(shown[:MOST_SHOWN]) + more
