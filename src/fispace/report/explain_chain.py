"""The calls behind a file or a row of it, one after the other, back to files that no call made.

Rows are followed as far as the chapters' `origins` say what they are computed from and the tables are
there; beyond that, whole files are followed. Must not: format, or import a step's module.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fispace.chapters.extract import origins as extract
from fispace.chapters.factorial import origins as factorial
from fispace.chapters.fidelity import origins as fidelity
from fispace.chapters.geometry import origins as geometry
from fispace.chapters.interactions import origins as interactions
from fispace.chapters.testbed import origins as testbed
from fispace.chapters.train import origins as train
from fispace.errors import ArtifactError
from fispace.provenance.functions import Definition, constant_names, find_definition
from fispace.provenance.lineage import OUTSIDE, Run
from fispace.provenance.records import Record
from fispace.report import origins as report
from fispace.report.explain_rows import FoundRow, Tables
from fispace.store.origins import Inputs, Row, RowOrigin, Rows
from fispace.store.quantities import Frame
from fispace.study.commands import Command, find_command

ORIGINS_OF: dict[str | None, Any] = {
    module.__package__: module
    for module in (extract, factorial, fidelity, geometry, interactions, report, testbed, train)
}
"""Modules that say what the rows of a package's tables are computed from, by the package's name."""
REPETITIONS = ("seed", "world")
"""Columns that number repetitions; rows that differ only in them are shown together."""
MOST_FOLLOWED = 400
"""Rows of one table that are followed one by one; of more rows, the whole file is followed."""
DRAW = "report draw"
DRAWINGS = "fispace.report.draw"
"""Module with the mapping of figures to the functions that draw them."""


@dataclass
class Read:
    """The rows behind one argument of a formula."""

    argument: str
    rows: Rows
    files: list[str]
    found: dict[str, list[FoundRow]] = field(default_factory=dict)
    """Rows by file."""
    missing: str | None = None
    """Why no rows are shown."""


@dataclass
class Derivation:
    """Rows that one function computed from others; rows that differ only in the seed are together."""

    made: list[FoundRow]
    function: Definition
    reads: list[Read]


def _inputs_of(run: Run, tables: Tables, record: Record) -> Inputs:
    def table(option: str) -> Frame:
        names = [run.name(record, name) for name in record.files.get(option, [])]
        if not names:
            raise ArtifactError(f"`{record.command}` was given nothing as --{option}.")
        return tables.get(names[0]).frame

    memo = tables.memo.setdefault(str(record.path), {})
    return Inputs(params=record.params or {}, table=table, memo=memo)


def derived(
    run: Run, tables: Tables, name: str, rows: Iterable[FoundRow]
) -> list[Derivation] | None:
    """How the call that wrote a table computed these rows of it; None if no chapter says so."""
    record = run.makers[name]
    origins, option = row_origins(record.command), run.outputs(record).get(name, "")
    if option not in origins:
        return None
    found: list[Derivation] = []
    inputs = _inputs_of(run, tables, record)
    for row in rows:
        try:
            origin = origins[option](row.cells, inputs)
        except (ArtifactError, KeyError, ValueError):  # a table is missing, or of another version
            return None
        reads = [_read(run, tables, record, *item) for item in origin.reads.items()]
        found.append(Derivation([row], find_definition(origin.function), reads))
    return found


def _read(run: Run, tables: Tables, record: Record, argument: str, rows: Rows) -> Read:
    """The files and rows behind one argument."""
    names = [run.name(record, name) for name in record.files.get(rows.table, [])]
    chosen = [name for name in names if _may_hold(run.facts(name), rows.where)]
    read = Read(argument, rows, chosen or names)
    for name in read.files if rows.column is not None else ():
        table = tables.find(name)
        if isinstance(table, str):
            read.missing = table
            continue
        try:
            read.found[name] = table.where(rows.where)
        except KeyError as error:
            read.missing = f"{table.file} has no column {error}"
    return read


def _may_hold(facts: Mapping[str, str], where: Row) -> bool:
    """Whether a file with these facts can hold such rows."""
    for key in facts.keys() & where.keys():
        value = where[key]
        values: tuple[Any, ...] = value if isinstance(value, tuple) else (value,)
        if facts[key] not in {_text(one) for one in values}:
            return False
    return True


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def together(derivations: Iterable[Derivation]) -> list[Derivation]:
    """The derivations, with those that differ only in the seed or world as one."""
    found: dict[Any, Derivation] = {}
    for one in derivations:
        key = (one.function.name, *(_but_repetition(read) for read in one.reads))
        if key not in found:
            found[key] = one
            continue
        found[key].made += one.made
        for mine, other in zip(found[key].reads, one.reads, strict=True):
            mine.files += [name for name in other.files if name not in mine.files]
            for file, rows in other.found.items():
                known = mine.found.setdefault(file, [])
                lines = {row.line for row in known}
                known += [row for row in rows if row.line not in lines]
    return list(found.values())


def _but_repetition(read: Read) -> tuple[Any, ...]:
    fixed = [(k, str(v)) for k, v in read.rows.where.items() if k not in REPETITIONS]
    return (read.argument, read.rows.table, read.rows.column, *fixed)


def command_of(name: str) -> Command | None:
    """The command of this name; None if this version of the code does not have it."""
    try:
        return find_command(*name.split(" "))
    except (KeyError, TypeError):
        return None


def row_origins(command: str) -> Mapping[str, RowOrigin]:
    """Origins of the rows of a command's tables, by option; empty for most commands."""
    found = command_of(command)
    if found is None:
        return {}
    return getattr(_origins_module(found), "ORIGINS", {}).get(found.function, {})


