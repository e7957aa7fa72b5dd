"""Loads a study: params.yaml, overlays and command-line values, merged, validated and canonical.

Must not: import Snakemake, hold a default, or look at data files.
"""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from jsonschema.exceptions import best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from fispace.errors import ParamsError
from fispace.study.commands import Command, all_commands
from fispace.study.config.arms import (
    check_arms,
    check_comparisons,
    check_gain_curve,
    check_more_seeds,
)
from fispace.study.config.audit import check_audit
from fispace.study.config.build import build
from fispace.study.strict_yaml import read_yaml_mapping, with_plain_scalars

Study = dict[str, Any]
Layers = Sequence[tuple[str, Mapping[str, Any]]]

DEFAULT_FILE = "params.yaml"
COMMAND_LINE = "the command line"
OVERLAY = "overlay"
"""Shorthand of the command line for a parameter file, in the place of Snakemake's --configfile, which
executes templates that stand in it."""
SCHEMA_FOLDER = Path("workflow/schemas")
DROPPABLE = ("train.arms", "train.control_arms", "fidelity.full.controls_of")
"""Sections whose rows an overlay drops by null."""

RESERVED_RUNS = ("reference", "bench")
SOURCE_BY_SUFFIX = {".txt": "txt", ".jsonl": "jsonl", ".parquet": "parquet"}


def load_study(
    folder: Path, overlays: Iterable[Path] = (), overrides: Mapping[str, Any] | None = None
) -> Study:
    """The validated study in canonical (sorted) form.

    Args:
        folder: repository root; holds params.yaml and workflow/schemas/.
        overlays: files merged over params.yaml in this order, key by key; lists are replaced,
            a null row of `DROPPABLE` is dropped.
        overrides: top-level values of the command line, with the shorthands `overlay` (one more file,
            or a list of them), `model`, `text` and `transfer`; inside a mapping or list numbers,
            true, false and null may come as texts.

    Raises:
        ParamsError: names file and key of whatever is wrong.
    """
    values = dict(overrides or {})
    files = [*overlays, *_overlay_files(values.pop(OVERLAY, []))]
    layers = [(DEFAULT_FILE, read_yaml_mapping(folder / DEFAULT_FILE))]
    layers += [(_shown(path, folder), read_yaml_mapping(path)) for path in files]
    study: Study = {}
    for _, of_file in layers:
        study = merged(study, of_file)
    if values:
        given = {key: with_plain_scalars(value) for key, value in values.items()}
        layers.append((COMMAND_LINE, _expand_shorthands(given, study)))
        study = merged(study, layers[-1][1])
    for rows in DROPPABLE:
        study = _without_null_rows(study, rows.split("."))
    _check_given(study)
    _check_schema(study, load_schema(folder), layers)
    study = json.loads(json.dumps(study, sort_keys=True))
    try:
        _check_across(study)
    except ParamsError as error:
        keys = re.split(r"[.=:]", str(error).split(" ")[0].rstrip(":"))
        raise ParamsError(f"{_origin(keys, layers)}: {error}") from None
    return study


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
    """Exactly the parameters that a command depends on, sorted by key.

    They are its dataclass's fields, each from the first of `command.sections` that has it.
    """
    if command.config is None:
        return {}
    sections = [_section(study, name) for name in command.sections]
    names = sorted(field.name for field in dataclasses.fields(command.config))
    values: dict[str, Any] = {}
    for name in names:
        holders = [section for section in sections if name in section]
        if not holders:
            raise ParamsError(f"{command.chapter}.{name}: missing parameter.")
        values[name] = holders[0][name]
    return values


def _section(study: Mapping[str, Any], dotted: str) -> Mapping[str, Any]:
    for key in filter(None, dotted.split(".")):
        study = study[key]
    return study


def load_schema(folder: Path) -> jsonschema.Draft202012Validator:
    """Validator of a whole study: workflow/schemas/params.schema.yaml and the files it names."""
    schemas = {}
    for path in sorted((folder / SCHEMA_FOLDER).glob("*.schema.yaml")):
        schemas[path.name] = yaml.safe_load(path.read_text(encoding="utf-8"))
    resources = [(name, Resource(schema, DRAFT202012)) for name, schema in schemas.items()]
    registry: Registry[Any] = Registry().with_resources(resources)
    return jsonschema.Draft202012Validator(schemas["params.schema.yaml"], registry=registry)


