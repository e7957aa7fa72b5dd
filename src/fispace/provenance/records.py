"""Records of what made the files: one for each finished command, in `.provenance/` beside its outputs.

A record holds the command's parameters and options, the digest of its code, the random streams it
used, the hashes of what it read and wrote, and the versions that can change the bytes. It holds no
clock, host, user or folder outside the working folder, so equal runs leave equal records.
Must not: judge; `fispace.provenance.verify` does.
"""

import json
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from platform import python_version
from typing import Any

from fispace.errors import ArtifactError
from fispace.provenance.code_digest import code_digest
from fispace.store.files import read_json, sha256_of, write_json
from fispace.study.commands import Command, rule_of
from fispace.study.declarations import Kind

RESULTS = Path("results")
FOLDER = ".provenance"
PLACES = (("lm", "name"), ("text", "path"), ("transfer", "path"))
"""Parameters that may name a place of this machine."""
MODEL_FILES = ("*.safetensors", "*.json", "*.model", "*.txt")
"""What is read of a model folder."""
PARTIAL = ".partial-"

LIBRARIES = (
    "fispace", "numpy", "pandas", "pyarrow", "scipy", "scikit-learn", "statsmodels", "diptest",
    "torch", "transformers", "tokenizers", "safetensors", "matplotlib",
)  # fmt: skip

Hashes = dict[str, str]


@dataclass(frozen=True)
class Record:
    """What one finished command read and wrote. Files are named relative to `base`."""

    command: str
    params: dict[str, Any] | None
    options: dict[str, Any]
    inputs: Hashes
    outputs: Hashes
    streams: list[str]
    code: str
    versions: dict[str, str]
    path: Path

    @property
    def base(self) -> Path:
        """Folder that the names of the files start from."""
        return self.path.parent.parent

    @property
    def rule(self) -> str:
        """Rule that calls the command."""
        return rule_of(self.command)