def formulas_of(command: Command | None) -> tuple[str, ...]:
    """Names of the functions and classes whose docstrings hold a command's equations."""
    if command is None:
        return ()
    return getattr(_origins_module(command), "EQUATIONS", {}).get(command.function, ())


def _origins_module(command: Command) -> Any:
    """The module `origins` beside the command's own module; None if there is none."""
    return ORIGINS_OF.get(command.module.rpartition(".")[0])


Wanted = dict[str, list[FoundRow] | None]
"""Files by name, with the rows that are asked for; None asks for the whole file."""


@dataclass
class Step:
    """The calls of one command behind what is explained."""

    command: str
    depth: int
    """Length of the longest way from what is explained to one of the calls."""
    function: Definition | None
    """None if the code no longer has the command."""
    formulas: tuple[Definition, ...]
    """Functions whose docstrings hold the command's equations."""
    records: list[Record] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    inputs: dict[str, list[str]] = field(default_factory=dict)
    derivations: list[Derivation] = field(default_factory=list)


@dataclass
class Explanation:
    """Everything behind one file, or rows of it."""

    run: Run
    name: str
    rows: list[FoundRow]
    steps: list[Step]
    """From what is explained back to its sources: each step comes before the steps that it reads from."""
    given: list[str]
    """Files that no call of the workflow made: claims, stimuli, a text, a model."""
    unrecorded: list[str]
    """Files of the run whose record is missing or damaged; the chain ends there."""


def explain_file(run: Run, tables: Tables, name: str, rows: list[FoundRow] | None) -> Explanation:
    """The calls behind a file of the run, or behind rows of it."""
    explained = Explanation(run, name, rows or [], [], [], [])
    wanted: dict[str, Wanted] = {}
    ahead = _depths(run, name)
    steps: dict[str, Step] = {}
    _want(run, wanted, name, rows, explained)
    for record, depth in sorted(ahead.values(), key=lambda one: (one[1], one[0].command)):
        asked = wanted.get(str(record.path))
        if asked is None:
            continue
        step = steps.setdefault(record.command, _new_step(record))
        step.depth = depth
        step.records.append(record)
        step.outputs += asked
        for option, files in _expand(run, tables, record, asked, step).items():
            listed = step.inputs.setdefault(option, [])
            for file, of_file in files.items():
                listed += [file] if file not in listed else []
                _want(run, wanted, file, of_file, explained)
    for step in steps.values():
        step.derivations = together(step.derivations)
    explained.steps = sorted(steps.values(), key=lambda step: step.depth)
    return explained


def _want(
    run: Run, wanted: dict[str, Wanted], name: str, rows: list[FoundRow] | None, so_far: Explanation
) -> None:
    """Ask for a file, and rows of it, from the call that made it, or note that no call did."""
    maker = run.makers.get(name)
    if maker is None:
        is_outside = name.startswith(OUTSIDE) or not run.path(name).is_file()
        ends = so_far.given if is_outside and run.damage(name) is None else so_far.unrecorded
        ends += [name] if name not in ends else []
        return
    asked = wanted.setdefault(str(maker.path), {})
    if name in asked:
        before = asked[name]
        known = {(row.file, row.line) for row in before or []}
        more = [row for row in rows or [] if (row.file, row.line) not in known]
        asked[name] = None if before is None or rows is None else [*before, *more]
    else:
        asked[name] = rows


def _depths(run: Run, name: str) -> dict[str, tuple[Record, int]]:
    """Every call behind a file, with the length of the longest way to it."""
    found: dict[str, tuple[Record, int]] = {}
    first = run.makers.get(name)
    waiting = [] if first is None else [(first, 0, frozenset[str]())]
    while waiting:
        record, depth, above = waiting.pop()
        key = str(record.path)
        if key in above or (key in found and found[key][1] >= depth):
            continue  # records that were altered could name each other
        found[key] = (record, depth)
        makers = {
            str(maker.path): maker
            for files in run.inputs(record).values()
            for maker in (run.makers.get(file) for file in files)
            if maker is not None
        }
        waiting += [(maker, depth + 1, above | {key}) for maker in makers.values()]
    return found


def _expand(
    run: Run, tables: Tables, record: Record, asked: Wanted, step: Step
) -> dict[str, Wanted]:
    """What the call read to make what is asked of it, by option.

    The derivations of the rows are added to the step.
    """
    made: list[Derivation] = []
    for name, rows in asked.items():
        found = None if rows is None else derived(run, tables, name, rows)
        if found is None:
            inputs = run.inputs(record)
            return {option: dict.fromkeys(names) for option, names in inputs.items()}
        made += found
    wanted: dict[str, Wanted] = {}
    step.derivations += made
    for read in (read for derivation in made for read in derivation.reads):
        _add(wanted.setdefault(read.rows.table, {}), read)
    return wanted


def _add(wanted: Wanted, read: Read) -> None:
    """Ask for the rows of each file, or for the whole file if its rows are not known or too many."""
    for file in read.files:
        before, found = wanted.get(file, []), read.found.get(file, [])
        is_followed = 0 < len(found) <= MOST_FOLLOWED
        wanted[file] = [*before, *found] if before is not None and is_followed else None


def _new_step(record: Record) -> Step:
    command = command_of(record.command)
    function = None
    if command is not None:
        function = find_definition(f"{command.module}:{command.function}")
    names = [*formulas_of(command)]
    if record.command == DRAW:
        names += [constant_names(DRAWINGS).get(str(record.options.get("figure")), "")]
    return Step(record.command, 0, function, tuple(find_definition(n) for n in names if n))
