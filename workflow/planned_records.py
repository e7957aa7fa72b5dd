"""Records for reference results whose own records were not kept: the calls that the workflow plans.

    python workflow/planned_records.py                       of the default run
    python workflow/planned_records.py --config overlay=...  of another study: the options it was made with

Writes results/reference/<run>/records.jsonl, from which `fispace explain` follows a number. It holds
the calls, parameters and file names of the run as Snakemake plans it today, the hashes of the tables
that are kept, and an empty text for what only the run itself knew: the other hashes, the digests of
the code, the versions. `make reference` replaces it by the records of a run.

Must not: compute a result, or replace records that a run has left.
"""

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import sync
from kept_records import read_kept, renewed, write_kept

from fispace.provenance.lineage import COPIED, PLACE, REFERENCE
from fispace.provenance.recording import record_name
from fispace.provenance.records import FOLDER, RESULTS, without_places
from fispace.store.files import parse_json
from fispace.study.commands import Command, find_command
from fispace.study.declarations import Kind

DRY_RUN = ("--dry-run", "--printshellcmds", "--forceall", "--nolock", "--cores", "1")
SHELL, INPUT, OUTPUT = "Shell command: ", "    input: ", "    output: "
CALL = ["python", "-m", "fispace"]
Job = tuple[list[str], list[str]]
"""Words of a command line, and the files that the job reads and writes."""


def planned_jobs(*options: str) -> Iterator[Job]:
    """Every job of the target `full`, as a dry run prints it."""
    files: list[str] = []
    for line in sync.snakemake(sync.EVERYTHING, *DRY_RUN, *options, capture=True).splitlines():
        if line.startswith(INPUT):
            files = line.removeprefix(INPUT).split(", ")
        elif line.startswith(OUTPUT):
            files = [*files, *line.removeprefix(OUTPUT).split(", ")]
        elif line.startswith(SHELL):
            words = shlex.split(line.removeprefix(SHELL))
            if CALL[0] in words:  # a target rule has no command
                yield words[words.index(CALL[0]) :], files


def planned_records(words: list[str], files: list[str]) -> Iterator[dict[str, Any]]:
    """A record of each call of one command line."""
    command = find_command(*words[len(CALL) : len(CALL) + 2])
    given: dict[str, list[str]] = {}
    values: list[str] = []
    for word in words[len(CALL) + 2 :]:
        if word.startswith("--"):
            values = given.setdefault(word.removeprefix("--").replace("-", "_"), [])
        else:
            values.append(word)
    lists = {option.name for option in command.options if option.is_list}
    in_turn = {name: values for name, values in given.items() if name not in {*lists, "params"}}
    for i in range(max(map(len, in_turn.values()), default=1)):
        turn = {name: [values[i % len(values)]] for name, values in in_turn.items() if values}
        yield _record(command, given | turn, files)


def _record(command: Command, given: Mapping[str, list[str]], files: list[str]) -> dict[str, Any]:
    params = parse_json(given["params"][0]) if "params" in given else None
    named = {
        option.name: _within(given[option.name], files) if option.is_folder else given[option.name]
        for option in command.options
        if option.kind in (Kind.READS, Kind.WRITES) and option.name in given
    }
    for section in ("text", "transfer"):
        text = (params or {}).get(section)
        if text and text.get("path"):
            named[section] = [text["path"]]
    written = [path for option in command.writes for path in named.get(option, [])]
    base = os.path.commonpath([str(Path(path).parent) for path in written])
    by_option = {option: [_shown(path, base) for path in paths] for option, paths in named.items()}
    read = {
        name
        for option, names in by_option.items()
        if option not in command.writes
        for name in names
    }
    outputs = sorted(_shown(path, base) for path in written)
    values = {o.name: o.type(given[o.name][0]) for o in command.options if _is_value(o, given)}
    lists = {o.name: given[o.name] for o in command.options if o.kind is Kind.VALUE and o.is_list}
    place = PurePosixPath(*Path(base).parts[2:], FOLDER, record_name(outputs))
    return {
        PLACE: place.as_posix(), "command": command.name, "params": without_places(params),
        "options": values | lists, "inputs": dict.fromkeys(sorted(read), ""),
        "outputs": dict.fromkeys(outputs, ""), "streams": [], "code": "",
        "versions": {}, "files": {option: sorted(names) for option, names in by_option.items()},
    }  # fmt: skip


def _is_value(option: Any, given: Mapping[str, list[str]]) -> bool:
    return option.kind is Kind.VALUE and not option.is_list and option.name in given


def _within(folders: list[str], files: list[str]) -> list[str]:
    """Those of a job's files that lie in a folder."""
    return [file for file in files for folder in folders if Path(file).is_relative_to(folder)]


def _shown(path: str, base: str) -> str:
    """Relative to the outputs where the file lies in the working folder, else its bare name."""
    inside = Path(path).resolve().is_relative_to(Path.cwd().resolve())
    return Path(os.path.relpath(path, base)).as_posix() if inside else Path(path).name


def main(options: list[str]) -> int:
    """Write the records of one study; `options` are Snakemake's. Returns the exit code."""
    jobs = planned_jobs(*options)
    found = [record for words, files in jobs for record in planned_records(words, files)]
    run = next(iter(sync.promised_files(*options))).parts[1]
    target = RESULTS / REFERENCE / run
    if (target / COPIED).is_file() and any(record["code"] for record in read_kept(target)):
        sys.stderr.write(f"error: {target / COPIED} holds records of a run; nothing was written.\n")
        return 1
    write_kept(target, renewed(target, found))
    sys.stderr.write(f"wrote {len(found)} planned records to {target / COPIED}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
