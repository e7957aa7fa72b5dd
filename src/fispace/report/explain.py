"""`fispace explain FILE [ROW]`: the chain from a number back to activations and parameters.

It is read from the records that commands leave beside their results. It belongs to `report`, above the
chapters, because the chapters say what the rows of their tables are computed from. Must not: import
torch, or compute a result.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from json import dumps
from pathlib import Path
from typing import Any

import numpy as np

from fispace.errors import ArtifactError
from fispace.provenance.functions import Definition
from fispace.provenance.lineage import Run, locate, read_run
from fispace.provenance.records import Record
from fispace.report.explain_chain import Derivation, Explanation, explain_file
from fispace.report.explain_rows import FoundRow, Tables, select
from fispace.report.explain_text import HASH_CHARACTERS, cell_text, chain_lines
from fispace.store.files import sha256_of
from fispace.store.origins import is_missing
from fispace.study.step import tool


@tool("explain")
def explain(file: Path, row: str | None, /, *, tree: bool, json: bool) -> None:
    """Say where a result comes from: commands, functions, tables and parameters, back to the activations.

    FILE is any table, figure or other file of a run below results/. ROW is a row of it: a name such as
    `N5.gain` in a claims.csv, a line of the file, or cells such as `arm=joint,seed=0,metric=kl`.
    `--tree` lists every file behind FILE, with hashes. `--json` prints everything that is known.

    Raises:
        ParamsError: if the file belongs to no run, or has no such row; the message lists similar ones.
        ArtifactError: if no command recorded the file, or it was altered since; the chain is printed as
            far as it goes.
    """
    folder, name = locate(file)
    run = read_run(folder)
    if name not in run.makers:
        raise ArtifactError(_no_maker(run, name))
    tables = Tables(run)
    rows = None if row is None else select(tables.get(name), row, file)
    explained = explain_file(run, tables, name, rows)
    if json:
        _print(dumps(as_json(explained), indent=2).splitlines())
    else:
        _print(tree_lines(run, name) if tree else chain_lines(explained))
    _require_whole(explained, tables)


def _no_maker(run: Run, name: str) -> str:
    damaged = run.damage(name)
    if damaged is not None:
        return f"{run.path(name)}: {damaged}"
    if not run.makers:
        return (
            f"{run.path(name)}: {run.folder} holds no records of what made its files. They were not made by "
            "the study's commands, or were copied without the folders `.provenance`."
        )
    return (
        f"{run.path(name)}: no command recorded it. It was put there by hand, or its record was deleted. "
        f"`fispace verify {run.folder.name}` lists all such files."
    )


def printable(line: str) -> str:
    """The line with escapes in place of characters that a terminal interprets or cannot show."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)


def _print(lines: Iterable[str]) -> None:
    try:
        sys.stdout.writelines(f"{printable(line)}\n" for line in lines)
        sys.stdout.flush()
    except BrokenPipeError:  # as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _require_whole(explained: Explanation, tables: Tables) -> None:
    """Check that the file and every table that was read are as their commands left them.

    Raises:
        ArtifactError: if one was altered or has no record; the message names the first.
    """
    run, name = explained.run, explained.name
    recorded = run.sha256(run.makers[name], name)
    altered = [name] if recorded and sha256_of(run.path(name)) != recorded else tables.altered
    if altered:
        raise ArtifactError(
            f"{run.path(altered[0])} is not as `{run.makers[altered[0]].command}` left it: it was altered "
            f"since, and the text above is about the file as it was made. `fispace verify "
            f"{run.folder.name}` finds all such files of a run; the files of a reference run are in git."
        )
    if explained.unrecorded:
        lost = explained.unrecorded[0]
        raise ArtifactError(
            f"{run.path(lost)}: {run.damage(lost) or 'no command recorded it'}; the chain ends there."
        )


def tree_lines(run: Run, name: str) -> Iterator[str]:
    """The file and every file behind it, each below the file made from it; repetitions are cut."""
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


def _function(one: Definition | None) -> dict[str, Any] | None:
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
    """A cell as JSON holds it: numpy's numbers as Python's, a missing one as null."""
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    plain = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
    return None if is_missing(plain) and plain != "" else plain
