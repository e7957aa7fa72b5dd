"""Loads a study: params.yaml, overlays and command-line values, merged and validated.

Must not: import Snakemake, hold a default, or look at data files.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fispace.errors import ParamsError
from fispace.study.commands import Command
from fispace.study.config.base import Keys, Refusal, Threaded
from fispace.study.config.study import StudyConfig
from fispace.study.strict_yaml import read_yaml_mapping

Study = dict[str, Any]
Layers = Sequence[tuple[str, Mapping[str, Any]]]

DEFAULT_FILE = "params.yaml"
COMMAND_LINE = "the command line"
OVERLAY = "overlay"
"""Key of the command line that names a parameter file. It replaces Snakemake's --configfile, which
executes templates in that file."""
SHORTHANDS = ("model", "text", "transfer")
"""Keys of the command line that stand for nested parameters."""
DROPPABLE = ("train.arms", "train.audit.switches", "fidelity.full.controls_of")
"""Sections whose rows an overlay can drop by setting them to null."""

SOURCE_BY_SUFFIX = {".txt": "txt", ".jsonl": "jsonl", ".parquet": "parquet"}


def load_study(
    folder: Path, overlays: Iterable[Path] = (), overrides: Mapping[str, Any] | None = None
) -> Study:
    """The validated study, with sorted keys.

    Args:
        folder: repository root; holds params.yaml.
        overlays: files merged over params.yaml in this order, key by key; lists are replaced,
            rows of `DROPPABLE` that are null are dropped.
        overrides: top-level values of the command line, with the shorthands `overlay` (one more file,
            or a list of them), `model`, `text` and `transfer`.

    Raises:
        ParamsError: if a file or a value is wrong; the message names the file and the key.
    """
    values = dict(overrides or {})
    files = [*overlays, *_overlay_files(values.pop(OVERLAY, []))]
    layers = [(DEFAULT_FILE, read_yaml_mapping(folder / DEFAULT_FILE))]
    layers += [(_shown(path, folder), read_yaml_mapping(path)) for path in files]
    study: Study = {}
    for _, of_file in layers:
        study = merged(study, of_file)
    if values:
        layers.append((COMMAND_LINE, _expand_shorthands(values, study)))
        study = merged(study, layers[-1][1])
    for rows in DROPPABLE:
        study = _without_null_rows(study, rows.split("."))
    _check_given(study)
    try:
        StudyConfig.checked(with_own_threads(study))
    except Refusal as refusal:
        raise ParamsError(f"{_origin(refusal.keys, layers)}: {refusal}") from None
    return json.loads(json.dumps(study, sort_keys=True))


def with_own_threads(study: Study) -> Study:
    """The study, with the top level's `threads` in every section that could set its own but does not."""
    if "threads" not in study:
        return study
    threads = {"threads": study["threads"]}
    sections = {
        name: threads | study[name]
        for name, field in StudyConfig.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Threaded)
        if isinstance(study.get(name), dict)
    }
    return study | sections


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Study:
    """`base` with the values of `over`: mappings merged key by key, everything else replaced."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = merged(old, value)
        else:
            result[key] = value
    return result


def slice_of(study: Mapping[str, Any], command: Command) -> dict[str, Any]:
    """The parameters that a command depends on, and no others, sorted by key.

    They are the fields of its configuration; each comes from the first of `command.sections` that has it.
    """
    if command.config is None:
        return {}
    sections = [_section(study, name) for name in command.sections]
    values: dict[str, Any] = {}
    for name in sorted(command.config.model_fields):
        holders = [section for section in sections if name in section]
        if not holders:
            raise ParamsError(f"{command.chapter}.{name}: missing parameter.")
        values[name] = holders[0][name]
    return values


def _section(study: Mapping[str, Any], dotted: str) -> Mapping[str, Any]:
    for key in filter(None, dotted.split(".")):
        study = study[key]
    return study


def _overlay_files(given: Any) -> list[Path]:
    """Files given on the command line as `overlay`."""
    names: list[Any] = given if isinstance(given, list) else [given]
    if not all(isinstance(name, str) and name for name in names):
        raise ParamsError(
            f"{COMMAND_LINE}: {OVERLAY}={given!r} must be a parameter file, as in "
            f"{OVERLAY}=params/local.yaml, or a list of such."
        )
    return [Path(name) for name in names]


def _shown(path: Path, folder: Path) -> str:
    inside = path.is_relative_to(folder)
    return str(path.relative_to(folder) if inside else path)


def _expand_shorthands(overrides: Mapping[str, Any], study: Study) -> Study:
    """Command-line values with `model`, `text` and `transfer` moved to the keys they stand for."""
    values = {key: value for key, value in overrides.items()}
    extract: Study = {}
    named = {key: _name(key, values.pop(key)) for key in SHORTHANDS if key in values}
    if "model" in named:
        values = merged(values, {"lm": {"name": named.pop("model")}})
    for name, path in named.items():
        extract[name] = _text_from_path(name, path, study)
    return merged(values, {"extract": extract}) if extract else values


def _name(key: str, value: Any) -> str:
    """The value of a shorthand: a name or a path."""
    if isinstance(value, str) and value:
        return value
    raise ParamsError(
        f"{COMMAND_LINE}: {key}={value!r} must be a name or a path, given as a string."
    )


def _text_from_path(name: str, path: str, study: Study) -> Study:
    """The section `extract.text` with this path, and with the source that the suffix implies."""
    suffix = Path(path).suffix
    if suffix not in SOURCE_BY_SUFFIX:
        known = ", ".join(SOURCE_BY_SUFFIX)
        raise ParamsError(
            f"--config {name}={path}: the suffix must be one of {known}; another kind of text is "
            f"given in an overlay as extract.{name}: {{source: ..., path: ...}}."
        )
    own = {"source": SOURCE_BY_SUFFIX[suffix], "path": path}
    extract = study.get("extract")
    form = extract.get("text") if isinstance(extract, Mapping) else None
    if name == "text" or not isinstance(form, Mapping):
        return own  # merged over the section that the files give
    return {**form, **own}


def _without_null_rows(value: Any, keys: Sequence[str]) -> Any:
    """`value` without the null rows below `keys`; so an overlay drops a row."""
    if not isinstance(value, Mapping):
        return value
    if not keys:
        return {name: row for name, row in value.items() if row is not None}
    own, *rest = keys
    return {**value, own: _without_null_rows(value[own], rest)} if own in value else value


def _check_given(study: Study) -> None:
    """Refuse a study without a model, with a message that says how to give one."""
    lm = study.get("lm")
    if isinstance(lm, Mapping) and "name" in lm and lm["name"] is None:
        raise ParamsError(
            "lm.name is missing: this study needs a model, a local folder or a Hugging Face "
            "name. On the command line: --config model=FOLDER."
        )


def _origin(keys: Keys, layers: Layers) -> str:
    """Name of the last layer that sets the keys, or the longest prefix of them that is set.

    If a layer replaced a section by something other than a mapping, it is that layer.
    """
    origin, held = layers[0][0], list[tuple[str, Any]](layers)
    for key in keys:
        below = [(name, v[key]) for name, v in held if isinstance(v, Mapping) and key in v]
        if not below:
            odd = [name for name, v in held if v is not None and not isinstance(v, Mapping)]
            return odd[-1] if odd else origin
        hiding = [i for i, (_, value) in enumerate(below) if not isinstance(value, Mapping)]
        held = below[hiding[-1] :] if hiding else below
        origin = held[-1][0]
    return origin


def uses_testbed(study: Study) -> bool:
    """Whether the LM, a text or the battery of the study comes from the testbed chapter."""
    texts = (study["extract"]["text"], study["extract"]["transfer"] or {})
    sources = (study["lm"]["name"], *(text.get("source") for text in texts))
    return "testbed" in (*sources, study["factorial"]["battery"])
