"""`fispace explain FILE [ROW]`: the chain from a number back to activations and parameters.

It is read from the records that commands leave beside their results. It stands in `report`, above the
chapters, because they say what the rows of their tables are made of. Must not: import torch, or
compute a result.
"""

import os
import sys
from collections.abc import Iterable
from json import dumps
from pathlib import Path

from fispace.errors import ArtifactError
from fispace.provenance.lineage import Run, locate, read_run
from fispace.report.explained_rows import Tables, select
from fispace.report.explained_steps import Explanation, explain_file
from fispace.report.explained_text import chain_lines
from fispace.report.explained_whole import as_json, tree_lines
from fispace.store.files import sha256_of
from fispace.study.step import tool


@tool("explain")
def explain(file: Path, row: str | None, /, *, tree: bool, json: bool) -> None:
    """Say where a result comes from: commands, functions, tables and parameters, back to the activations.

    FILE is any table, figure or other file of a run below results/. ROW is a row of it: its name, as
    `N5.gain` in a claims.csv, the line of the file that it stands on, or its cells, as
    `arm=joint,seed=0,metric=kl`. `--tree` lists every file behind FILE, with hashes. `--json` prints
    everything that is known.

    Raises:
        ParamsError: if the file is none of a run, or has no such row; the message lists what is near.
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
        _print([dumps(as_json(explained), indent=2, ensure_ascii=False)])
    else:
        _print(tree_lines(run, name) if tree else chain_lines(explained))
    _require_whole(explained, tables)


def _no_maker(run: Run, name: str) -> str:
    damaged = run.damage(name)
    if damaged is not None:
        return f"{run.path(name)}: {damaged}"
    if not run.makers:
        return (
            f"{run.path(name)}: {run.folder} holds no records of what made its files. They were made by "
            "another tool than the study's commands, or copied without the folders `.provenance`."
        )
    return (
        f"{run.path(name)}: no command recorded it. It was put there by hand, or its record was deleted; "
        f"`fispace verify {run.folder.name}` lists all such files."
    )


def _print(lines: Iterable[str]) -> None:
    try:
        sys.stdout.writelines(f"{line}\n" for line in lines)
        sys.stdout.flush()
    except BrokenPipeError:  # as with `| head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _require_whole(explained: Explanation, tables: Tables) -> None:
    """The file and every table behind it that was looked at are as made, and no record was missing.

    Raises:
        ArtifactError: if not; the message names the first file.
    """
    run, name = explained.run, explained.name
    recorded = run.sha256(run.makers[name], name)
    altered = [name] if recorded and sha256_of(run.path(name)) != recorded else tables.altered
    if altered:
        raise ArtifactError(
            f"{run.path(altered[0])} is not as `{run.makers[altered[0]].command}` left it: it was altered "
            f"since, and what is said above is about the file as it was made. `fispace verify "
            f"{run.folder.name}` finds all such files of a run; those of a reference run are in git."
        )
    if explained.unrecorded:
        lost = explained.unrecorded[0]
        raise ArtifactError(
            f"{run.path(lost)}: {run.damage(lost) or 'no command recorded it'}; there the chain ends."
        )
