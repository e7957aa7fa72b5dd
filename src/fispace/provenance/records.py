"""Records of finished commands, one per call, in `.provenance/` beside the outputs.

A record holds the command's parameters and options, the digest of its code, its random streams, the
hashes of the files that it read and wrote, and the versions that can change the bytes. It names no time,
host, user or folder outside the working folder, so equal runs leave equal records.
Must not: judge; `fispace.provenance.verify` does.
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from platform import python_version
from typing import Any

from fispace.errors import ArtifactError
from fispace.store.files import read_json
from fispace.study.commands import rule_of

RESULTS = Path("results")
FOLDER = ".provenance"
PLACES = (("lm", "name"), ("text", "path"), ("transfer", "path"))
"""Parameters that may name a folder or file of this machine."""
MODEL_FILES = ("*.safetensors", "*.json", "*.model", "*.txt")
"""Files of a model folder that are read."""
PARTIAL = ".partial-"
DEVICE = "device"
"""Beside the versions in the record of a command that ran on a device: cpu, or the name of the card."""

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
    files: dict[str, list[str]] = field(default_factory=dict)
    """Names of the files in `inputs` and `outputs`, by the option that named them; empty in records of
    earlier versions."""

    @property
    def base(self) -> Path:
        """Folder that the names of the files start from."""
        return self.path.parent.parent

    @property
    def rule(self) -> str:
        """Rule that calls the command."""
        return rule_of(self.command)


def places_named_in(params: Mapping[str, Any]) -> list[Path]:
    """The user's model folder and texts that a command's parameters name.

    The name of a model on a hub looks like a folder that does not exist.
    """
    from fispace.study.config.lm import TESTBED  # commands without parameters start without it

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


def without_places(params: Any) -> Any:
    """The parameters without folders of this machine; the hashes of their files identify them."""
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
    """Whether a record holds these parameters; a model folder that is missing here is not compared."""
    now = json.loads(json.dumps(without_places(today)))
    if recorded == now or not isinstance(now, dict) or not isinstance(now.get("lm"), dict):
        return recorded == now
    # a model folder of another machine
    absent = not Path(now["lm"]["name"] or "").exists()
    return absent and recorded == now | {"lm": now["lm"] | {"name": None}}


def is_result(path: Path) -> bool:
    """Whether the file lies below the results, which may be a link to elsewhere."""
    return Path(os.path.relpath(path, RESULTS)).parts[0] != ".."


def name_in(record: Record, path: Path) -> str:
    """The name that a file has in a record."""
    return relative_name(path, record.base)


def relative_name(path: Path, base: Path) -> str:
    """Path of a file from a folder, with forward slashes."""
    return Path(os.path.relpath(path, base)).as_posix()


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that can change the bytes of a result."""
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
    return record_from(read_json(path), path)


def record_from(content: Any, path: Path) -> Record:
    """The record in a JSON value; `path` is where the record is, or was.

    Raises:
        ArtifactError: if it lacks a key, or names a file outside its folder.
    """
    if not _is_record(content):
        raise ArtifactError(
            f"{path} is not a record of a command: it was altered. Delete it and the files beside it, "
            "and run the workflow again."
        )
    return Record(**content, path=path)


def _is_record(content: Any) -> bool:
    """Whether a JSON value has the form of a record, and names no output outside its folder."""
    kinds = {"command": str, "options": dict, "inputs": dict, "outputs": dict, "code": str}
    kinds |= {"versions": dict, "params": dict | None, "streams": list}
    if not isinstance(content, dict) or set(content) - {"files"} != set(kinds):
        return False
    if not all(isinstance(content[key], kind) for key, kind in kinds.items()):
        return False
    if not _is_by_option(content.get("files", {}), {*content["inputs"], *content["outputs"]}):
        return False
    tables = [content[key].values() for key in ("inputs", "outputs", "versions")]
    outside = [name for name in content["outputs"] if ".." in Path(name).parts or name[:1] == "/"]
    return not outside and all(isinstance(word, str) for table in tables for word in table)


def _is_by_option(files: Any, known: Collection[str]) -> bool:
    """Whether a JSON value names recorded files by option."""
    return isinstance(files, dict) and all(
        isinstance(names, list) and all(isinstance(name, str) and name in known for name in names)
        for names in files.values()
    )