def options_of(command: Command, values: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a call that name no file and can change a result: arm, seed, row, ..."""
    named = {name: values[name] for name in command.names_of(Kind.VALUE)}
    return {name: value for name, value in named.items() if value is not None}


def inputs_of(command: Command, values: Mapping[str, Any]) -> list[Path]:
    """Files that a call reads, those in folders and in its parameters included, sorted."""
    named = [path for name in command.names_of(Kind.READS) for path in _paths(values[name])]
    params = values.get("params")
    given = files_named_in(params.plain()) if params is not None else []
    return sorted({file for path in named for file in _files(path)} | set(given))


def places_named_in(params: Mapping[str, Any]) -> list[Path]:
    """The user's model folder and texts, as a command's parameters name them.

    A model of a hub is named like a folder that does not exist.
    """
    from fispace.study.config.lm import TESTBED  # what has no parameters starts without it

    model = (params.get("lm") or {}).get("name", TESTBED)
    texts = [(params.get(key) or {}).get("path") for key in ("text", "transfer")]
    return [Path(name) for name in (None if model == TESTBED else model, *texts) if name]


def files_named_in(params: Mapping[str, Any]) -> list[Path]:
    """Files of the user that a command reads because its parameters name them; sorted."""
    found: list[Path] = []
    for place in places_named_in(params):
        kinds = MODEL_FILES if place.is_dir() else ()
        inside = (path for kind in kinds for path in place.glob(kind))
        found += [path for path in (place, *inside) if path.is_file()]
    return sorted(found)


State = dict[Path, tuple[int, int]]


def state_of(command: Command, values: Mapping[str, Any]) -> State:
    """Every file that the call may replace, with what changes when it does."""
    named = [path for name in command.writes for path in _paths(values[name])]
    stats = {file: file.stat() for path in named for file in _files(path)}
    return {file: (stat.st_ino, stat.st_mtime_ns) for file, stat in stats.items()}


def outputs_of(command: Command, values: Mapping[str, Any], before: State) -> list[Path]:
    """Files that a finished call has written, sorted; in a folder, only those it made or replaced."""
    named = {path for name in command.writes for path in _paths(values[name])}
    after = state_of(command, values)
    return sorted(path for path in after if path in named or after[path] != before.get(path))


def _paths(value: Any) -> list[Path]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, Path)]


def _files(path: Path) -> list[Path]:
    """The file, or the files of the folder; what is hidden there is no result."""
    if not path.is_dir():
        return [path] if path.is_file() else []
    inside = (file for file in path.rglob("*") if file.is_file())
    return [file for file in inside if not _is_hidden(file.relative_to(path))]


def _is_hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts)


def hashed_inputs(command: Command, values: Mapping[str, Any]) -> dict[Path, str]:
    """Hashes of what a call is about to read, each compared with the record of what made it.

    Files of the user, outside the results, have no record.

    Raises:
        ArtifactError: if a result has no record, or is not as its own command left it; the message
            names the rule.
    """
    hashes = {path: sha256_of(path) for path in inputs_of(command, values)}
    for path, found in hashes.items():
        makers = [
            record for record in records_above(path) if name_in(record, path) in record.outputs
        ]
        if not makers and is_result(path):
            raise ArtifactError(
                f"{path} has no record of the command that made it, so that nothing says what it was "
                f"made from. Where it is a copy, copy the folder {FOLDER} beside it too and run "
                f"`python workflow/sync.py`; else delete it and run `snakemake --cores all {path}`."
            )
        if makers and all(record.outputs[name_in(record, path)] != found for record in makers):
            raise ArtifactError(
                f"{path} is not as the rule {makers[0].rule} left it: its checksum is {found[:12]}..., "
                f"{makers[0].outputs[name_in(makers[0], path)][:12]}... was recorded. It is truncated "
                f"or was altered. Delete it and run `snakemake --cores all {path}`."
            )
    return hashes


def is_result(path: Path) -> bool:
    """Whether the file lies below the results, which may be a link to elsewhere."""
    return Path(os.path.relpath(path, RESULTS)).parts[0] != ".."


def name_in(record: Record, path: Path) -> str:
    """The name that a file has in a record."""
    return _relative(path, record.base)


def _relative(path: Path, base: Path) -> str:
    return Path(os.path.relpath(path, base)).as_posix()


def write_record(
    command: Command, values: Mapping[str, Any], inputs: Mapping[Path, str], before: State,
    streams: Collection[str],
) -> None:  # fmt: skip
    """Record a finished call beside what it wrote since the state `before`."""
    outputs = outputs_of(command, values, before)
    if not outputs:
        return
    base = Path(os.path.commonpath([path.parent for path in outputs]))
    params = values.get("params")
    record = {
        "command": command.name,
        "params": without_places(params.plain() if params is not None else None),
        "options": options_of(command, values),
        "inputs": {name: inputs[path] for path, name in names_of(inputs, base).items()},
        "outputs": {_relative(path, base): sha256_of(path) for path in outputs},
        "streams": sorted(streams),
        "code": code_digest(command.module),
        "versions": versions(),
    }
    name = "-".join(outputs[0].relative_to(base).parts)
    write_json(base / FOLDER / f"{name}.json", record)


def without_places(params: Any) -> Any:
    """A parameter slice without folders of this machine; the hashes of their files stand for them."""
    if not isinstance(params, dict):
        return params
    named = set(map(str, places_named_in(params)))
    cleaned = dict(params)
    for section, key in PLACES:
        place = (cleaned.get(section) or {}).get(key)
        if place in named and (section != "lm" or Path(place).exists()):
            cleaned[section] = {**cleaned[section], key: None}
    return cleaned


def same_params(recorded: Any, today: Any) -> bool:
    """Whether a record holds these parameters, as far as they do not name what is not here."""
    now = json.loads(json.dumps(without_places(today)))
    if recorded == now or not isinstance(now, dict) or not isinstance(now.get("lm"), dict):
        return recorded == now
    # a model folder of another machine
    absent = not Path(now["lm"]["name"] or "").exists()
    return absent and recorded == now | {"lm": now["lm"] | {"name": None}}


def names_of(hashes: Mapping[Path, str], base: Path) -> dict[Path, str]:
    """The name of each file in a record: relative to the outputs if it lies in the working folder.

    Outside it, the bare name; of several files of one name, with the beginning of its hash.
    """
    here = Path.cwd().resolve()
    outside = [path for path in hashes if not path.resolve().is_relative_to(here)]
    bare = Counter(path.name for path in outside)
    unclear = [path for path in outside if bare[path.name] > 1]
    names = {path: _relative(path, base) for path in hashes} | {path: path.name for path in outside}
    return names | {path: f"{path.name}#{hashes[path][:12]}" for path in unclear}


@cache
def versions() -> dict[str, str]:
    """Versions of what can change the bytes of a result."""
    found = {name: _version(name) for name in LIBRARIES}
    return {"python": python_version()} | found


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def records_above(path: Path) -> Iterator[Record]:
    """Records in the folders that hold the file, nearest first, up to the working folder."""
    here = Path.cwd()
    for folder in path.parents:
        if (folder / FOLDER).is_dir():
            yield from records_in(folder)
        if folder.resolve() == here:
            return


def records_in(folder: Path) -> Iterator[Record]:
    """Records of the commands whose outputs lie in the folder.

    Raises:
        ArtifactError: if a record is not readable as one.
    """
    for path in sorted((folder / FOLDER).glob("*.json")):
        if not path.name.startswith(PARTIAL):
            yield read_record(path)


def read_record(path: Path) -> Record:
    """One record.

    Raises:
        ArtifactError: if it is not JSON, lacks a key, or names a file outside its folder.
    """
    content: Any = read_json(path)
    if not _is_record(content):
        raise ArtifactError(
            f"{path} is no record of a command: it was altered. Delete it and what lies beside it, "
            "and run the workflow again."
        )
    return Record(**content, path=path)


def _is_record(content: Any) -> bool:
    """Whether a JSON value has the form of a record, and names no output outside its folder."""
    kinds = {"command": str, "options": dict, "inputs": dict, "outputs": dict, "code": str}
    kinds |= {"versions": dict, "params": dict | None, "streams": list}
    if not isinstance(content, dict) or set(content) != set(kinds):
        return False
    if not all(isinstance(content[key], kind) for key, kind in kinds.items()):
        return False
    tables = [content[key].values() for key in ("inputs", "outputs", "versions")]
    outside = [name for name in content["outputs"] if ".." in Path(name).parts or name[:1] == "/"]
    return not outside and all(isinstance(word, str) for table in tables for word in table)
