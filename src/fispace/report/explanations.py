"""`report explanations`: where each number of a ledger and its summary comes from, as a Markdown page.

Every claim and every factorial answer has a section, which the numbers of the README and the summary
link to. The commands further back are described once, at the end. Hashes, parameters and lines belong
to one run and are left to `fispace explain`. Must not: compute.
"""

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from fispace.provenance.functions import Definition
from fispace.provenance.lineage import locate, read_run
from fispace.report.explain_chain import (
    REPETITIONS,
    Derivation,
    Read,
    Step,
    derived,
    explain_file,
    together,
)
from fispace.report.explain_rows import CSV, FoundRow, Tables
from fispace.report.explain_text import braced, cell_text, lines_text, listed, seeds_text
from fispace.report.markdown import (
    anchor,
    claim_title,
    document,
    gate_title,
    hypothesis_title,
    truth_title,
)
from fispace.report.summary import UNDECLARED
from fispace.store.files import write_text
from fispace.store.origins import unchanged
from fispace.study.step import Reads, Writes, command

QUANTITIES_OPTION = "quantities"
NOT_KEPT = "computed from a table that is not kept here"
GATES, CLAIMS, TESTS, TRUTH = "Health", "Claims", "Factorial tests", "What was planted"


@command("report", "explanations")
def write_explanations(
    *, ledger: Reads, health: Reads, quantities: Reads, family: Reads, truth: Reads | None,
    explanations: Writes,
) -> None:  # fmt: skip
    """Write the page from the records of the run, and from those of its tables that exist.

    Raises:
        ParamsError: if the ledger belongs to no run.
        ArtifactError: if a table is missing, or no command recorded it.
    """
    del quantities  # an option only so that the page is made again when the table changes
    page = _Page(ledger)
    lines = [*page.head(), f"## {GATES}", ""]
    for gate, rows in page.gates(health):
        lines += page.answers(health, gate_title(gate), rows)
    lines += [f"## {CLAIMS}", ""]
    for claim in page.rows(ledger):
        lines += page.claim(claim)
    lines += [f"## {TESTS}", ""]
    for name, tests in page.hypotheses(family):
        lines += page.answers(family, hypothesis_title(name), tests)
    if truth is not None:
        lines += [f"## {TRUTH}", ""]
        for row in page.rows(truth):
            lines += page.answers(truth, truth_title(row.cells), [row])
    write_text(explanations, document([*lines, *page.commands()]))


