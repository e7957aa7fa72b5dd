"""Explanations in full: the tree of all files behind one, and JSON for tools.

Must not: look anything up.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from fispace.provenance.functions import Function
from fispace.provenance.lineage import Run
from fispace.provenance.records import Record
from fispace.report.explained_derivations import Derivation
from fispace.report.explained_rows import FoundRow
from fispace.report.explained_steps import Explanation
from fispace.report.explained_text import HASH_CHARACTERS
from fispace.report.explained_words import cell_text
from fispace.store.origins import is_missing


def tree_lines(run: Run, name: str) -> Iterator[str]:
    """Every file behind the one named, below what was made of it; what stands above is cut there."""
    shown: set[str] = set()

    def below(name: str, head: str, rest: str) -> Iterator[str]:
        maker = run.makers.get(name)
        is_above = name in shown
        yield f"{head}{_file_text(run, name, maker)}{' (above)' if is_above else ''}"
        if maker is None or is_above:
            return
        shown.add(name)
        names = [one for files in run.inputs(maker).values() for one in files]
        for i, one in enumerate(names):
            is_last = i == len(names) - 1
            branch, beside = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
            yield from below(one, rest + branch, rest + beside)

    yield from below(name, "", "")


def _file_text(run: Run, name: str, maker: Record | None) -> str:
    if maker is None:
        return name
    options = "".join(
        f" {key}={cell_text(value)}" for key, value in maker.options.items() if value is not None
    )
    sha = run.sha256(maker, name)[:HASH_CHARACTERS]
    return f"{name} {f'{sha} ' if sha else ''}<- {maker.command}{options}"


def as_json(explained: Explanation) -> dict[str, Any]:
    """Everything that is known, for tools."""
    run = explained.run
    steps = [
        {
            "command": step.command, "function": _function(step.function),
            "formulas": [_function(one) for one in step.formulas], "wrote": step.outputs,
            "read": step.inputs, "derivations": [_derivation(one) for one in step.derivations],
            "calls": [_call(run, record) for record in step.records],
        }
        for step in explained.steps
    ]  # fmt: skip
    return {
        "file": str(run.path(explained.name)), "rows": _rows(explained.rows), "steps": steps,
        "given": explained.given, "unrecorded": explained.unrecorded,
    }  # fmt: skip


def _rows(found: Iterable[FoundRow]) -> list[dict[str, Any]]:
    return [
        {"file": row.file, "line": row.line, "cells": {k: _plain(v) for k, v in row.cells.items()}}
        for row in found
    ]


def _function(one: Function | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "name": one.name, "place": one.place, "summary": one.summary, "equations": [*one.equations],
    }  # fmt: skip


def _call(run: Run, record: Record) -> dict[str, Any]:
    return {
        "options": record.options, "params": record.params, "code": record.code,
        "streams": record.streams, "versions": record.versions,
        "inputs": {run.name(record, name): sha for name, sha in record.inputs.items()},
        "outputs": {run.name(record, name): sha for name, sha in record.outputs.items()},
    }  # fmt: skip


def _derivation(one: Derivation) -> dict[str, Any]:
    reads = [
        {
            "argument": read.argument, "option": read.rows.table, "column": read.rows.column,
            "where": {key: _plain(value) for key, value in read.rows.where.items()},
            "files": read.files, "missing": read.missing,
            "rows": _rows(row for found in read.found.values() for row in found),
        }
        for read in one.reads
    ]  # fmt: skip
    return {"rows": _rows(one.made), "function": _function(one.function), "reads": reads}


def _plain(value: Any) -> Any:
    """A cell as JSON has it: numpy's numbers as Python's, a missing one as null."""
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    plain = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    return None if is_missing(plain) and plain != "" else plain
