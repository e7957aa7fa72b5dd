"""What a call of a command reads and writes, hashed before and recorded after it.

Must not: judge a run; `fispace.provenance.verify` does.
"""

import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from fispace.errors import ArtifactError
from fispace.provenance.code_digest import code_digest
from fispace.provenance.records import (
    DEVICE,
    FOLDER,
    PLACES,
    files_named_in,
    is_result,
    name_in,
    records_above,
    relative_name,
    versions,
    without_places,
)
from fispace.store.files import sha256_of, write_json
from fispace.study.commands import Command
from fispace.study.declarations import OptionKind


def options_of(command: Command, values: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a call that name no file and can change a result: arm, seed, row, ..."""
    named = {name: values[name] for name in command.names_of(OptionKind.VALUE)}
    return {name: value for name, value in named.items() if value is not None}


def inputs_of(command: Command, values: Mapping[str, Any]) -> list[Path]:
    """Files that a call reads, also those in folders and in its parameters; sorted."""
    return sorted({file for files in inputs_by_option(command, values).values() for file in files})


def inputs_by_option(command: Command, values: Mapping[str, Any]) -> dict[str, list[Path]]:
    """Files that a call reads, by the option that names them; those in its parameters by section."""
    named = {name: _paths(values[name]) for name in command.names_of(OptionKind.READS)}
    params = values.get("params")
    sections = params.plain() if params is not None else {}
    for section, _ in PLACES:
        if section in sections:
            named[section] = files_named_in({section: sections[section]})
    return {
        name: [file for path in paths for file in _files(path)]
        for name, paths in named.items()
        if paths
    }


HASH_MARK = re.compile("#[0-9a-f]{12}$")
"""What `names_of` adds to tell files of one name apart."""

State = dict[Path, tuple[int, int]]
"""Inode and time of last change of files."""


def state_of(command: Command, values: Mapping[str, Any]) -> State:
    """State of every file that the call may replace."""
    named = [path for name in command.writes for path in _paths(values[name])]
    stats = {file: file.stat() for path in named for file in _files(path)}
    return {file: (stat.st_ino, stat.st_mtime_ns) for file, stat in stats.items()}


def outputs_of(command: Command, values: Mapping[str, Any], before: State) -> list[Path]:
    """Files that a finished call has written; in a folder, only those that it made or replaced. Sorted."""
    named = {path for name in command.writes for path in _paths(values[name])}
    after = state_of(command, values)
    return sorted(path for path in after if path in named or after[path] != before.get(path))


def _paths(value: Any) -> list[Path]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, Path)]


def _files(path: Path) -> list[Path]:
    """The file, or the files of the folder without hidden ones."""
    if not path.is_dir():
        return [path] if path.is_file() else []
    inside = (file for file in path.rglob("*") if file.is_file())
    return [file for file in inside if not _is_hidden(file.relative_to(path))]


def _is_hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts)


def hashed_inputs(command: Command, values: Mapping[str, Any]) -> dict[Path, str]:
    """Hashes of the files that a call is about to read, each checked against its record.

    Files of the user, outside the results, have no record.

    Raises:
        ArtifactError: if a result has no record, or was altered since its command wrote it; the message
            names the rule.
    """
    hashes = {path: sha256_of(path) for path in inputs_of(command, values)}
    for path, found in hashes.items():
        makers = [
            record for record in records_above(path) if name_in(record, path) in record.outputs
        ]
        if not makers and is_result(path):
            raise ArtifactError(
                f"{path} has no record of the command that made it, so it is unknown what it was made "
                f"from. If it is a copy, copy the folder {FOLDER} beside it too and run `python "
                f"workflow/sync.py`; otherwise delete it and run `snakemake --cores all {path}`."
            )
        if makers and all(record.outputs[name_in(record, path)] != found for record in makers):
            raise ArtifactError(
                f"{path} is not as the rule {makers[0].rule} left it: its checksum is {found[:12]}..., "
                f"{makers[0].outputs[name_in(makers[0], path)][:12]}... was recorded. It is truncated "
                f"or was altered. Delete it and run `snakemake --cores all {path}`."
            )
    return hashes


def write_record(
    command: Command, values: Mapping[str, Any], inputs: Mapping[Path, str], before: State,
    streams: Collection[str],
) -> None:  # fmt: skip
    """Record a finished call beside the files that it wrote since the state `before`."""
    outputs = outputs_of(command, values, before)
    if not outputs:
        return
    base = Path(os.path.commonpath([path.parent for path in outputs]))
    params = values.get("params")
    names = names_of(inputs, base)
    record = {
        "command": command.name,
        "params": without_places(params.plain() if params is not None else None),
        "options": options_of(command, values),
        "inputs": {names[path]: found for path, found in inputs.items()},
        "outputs": {relative_name(path, base): sha256_of(path) for path in outputs},
        "streams": sorted(streams),
        "code": code_digest(command.module),
        "versions": versions() | _device_of(params),
        "files": _files_by_option(command, values, names, outputs, base),
    }
    write_json(base / FOLDER / record_name(list(record["outputs"])), record)


def _device_of(params: Any) -> dict[str, str]:
    """The device that a command with the parameter `device` used, beside the versions; else nothing."""
    if not hasattr(params, "device"):
        return {}
    from fispace.devices import device_label, device_of  # other commands run without torch

    return {DEVICE: device_label(device_of(params.device))}


def record_name(outputs: Sequence[str]) -> str:
    """Name of the record of a call, from the names of the files that it wrote."""
    return f"{'-'.join(Path(outputs[0]).parts)}.json"


def _files_by_option(
    command: Command, values: Mapping[str, Any], names: Mapping[Path, str],
    outputs: Collection[Path], base: Path,
) -> dict[str, list[str]]:  # fmt: skip
    """Names of the files in the record, by the option that named them."""
    found = {
        option: [names[file] for file in files]
        for option, files in inputs_by_option(command, values).items()
    }
    for option in command.writes:
        files = [file for path in _paths(values[option]) for file in _files(path)]
        found[option] = [relative_name(file, base) for file in files if file in outputs]
    return {option: sorted(given) for option, given in found.items()}


def names_of(hashes: Mapping[Path, str], base: Path) -> dict[Path, str]:
    """The name of each file in a record.

    A file in the working folder is named relative to the outputs. Any other file has its bare name, and
    the beginning of its hash if several such files have the same name.
    """
    here = Path.cwd().resolve()
    outside = [path for path in hashes if not path.resolve().is_relative_to(here)]
    bare = Counter(path.name for path in outside)
    unclear = [path for path in outside if bare[path.name] > 1]
    names = {path: relative_name(path, base) for path in hashes} | {
        path: path.name for path in outside
    }
    return names | {path: f"{path.name}#{hashes[path][:12]}" for path in unclear}


def bare_name(name: str) -> str:
    """The file's own name, from its name in a record."""
    return HASH_MARK.sub("", Path(name).name)
