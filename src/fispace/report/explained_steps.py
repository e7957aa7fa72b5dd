"""Which calls made a file or a row of it, call by call back to what no call made.

Rows are followed as far as the chapters' `origins` say what they are made of and the tables are there;
beyond, files are. Must not: read a table but through `Tables`, format, or import a step's module.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fispace.chapters.extract import origins as extract
from fispace.chapters.factorial import origins as factorial
from fispace.chapters.fidelity import origins as fidelity
from fispace.chapters.geometry import origins as geometry
from fispace.chapters.testbed import origins as testbed
from fispace.chapters.train import origins as train
from fispace.errors import ArtifactError
from fispace.provenance.functions import Function, constant_names, find_function
from fispace.provenance.lineage import Run
from fispace.provenance.records import Record
from fispace.report import origins as report
from fispace.report.explained_rows import FoundRow, Tables
from fispace.store.origins import Row, RowOrigin, Rows
from fispace.store.quantities import Frame
from fispace.study.commands import Command, find_command

ORIGINS_OF: dict[str | None, Any] = {
    module.__package__: module
    for module in (extract, factorial, fidelity, geometry, report, testbed, train)
}
"""Modules that say what the rows of a folder's tables are made of, by the folder's package."""
REPETITIONS = ("seed", "world")
"""Columns by which rows of one kind are shown together."""
MOST_FOLLOWED = 400
"""Rows of one table that are followed one by one; beyond, its file is."""
DRAW = "report draw"
REGISTRY = "fispace.report.figure_registry"

Wanted = dict[str, list[FoundRow] | None]
"""Files by name, with the rows that are asked for; None: the file as a whole."""


@dataclass
class Read:
    """The rows behind one argument of a formula."""

    argument: str
    rows: Rows
    files: list[str]
    found: dict[str, list[FoundRow]] = field(default_factory=dict)
    """Rows by the file that was asked for."""
    missing: str | None = None
    """Why no rows are shown."""


@dataclass
class Derivation:
    """Rows that one function made of others; rows that differ in the seed alone stand together."""

    made: list[FoundRow]
    function: Function
    reads: list[Read]


@dataclass
class Step:
    """The calls of one command behind what is explained."""

    command: str
    depth: int
    """Length of the longest way from what is explained to one of the calls."""
    function: Function | None
    """None if the code has no such command any more."""
    formulas: tuple[Function, ...]
    """Functions that hold the command's equations."""
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
    """From what is explained back; a file is made in a later step than what is made of it."""
    given: list[str]
    """Files that no call of the workflow made: claims, stimuli, a text, a model."""
    unrecorded: list[str]
    """Files of the run whose record is missing or damaged: there the chain ends."""


class CallInputs:
    """The tables and parameters of one call, as origins look at them."""

    def __init__(self, run: Run, tables: Tables, record: Record) -> None:
        """Nothing is read before it is asked for."""
        self._run, self._tables, self._record = run, tables, record

    @property
    def memo(self) -> dict[Any, Any]:
        """What origins keep for more rows of the call."""
        return self._tables.memo.setdefault(str(self._record.path), {})

    @property
    def params(self) -> Mapping[str, Any]:
        """Parameters of the call."""
        return self._record.params or {}

    def table(self, option: str) -> Frame:
        """The table given or written under an option.

        Raises:
            ArtifactError: if it is not there.
        """
        names = [self._run.name(self._record, name) for name in self._record.files.get(option, [])]
        if not names:
            raise ArtifactError(f"`{self._record.command}` was given nothing as --{option}.")
        return self._tables.get(names[0]).frame


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
    """Ask for a file, and rows of it, from the call that made it; or note that none did."""
    maker = run.makers.get(name)
    if maker is None:
        is_outside = name.startswith("./") or not run.path(name).is_file()
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
    """What the call read for what is asked of it, by option; notes how rows were made in the step."""
    made = [
        None if rows is None else derived(run, tables, name, rows) for name, rows in asked.items()
    ]
    if None in made:
        inputs = run.inputs(record)
        return {option: dict.fromkeys(names) for option, names in inputs.items()}
    wanted: dict[str, Wanted] = {}
    for derivation in (one for several in made for one in several or ()):
        step.derivations.append(derivation)
        for read in derivation.reads:
            _add(wanted.setdefault(read.rows.table, {}), read)
    return wanted


def derived(
    run: Run, tables: Tables, name: str, rows: Iterable[FoundRow]
) -> list[Derivation] | None:
    """How the call that made a table made rows of it; None where no chapter says it."""
    record = run.makers[name]
    origins, option = row_origins(record.command), run.outputs(record).get(name)
    if option not in origins:
        return None
    found: list[Derivation] = []
    for row in rows:
        try:
            origin = origins[option](row.cells, CallInputs(run, tables, record))
        except (ArtifactError, KeyError, ValueError):  # a table is not kept, or of another version
            return None
        reads = [_read(run, tables, record, *item) for item in origin.reads.items()]
        found.append(Derivation([row], find_function(origin.function), reads))
    return found


def _add(wanted: Wanted, read: Read) -> None:
    """Ask for the rows of each file; for the file where they are not known, or too many."""
    for file in read.files:
        before, found = wanted.get(file, []), read.found.get(file, [])
        is_followed = before is not None and 0 < len(found) <= MOST_FOLLOWED
        wanted[file] = [*before, *found] if is_followed else None


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
    """Whether a file of which this is known can hold such rows."""
    for key in facts.keys() & where.keys():
        value = where[key]
        values: tuple[Any, ...] = value if isinstance(value, tuple) else (value,)
        if facts[key] not in {_text(one) for one in values}:
            return False
    return True


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def together(derivations: Iterable[Derivation]) -> list[Derivation]:
    """Derivations that differ in the seed or world alone, as one."""
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


def _new_step(record: Record) -> Step:
    command = _command(record.command)
    function = None
    if command is not None:
        function = find_function(f"{command.module}:{command.function}")
    names = [*_formulas(command)]
    if record.command == DRAW:
        names += [constant_names(REGISTRY).get(str(record.options.get("figure")), "")]
    return Step(record.command, 0, function, tuple(find_function(n) for n in names if n))


def _command(name: str) -> Command | None:
    try:
        return find_command(*name.split(" "))
    except (KeyError, TypeError):
        return None


def row_origins(command: str) -> Mapping[str, RowOrigin]:
    """Origins of the rows of the tables that a command writes, by option; none for most commands."""
    found = _command(command)
    if found is None:
        return {}
    return getattr(_origins_module(found), "ORIGINS", {}).get(found.function, {})


def _formulas(command: Command | None) -> tuple[str, ...]:
    if command is None:
        return ()
    return getattr(_origins_module(command), "EQUATIONS", {}).get(command.function, ())


def _origins_module(command: Command) -> Any:
    """The module `origins` beside the command's own; None if there is none."""
    return ORIGINS_OF.get(command.module.rpartition(".")[0])
