"""Which calls made a file or a row of it, call by call back to what no call made.

Rows are followed as far as the chapters say what they are made of and the tables are there; beyond,
files are. Must not: read a table, or format.
"""

from dataclasses import dataclass, field

from fispace.provenance.functions import Function, constant_names, find_function
from fispace.provenance.lineage import OUTSIDE, Run
from fispace.provenance.records import Record
from fispace.report.explained_derivations import (
    Derivation,
    Read,
    command_of,
    derived,
    formulas_of,
    together,
)
from fispace.report.explained_rows import FoundRow, Tables

MOST_FOLLOWED = 400
"""Rows of one table that are followed one by one; beyond, its file is."""
DRAW = "report draw"
REGISTRY = "fispace.report.figure_registry"

Wanted = dict[str, list[FoundRow] | None]
"""Files by name, with the rows that are asked for; None: the file as a whole."""


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
    """What the call read for what is asked of it, by option; notes how rows were made in the step."""
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
    """Ask for the rows of each file; for the file where they are not known, or too many."""
    for file in read.files:
        before, found = wanted.get(file, []), read.found.get(file, [])
        is_followed = 0 < len(found) <= MOST_FOLLOWED
        wanted[file] = [*before, *found] if before is not None and is_followed else None


def _new_step(record: Record) -> Step:
    command = command_of(record.command)
    function = None
    if command is not None:
        function = find_function(f"{command.module}:{command.function}")
    names = [*formulas_of(command)]
    if record.command == DRAW:
        names += [constant_names(REGISTRY).get(str(record.options.get("figure")), "")]
    return Step(record.command, 0, function, tuple(find_function(n) for n in names if n))
