"""How rows of a table were made of the rows of others, by what the chapters' `origins` say.

Must not: read a table but through `Tables`, or import a step's module.
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
from fispace.provenance.functions import Function, find_function
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


def derived(
    run: Run, tables: Tables, name: str, rows: Iterable[FoundRow]
) -> list[Derivation] | None:
    """How the call that made a table made rows of it; None where no chapter says it."""
    record = run.makers[name]
    origins, option = row_origins(record.command), run.outputs(record).get(name, "")
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


def command_of(name: str) -> Command | None:
    """The command of this name; None if this version of the code has none."""
    try:
        return find_command(*name.split(" "))
    except (KeyError, TypeError):
        return None


def row_origins(command: str) -> Mapping[str, RowOrigin]:
    """Origins of the rows of the tables that a command writes, by option; none for most commands."""
    found = command_of(command)
    if found is None:
        return {}
    return getattr(_origins_module(found), "ORIGINS", {}).get(found.function, {})


def formulas_of(command: Command | None) -> tuple[str, ...]:
    """Names of the functions and classes that hold a command's equations."""
    if command is None:
        return ()
    return getattr(_origins_module(command), "EQUATIONS", {}).get(command.function, ())


def _origins_module(command: Command) -> Any:
    """The module `origins` beside the command's own; None if there is none."""
    return ORIGINS_OF.get(command.module.rpartition(".")[0])
