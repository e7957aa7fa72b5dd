"""What the HTML page says about the making of a run: the calls behind it, and the parameters of a figure.

Only calls that the page's inputs come from are listed, so other results of the run change no byte of it.
Must not: read a result, or name a time or a folder of a machine.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from fispace.provenance.lineage import Run, locate, read_run
from fispace.provenance.records import Record

SHOWN_DIGITS = 12


class Made(NamedTuple):
    """A command behind the page."""

    command: str
    n_calls: int
    code: str
    """Beginning of the digest of its code; empty if unknown."""
    n_files: int


class Parameter(NamedTuple):
    """A parameter or option, by its dotted name."""

    name: str
    value: str


class Origin(NamedTuple):
    """What drew a figure's numbers."""

    command: str
    parameters: list[Parameter]


class Lineage:
    """The calls behind some files of one run."""

    def __init__(self, inputs: Iterable[Path]) -> None:
        """Read the records of the run that the inputs belong to.

        Raises:
            ParamsError: if an input belongs to no run.
            ArtifactError: if copied records are damaged.
        """
        located = [locate(path) for path in inputs]
        self.run: Run = read_run(located[0][0])
        self.records = list(_behind(self.run, [name for _, name in located]))

    def commands(self) -> list[Made]:
        """Every command behind the inputs, by name."""
        calls = Counter(record.command for record in self.records)
        codes: dict[str, set[str]] = {}
        files: Counter[str] = Counter()
        for record in self.records:
            codes.setdefault(record.command, set()).add(record.code[:SHOWN_DIGITS])
            files[record.command] += len(record.outputs)
        return [
            Made(name, calls[name], ", ".join(sorted(filter(None, codes[name]))), files[name])
            for name in sorted(calls)
        ]

    def versions(self) -> list[Parameter]:
        """Versions of the libraries; several if the calls differ."""
        found: dict[str, set[str]] = {}
        for record in self.records:
            for name, version in record.versions.items():
                found.setdefault(name, set()).add(version)
        return [Parameter(name, ", ".join(sorted(known))) for name, known in sorted(found.items())]

    def origin(self, name: str) -> Origin | None:
        """The command that wrote a file of the run, with its parameters; None if no record says."""
        record = self.run.makers.get(name)
        if record is None:
            return None
        return Origin(record.command, list(_flat(record.params or {}, "")))


def _behind(run: Run, names: Iterable[str]) -> Iterator[Record]:
    """The records of the calls that made these files, and what these were made from, each once."""
    waiting, seen = sorted(names), set[Path]()
    while waiting:
        record = run.makers.get(waiting.pop())
        if record is None or record.path in seen:
            continue
        seen.add(record.path)
        yield record
        waiting += sorted({name for read in run.inputs(record).values() for name in read})


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[Parameter]:
    for key in sorted(values):
        value, name = values[key], f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{name}.")
        else:
            yield Parameter(name, json.dumps(value, ensure_ascii=False))