def _overlay_files(given: Any) -> list[Path]:
    """Files that the command line's `overlay` names."""
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
    if "model" in values:
        values = merged(values, {"lm": {"name": str(values.pop("model"))}})
    for name in ("text", "transfer"):
        if name in values:
            extract[name] = _text_from_path(name, str(values.pop(name)), study)
    return merged(values, {"extract": extract}) if extract else values


def _text_from_path(name: str, path: str, study: Study) -> Study:
    """The form of `extract.text`, with this path and the source that its suffix stands for."""
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
        return own  # merged over the form that the files give
    return {**form, **own}


def _without_null_rows(value: Any, keys: Sequence[str]) -> Any:
    """`value` with the rows below `keys` that are null left out: how an overlay drops a row."""
    if not isinstance(value, Mapping):
        return value
    if not keys:
        return {name: row for name, row in value.items() if row is not None}
    own, *rest = keys
    return {**value, own: _without_null_rows(value[own], rest)} if own in value else value


def _check_given(study: Study) -> None:
    """Refuse a study without a model in better words than the schema's 'not a string'."""
    lm = study.get("lm")
    if isinstance(lm, Mapping) and "name" in lm and lm["name"] is None:
        raise ParamsError(
            "lm.name is missing: this study needs a model, a local folder or a Hugging Face "
            "name. On the command line: --config model=FOLDER."
        )


def _check_schema(study: Study, validator: jsonschema.Draft202012Validator, layers: Layers) -> None:
    error = best_match(validator.iter_errors(study))
    if error is None:
        return
    keys = list(error.absolute_path)
    message, named = error.message, ""
    if error.validator == "additionalProperties":
        known = sorted(error.schema["properties"])  # pyright: ignore
        keys.append(sorted(set(error.instance) - set(known))[0])  # pyright: ignore
        message, named = "unknown parameter", f"; known here: {', '.join(known)}"
    if error.validator == "required":
        keys.append(next(key for key in error.validator_value if key not in error.instance))  # pyright: ignore
        message = "missing parameter"
    if error.validator == "type" and isinstance(error.instance, str):
        named = "; numbers stand without quotes and with a decimal point, as in 1.0e-3"
    meaning = error.schema.get("description") if isinstance(error.schema, Mapping) else None
    meant = f" ({meaning})" if meaning and not named else ""
    raise ParamsError(f"{_origin(keys, layers)}: {_dotted(keys)}: {message:.300}{meant}{named}.")


def _dotted(keys: Sequence[Any]) -> str:
    parts = [f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys]
    return "".join(parts).lstrip(".") or "top level"


def _origin(keys: Sequence[Any], layers: Layers) -> str:
    """The layer that has the last word on the keys, or on the longest part of them that is set.

    Below a section that a layer replaced by something else, it is that layer.
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


def _check_across(study: Study) -> None:
    """Check what no schema line can: names, references between arms, every command's own rules."""
    if study["run"] in RESERVED_RUNS:
        raise ParamsError(f"run: '{study['run']}' is reserved below results/; choose another name.")
    check_arms(study["train"])
    check_more_seeds(study["train"])
    check_gain_curve(study["train"])
    check_audit(study["train"])
    if study["factorial"]["arm"] not in study["train"]["arms"]:
        raise ParamsError(f"factorial.arm: no arm {study['factorial']['arm']!r} in train.arms.")
    check_comparisons(study["train"], study["fidelity"])
    for command in all_commands():
        if command.config is not None:
            build(command.config, slice_of(study, command), command.chapter)


def uses_testbed(study: Study) -> bool:
    """Whether any part of the study (LM, text, battery) comes from the testbed chapter."""
    texts = (study["extract"]["text"], study["extract"]["transfer"] or {})
    sources = (study["lm"]["name"], *(text.get("source") for text in texts))
    return "testbed" in (*sources, study["factorial"]["battery"])
