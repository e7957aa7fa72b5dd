"""What the user gives: values of the command line, and the files that the parameters name.

Snakemake reads a value of `--config KEY=VALUE` as a number or as YAML: 2024_11 arrives as 202411, and
`a #1.txt` as a. Names and paths are therefore taken as they were typed. Inside braces and brackets it
makes texts of all values; these are therefore read again, as in a parameter file.

A model folder and texts are not inputs of the rules, because Snakemake takes braces in an input's path
for a wildcard. The rules hold digests of these files instead. A digest is computed again when the file's
size or time changes. Must not: judge what a file holds.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from fispace.errors import ArtifactError, ParamsError
from fispace.provenance.verify import LOGS
from fispace.store.files import read_json, sha256_of, write_json
from fispace.study.params import COMMAND_LINE
from fispace.study.strict_yaml import read_yaml_value

NOTED = "given.json"
"""File in logs/<run>/: size, time and digest of every named file."""
IMPORTED_SUFFIXES = (".json", ".safetensors", ".pt", ".bin")
TEXTS = ("run", "overlay", "model", "text", "transfer")
"""Keys whose values are names or paths; overlays may be a list in brackets."""


def digests_of(paths: Iterable[Path], run: str) -> list[str]:
    """SHA-256 of each file."""
    return [_digest_of(path, run) for path in paths]


def files_of_import(arm: str, folder: str) -> list[str]:
    """Files of an imported arm's folder, sorted; the step that reads them judges them.

    Raises:
        ParamsError: if the folder is missing or holds no such file.
    """
    found = [path for path in Path(folder).glob("*") if path.suffix in IMPORTED_SUFFIXES]
    if not found:
        raise ParamsError(
            f"train.arms.{arm}.import={folder!r} is not a folder that holds an SAE. Give a folder with "
            "cfg.json and sae_weights.safetensors (SAELens), or cfg.json and sae.safetensors (sparsify)."
        )
    return sorted(map(str, found))


@cache
def _digest_of(path: Path, run: str) -> str:
    note, stat = LOGS / run / NOTED, path.stat()
    known = _known(note)
    marks = [stat.st_size, stat.st_mtime_ns]
    name = str(path.absolute())
    if name not in known or known[name][:2] != marks:
        known[name] = [*marks, sha256_of(path)]
        with contextlib.suppress(OSError):  # without the note the digest is computed again
            note.parent.mkdir(parents=True, exist_ok=True)
            write_json(note, known)
    return known[name][2]


def _known(note: Path) -> dict[str, list[Any]]:
    """The noted digests; empty if the note is missing or damaged."""
    try:
        content: Any = read_json(note)
    except ArtifactError:
        return {}
    entries = content.items() if isinstance(content, dict) else ()
    return {name: e for name, e in entries if isinstance(e, list) and len(e) == 3}


def as_typed(config: Mapping[str, Any], arguments: Sequence[str]) -> dict[str, Any]:
    """The values of the command line, with names and paths as typed; `arguments` are its KEY=VALUE.

    A mapping or a list is read as in a parameter file: 2024_11 is a number there, and '2024_11' a text.

    Raises:
        ParamsError: if a mapping or a list is not plain YAML.
    """
    typed = dict(argument.split("=", 1) for argument in arguments)
    texts = {key: typed[key] for key in TEXTS if typed.get(key)}
    if isinstance(config.get("overlay"), list) and texts.get("overlay", "").startswith("["):
        texts["overlay"] = config["overlay"]
    nested = {
        key: read_yaml_value(typed[key], key, COMMAND_LINE)
        for key, value in config.items()
        if isinstance(value, dict | list) and key in typed and key not in texts
    }
    return {**config, **nested, **{key: texts[key] for key in config if key in texts}}
