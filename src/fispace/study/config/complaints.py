"""Turns a validation error into a message: which parameter is wrong, why, and what the parameter means.

Must not: validate, or know which file a value is from.
"""

import types
import typing
from typing import Any, NamedTuple

from pydantic import BaseModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from fispace.study.config.base import (
    Config,
    Keys,
    Refusal,
    dotted,
    field_of,
    keys_of,
    meaning,
)

SHOWN_CHARACTERS = 200
"""Longest quotation of a value in a message, in characters."""
ON_TEXTS = "; put a text that YAML reads as something else in quotes, as in '1' or 'no'"
ON_NUMBERS = "; write numbers without quotes and with a decimal point, as in 1.0e-3"
SCALARS = {
    "int_type": "integer",
    "float_type": "number",
    "bool_type": "boolean",
    "string_type": "string",
}
CONTAINERS = {
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
BOUNDS = {
    "greater_than_equal": "is less than the minimum of {ge}",
    "less_than_equal": "is greater than the maximum of {le}",
    "greater_than": "must be greater than {gt}",
    "less_than": "must be less than {lt}",
    "too_short": "has fewer than {min_length} elements",
    "too_long": "has more than {max_length} elements",
    "string_too_short": "has fewer than {min_length} characters",
    "string_too_long": "has more than {max_length} characters",
    "string_pattern_mismatch": "does not match {pattern}",
}
"""Sentences about a value by pydantic's name of the error; pydantic fills in the bound."""


class _Place(NamedTuple):
    """Where in a model the error occurred."""

    keys: Keys
    annotation: Any
    """Declared type of the value; None for an unknown key."""
    holder: type[BaseModel] | None
    """Model that has, or lacks, the last key as a field."""
    meant: str | None

    @property
    def noun(self) -> str:
        """What the model calls its fields."""
        return str(getattr(self.holder, "noun", Config.noun))


def first_complaint(error: ValidationError, model: type[BaseModel]) -> Refusal:
    """The complaint that a user should read first: the first one about the outermost key."""
    details = error.errors(include_url=False)
    places = [_placed(detail, model) for detail in details]
    first = min(range(len(details)), key=lambda i: _urgency(details[i], places[i], i))
    together = [
        d for d, place in zip(details, places, strict=True) if place.keys == places[first].keys
    ]
    return _complaint(details[first], together, places[first])


def _urgency(detail: ErrorDetails, place: _Place, order: int) -> tuple[int, bool, int]:
    """Sort key, smallest first: outer keys before inner ones, ranges before types."""
    names_key = detail["type"] in ("missing", "extra_forbidden")
    return len(place.keys) - names_key, detail["type"] in SCALARS, order


def _placed(detail: ErrorDetails, model: type[BaseModel]) -> _Place:
    annotation: Any = model
    keys: list[int | str] = []
    holder = meant = None
    loc = detail["loc"]
    refusal = _refusal(detail)
    for place, key in enumerate(loc if refusal is None else (*loc, *refusal.keys)):
        if key == "[key]":
            continue
        annotation = _bare(annotation)
        if typing.get_origin(annotation) in (types.UnionType, typing.Union):
            if place < len(loc):  # the key is pydantic's name of a member
                annotation = _tagged(annotation, key)
                continue
            annotation = _holder(annotation, str(key))
        keys.append(key)
        holder = (
            annotation
            if isinstance(annotation, type) and issubclass(annotation, BaseModel)
            else None
        )
        annotation, said = _below(annotation, key)
        meant = said or (meant if isinstance(key, int) else None)
    return _Place(tuple(keys), annotation, holder, meant)


def _refusal(detail: ErrorDetails) -> Refusal | None:
    error = detail.get("ctx", {}).get("error")
    return error if isinstance(error, Refusal) else None


def _bare(annotation: Any) -> Any:
    """The type without constraints, and without None beside one other."""
    while typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        others = [item for item in typing.get_args(annotation) if item is not types.NoneType]
        return _bare(others[0]) if len(others) == 1 else annotation
    return annotation


def _tagged(union: Any, tag: int | str) -> Any:
    """The union's member with this tag; the union itself if its members have no tags."""
    for member in typing.get_args(union):
        if any(isinstance(mark, Tag) and mark.tag == tag for mark in typing.get_args(member)):
            return member
    return union


def _holder(union: Any, key: str) -> Any:
    """The union's first member with this key; the union itself if none has it."""
    for member in map(_bare, typing.get_args(union)):
        is_model = isinstance(member, type) and issubclass(member, BaseModel)
        if is_model and key in keys_of(member):
            return member
    return union


def _below(annotation: Any, key: int | str) -> tuple[Any, str | None]:
    """Type and meaning of the value below a key, given the type of the whole."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(field_of(annotation, str(key)))
        return (None if field is None else field.annotation), meaning(annotation, str(key))
    members = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    return (members[1 if origin is dict else 0] if origin in (dict, tuple) else None), None


def _complaint(detail: ErrorDetails, together: list[ErrorDetails], place: _Place) -> Refusal:
    meant = f" ({place.meant.rstrip('.')})" if place.meant else ""
    refusal = _refusal(detail)
    if refusal is not None:
        refusal.keys, refusal.says = place.keys, f"{refusal.says}{meant}"
        return refusal
    if detail["type"] in SCALARS and isinstance(detail["input"], str):
        meant = ON_NUMBERS
    elif detail["type"] == "string_type":
        meant = ON_TEXTS
    if detail["type"] == "extra_forbidden":
        meant = ""
    return Refusal(place.keys, f"{_sentence(detail, together, place)}{meant}")


def _sentence(detail: ErrorDetails, together: list[ErrorDetails], place: _Place) -> str:
    """What is wrong, worded like the messages of JSON Schema validators."""
    kind, value, bounds = detail["type"], shown(detail["input"]), detail.get("ctx", {})
    match kind:
        case "missing":
            said = f"missing {place.noun}"
        case "extra_forbidden":
            said = f"unknown {place.noun}; {_known(place)}"
        case "literal_error":
            allowed = ", ".join(map(repr, typing.get_args(_bare(place.annotation))))
            said = f"expected one of {allowed}, got {value}"
        case _ if kind in SCALARS:
            names = [f"'{SCALARS[each['type']]}'" for each in together if each["type"] in SCALARS]
            said = f"{value} is not of type {', '.join(names)}"
        case _ if kind in CONTAINERS:
            said = f"expected {CONTAINERS[kind]}, got {value}"
        case _ if kind in BOUNDS:
            said = f"{value} {BOUNDS[kind].format(**bounds)}"
        case _:
            said = str(bounds.get("error") or f"{value}: {detail['msg']}")
    return said


def _known(place: _Place) -> str:
    """What to write instead of an unknown key."""
    groups = [] if place.holder is None else place.holder.__mro__
    for group in groups:
        if place.keys[-1] in vars(group).get("renamed", {}):
            new = vars(group)["renamed"][place.keys[-1]]
            return f"it is now {dotted((*place.keys[:-1], new))}"
    names = [] if place.holder is None else keys_of(place.holder)
    return f"known here: {', '.join(names)}"


def shown(value: Any) -> str:
    """The value as Python writes it, shortened for a message."""
    try:
        return f"{value!r:.{SHOWN_CHARACTERS}}"
    except ValueError:  # Python refuses to print an integer of thousands of digits
        return "a number of thousands of digits"
