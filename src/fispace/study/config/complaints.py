"""What a validation error says to a user: which parameter, what is wrong with it, and what it means.

Must not: validate, or know which file a value is from.
"""

import types
import typing
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fispace.study.config.base import Keys, Refusal

SHOWN = 200
"""Most characters of a value that a message repeats."""
ADVICE = "; numbers stand without quotes and with a decimal point, as in 1.0e-3"
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
"""Sentences about a value, by pydantic's name of the error, with the bound that it gives."""


class _Place(NamedTuple):
    """Where in a model an error is."""

    keys: Keys
    annotation: Any
    """Type that the parameters' declaration gives the value; None for an unknown key."""
    holder: type[BaseModel] | None
    """Model of which the last key is a field, or should be."""
    meaning: str | None


def first_complaint(error: ValidationError, model: type[BaseModel]) -> Refusal:
    """The complaint that a user should read first: that of the outermost key, in the order given."""
    details = error.errors(include_url=False)
    places = [_placed(detail, model) for detail in details]
    first = min(range(len(details)), key=lambda i: _urgency(details[i], places[i], i))
    together = [
        d for d, place in zip(details, places, strict=True) if place.keys == places[first].keys
    ]
    return _complaint(details[first], together, places[first])


def _urgency(detail: ErrorDetails, place: _Place, order: int) -> tuple[int, bool, int]:
    """Smallest for the error to show: outer before inner, what a value must be before its type."""
    names_key = detail["type"] in ("missing", "extra_forbidden")
    return len(place.keys) - names_key, detail["type"] in SCALARS, order


def _placed(detail: ErrorDetails, model: type[BaseModel]) -> _Place:
    annotation: Any = model
    keys: list[int | str] = []
    holder = meaning = None
    loc = detail["loc"]
    refusal = _refusal(detail)
    for key in loc if refusal is None else (*loc, *refusal.keys):
        if key == "[key]":
            continue
        annotation = _bare(annotation)
        if typing.get_origin(annotation) in (types.UnionType, typing.Union):
            continue  # pydantic's name of the union's member
        keys.append(key)
        holder = (
            annotation
            if isinstance(annotation, type) and issubclass(annotation, BaseModel)
            else None
        )
        annotation, said = _below(annotation, key)
        meaning = said or (meaning if isinstance(key, int) else None)
    return _Place(tuple(keys), annotation, holder, meaning)


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


def _below(annotation: Any, key: int | str) -> tuple[Any, str | None]:
    """Type and meaning of what stands below a key of a value of this type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(key))
        return (None, None) if field is None else (field.annotation, field.description)
    members = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    return (members[1 if origin is dict else 0] if origin in (dict, tuple) else None), None


def _complaint(detail: ErrorDetails, together: list[ErrorDetails], place: _Place) -> Refusal:
    kind, value, ctx = detail["type"], detail["input"], detail.get("ctx", {})
    meant = f" ({place.meaning.rstrip('.')})" if place.meaning else ""
    refusal = _refusal(detail)
    if refusal is not None:
        refusal.keys, refusal.says = place.keys, f"{refusal.says}{meant}"
        return refusal
    if kind == "extra_forbidden" and place.holder is not None:
        known = ", ".join(sorted(place.holder.model_fields))
        return Refusal(place.keys, f"unknown parameter; known here: {known}")
    if kind == "missing":
        return Refusal(place.keys, f"missing parameter{meant}")
    if kind in SCALARS:
        names = ", ".join(f"'{SCALARS[d['type']]}'" for d in together if d["type"] in SCALARS)
        end = ADVICE if isinstance(value, str) else meant
        return Refusal(place.keys, f"{shown(value)} is not of type {names}{end}")
    if kind in CONTAINERS:
        return Refusal(place.keys, f"expected {CONTAINERS[kind]}, got {shown(value)}{meant}")
    if kind == "literal_error":
        allowed = ", ".join(map(repr, typing.get_args(_bare(place.annotation))))
        return Refusal(place.keys, f"expected one of {allowed}, got {shown(value)}{meant}")
    if kind in BOUNDS:
        return Refusal(place.keys, f"{shown(value)} {BOUNDS[kind].format(**ctx)}{meant}")
    return Refusal(place.keys, f"{ctx.get('error') or shown(value) + ': ' + detail['msg']}{meant}")


def shown(value: Any) -> str:
    """The value as Python writes it, cut to a length that a message can hold."""
    try:
        return f"{value!r:.{SHOWN}}"
    except ValueError:  # Python writes no integer of thousands of digits
        return "a number of thousands of digits"
