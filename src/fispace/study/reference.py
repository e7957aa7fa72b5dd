"""JSON Schema of all parameters, for editors, generated from their declarations.

Must not: be imported by a step.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from fispace.study.config.base import meaning, summary
from fispace.study.config.study import StudyConfig
from fispace.study.params import DROPPABLE
from fispace.study.step import tool

SCHEMA = Path("workflow/schemas/params.schema.json")
"""Path of the schema in the repository."""
LEFT_OPEN = "lm.name"
"""Parameter that an overlay may leave to the command line."""
DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "Parameters of params.yaml and of the overlays in params/. Generated: `make schema`."


@tool("schema")
def write_schema(*, out: Path) -> None:
    """Write the JSON Schema of all parameters. Editors use it to complete and check params.yaml."""
    out.write_text(schema_text(), encoding="utf-8")


def schema_text() -> str:
    """The schema as JSON: type, range and meaning of every parameter.

    No key is required, since an overlay gives only what it changes; `load_study` reports missing keys.
    """
    schema = StudyConfig.model_json_schema()
    models = _models(StudyConfig)
    for name, definition in [("", schema), *schema["$defs"].items()]:
        _describe(definition, models.get(name, StudyConfig))
    for dotted in DROPPABLE:
        properties, name = _held(schema, dotted)
        rows = properties[name]
        if "patternProperties" in rows:
            rows["patternProperties"] = {
                pattern: _or_null(row) for pattern, row in rows["patternProperties"].items()
            }
        else:
            rows["additionalProperties"] = _or_null(rows["additionalProperties"])
    properties, name = _held(schema, LEFT_OPEN)
    properties[name] = _or_null(properties[name])
    whole = {"$schema": DIALECT} | _plain(schema) | {"description": TITLE}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _models(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """All groups nested in a group, by name."""
    found: dict[str, type[BaseModel]] = {}
    waiting: list[Any] = [field.annotation for field in model.model_fields.values()]
    while waiting:
        annotation = waiting.pop()
        waiting.extend(getattr(annotation, "__args__", ()))
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found[annotation.__name__] = annotation
            waiting.extend(field.annotation for field in annotation.model_fields.values())
    return found


def _describe(definition: dict[str, Any], model: type[BaseModel]) -> None:
    definition["description"] = summary(model)
    definition.pop("required", None)
    for key, of_field in definition["properties"].items():
        of_field["description"] = meaning(model, key)


def _held(schema: dict[str, Any], dotted: str) -> tuple[dict[str, Any], str]:
    """The schema's properties among which a parameter is, and its key there."""
    *sections, name = dotted.split(".")
    properties = schema["properties"]
    for key in sections:
        properties = schema["$defs"][properties[key]["$ref"].rsplit("/", 1)[1]]["properties"]
    return properties, name


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _plain(value: Any) -> Any:
    """A schema without titles that repeat a key, and with minItems and maxItems for lists."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    renamed = {"minLength": "minItems", "maxLength": "maxItems"} if "items" in value else {}
    return {
        renamed.get(key, key): _plain(item)
        for key, item in value.items()
        if not (key == "title" and isinstance(item, str))
    }