class _Page:
    """The page of one ledger, written section by section."""

    def __init__(self, ledger: Path) -> None:
        folder, self.ledger = locate(ledger)
        self.run = read_run(folder)
        self.tables = Tables(self.run)
        self._behind: dict[str, list[Step]] = {}

    def head(self) -> Iterator[str]:
        """Title and introduction."""
        yield f"# Where the numbers of `{self.ledger}` come from"
        yield ""
        yield (
            "Every gate, claim and answer of the factorial tests has a section: the quantities behind it, the "
            "cells that each was computed from, the function that computed it, and the commands that made the "
            "tables, which are described [at the end](#commands). File names start from the folder of the run. "
            "`fispace explain` on the same file and row says more: hashes, parameters, lines, and every call."
        )
        yield ""

    def rows(self, path: Path) -> list[FoundRow]:
        """All rows of a table."""
        return self.tables.get(locate(path)[1]).where({})

    def gates(self, health: Path) -> list[tuple[str, list[FoundRow]]]:
        """The gates in the order of the table, each with its rows."""
        found: dict[str, list[FoundRow]] = {}
        for row in self.rows(health):
            found.setdefault(str(row.cells["gate"]), []).append(row)
        return list(found.items())

    def hypotheses(self, family: Path) -> list[tuple[str, list[FoundRow]]]:
        """The declared hypotheses in order of their names, each with its tests."""
        found: dict[str, list[FoundRow]] = {}
        for row in self.rows(family):
            if row.cells["hypothesis"] not in ("", UNDECLARED):
                found.setdefault(str(row.cells["hypothesis"]), []).append(row)
        return sorted(found.items())

    def claim(self, row: FoundRow) -> Iterator[str]:
        """One claim: each answer's quantity, and the cells that the quantity was computed from."""
        yield from (f"### {claim_title(row.cells)}", "", f"{row.cells['statement']}.", "")
        yield from (f"Definition: {row.cells['definition']}.", "")
        behind: list[str] = []
        for read in (read for made in self._derived(self.ledger, [row]) for read in made.reads):
            if read.rows.table == QUANTITIES_OPTION:
                yield f"- {read.argument}: {self._quantity(read)}"
                found = self._of_quantities(read)
                for derivation in found:
                    yield from self._derivation(derivation)
                    behind += [file for one in derivation.reads for file in one.files]
                if not found:
                    yield f"    - {NOT_KEPT}"
                    behind += read.files
        yield from ("", f"Further back: {self._links(behind)}.", "")

    def _quantity(self, read: Read) -> str:
        """A quantity by its name, with its values."""
        name = read.rows.where["quantity"]
        return f"`{name}` in {self._files(read.files)}{_held(read)}"

    def _of_quantities(self, read: Read) -> list[Derivation]:
        found = ((file, rows) for file, rows in read.found.items() if rows)
        return together(one for file, rows in found for one in self._derived(file, rows))

    def _derived(self, name: str, rows: list[FoundRow]) -> list[Derivation]:
        return derived(self.run, self.tables, name, rows) or []

    def _derivation(self, one: Derivation) -> Iterator[str]:
        """A formula and its arguments, as a list below an answer."""
        if one.function.short_name == unchanged.__name__:
            yield from (f"    - the cell: {self._read(read)}" for read in one.reads)
            return
        yield f"    - {self._function(one.function)}"
        yield from (f"        - {read.argument}: {self._read(read)}" for read in one.reads)

    def _function(self, function: Definition) -> str:
        said = " ".join(line.strip() for line in function.equations) or function.summary
        return f"`{function.short_name}` in `{function.file}`: {said}"

    def _read(self, read: Read) -> str:
        """Where the cells of an argument are, and their values."""
        held = {k: v for k, v in read.rows.where.items() if k not in REPETITIONS}
        place = ", ".join(f"{key} `{cell_text(value)}`" for key, value in held.items())
        column = f"`{read.rows.column}` of " if read.rows.column is not None else ""
        text = f"{column}{self._files(read.files)}{f' where {place}' if place else ''}"
        return text + _held(read)

    def answers(self, path: Path, title: str, rows: list[FoundRow]) -> Iterator[str]:
        """The section on rows of a factorial table: the function, and the files behind its arguments."""
        name = locate(path)[1]
        yield from (f"### {title}", "", f"{self._files([name])}, {lines_text(rows)}.", "")
        files: dict[str, list[str]] = {}
        functions: dict[str, Definition] = {}
        for one in self._derived(name, rows):
            functions[one.function.name] = one.function
            for read in one.reads:
                files.setdefault(read.argument, []).extend(read.files)
        yield from (f"- {self._function(function)}" for function in functions.values())
        yield from (f"- {argument}: {self._files(names)}" for argument, names in files.items())
        behind = [name for names in files.values() for name in names]
        yield from ("", f"Further back: {self._links(behind)}.", "")

    def _files(self, names: Iterable[str]) -> str:
        """Files by name; one CSV among the reference results with a link."""
        shown = dict.fromkeys(self._kept(name) for name in names)
        if (
            len(shown) == 1
            and (name := next(iter(shown))).endswith(CSV)
            and not name.startswith("./")
        ):
            folder = posixpath.dirname(self.ledger)
            return f"[{name}]({posixpath.relpath(name, folder)})"
        return f"`{braced(shown)}`"

    def _kept(self, name: str) -> str:
        """The CSV that the same call wrote beside this Parquet table; the name itself if none."""
        twin = PurePosixPath(name).with_suffix(CSV).as_posix()
        maker = self.run.makers.get(name)
        return twin if maker is not None and self.run.makers.get(twin) is maker else name

    def _links(self, names: Iterable[str]) -> str:
        """Links to the commands that made these files."""
        steps = [self._steps(name) for name in dict.fromkeys(names)]
        makers = sorted({of_file[0].command for of_file in steps if of_file})
        linked = [f"[{command}](#{anchor(command)})" for command in makers]
        return ", ".join(linked) or "parameters alone"

    def _steps(self, name: str) -> list[Step]:
        if name not in self._behind:
            known = name in self.run.makers
            self._behind[name] = (
                explain_file(self.run, self.tables, name, None).steps if known else []
            )
        return self._behind[name]

    def _place(self, step: Step) -> tuple[int, str]:
        depths = [
            one.depth for of in self._behind.values() for one in of if one.command == step.command
        ]
        return max(depths), step.command

    def commands(self) -> Iterator[str]:
        """A section on every command behind the page, the last first."""
        found = {step.command: step for steps in self._behind.values() for step in steps}
        yield from ("## Commands", "")
        for step in sorted(found.values(), key=self._place):
            yield from (f"### {step.command}", "")
            if step.function is not None:
                yield f"- `{step.function.short_name}` in `{step.function.file}`: {step.function.summary}"
            for formula in filter(None, (step.function, *step.formulas)):
                if formula is not step.function:
                    yield f"- `{formula.short_name}` in `{formula.file}`: {formula.summary}"
                yield from (
                    f"    - {one.strip()}" for one in formula.equations if one != formula.summary
                )
            yield f"- reads {self._inputs(step, found)}"
            params = ", ".join(f"`{name}`" for name in sorted(step.records[0].params or {}))
            yield from ((f"- parameters {params}", "") if params else ("",))

    def _inputs(self, step: Step, known: Mapping[str, Step]) -> str:
        """The options that name input files, and the commands that made these."""
        said: list[str] = []
        for option, names in self.run.inputs(step.records[0]).items():
            records = (self.run.makers.get(name) for name in names)
            makers = dict.fromkeys(record.command for record in records if record is not None)
            linked = [f"[{one}](#{anchor(one)})" if one in known else one for one in makers]
            said.append(f"`{option}`{f' of {listed(linked)}' if linked else ''}")
        return listed(said) or "no file"


def _held(read: Read) -> str:
    """Values of the cells of an argument, or why they are missing; empty for whole files."""
    rows = [row for found in read.found.values() for row in found]
    if read.rows.column is None or not rows:
        return "" if read.missing is None else f" ({read.missing})"
    values = listed(cell_text(row.cells[read.rows.column]) for row in rows)
    seeds = seeds_text(rows)
    return f": {values}{f' ({seeds})' if seeds else ''}"
