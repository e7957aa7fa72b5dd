"""Base of all groups of parameters: frozen pydantic models, read strictly.

A parameter is declared once, as a field of a group: its type, its range, and below it a docstring with
its meaning, unit and source. Sections of params.yaml and the parameters of commands inherit from groups.
Must not: hold a value of a parameter, or know a chapter.
"""

import ast
import inspect
import os
import sys
from functools import cache
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, ValidationError

from fispace.errors import ParamsError
from fispace.study.names import file_name, plain_text

# plugins of other packages must not change how a parameter is read; searching for them costs time too
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

T = TypeVar("T")
Group = TypeVar("Group", bound="Config")
Model = TypeVar("Model", bound="Entry")

Keys = tuple[str | int, ...]


class Refusal(ValueError):
    """What is wrong with a parameter; validators that compare parameters raise it."""

    def __init__(self, key: str | Keys, must: str, value: Any = None) -> None:
        """`key` starts at the validated group; `value` is shown if it is given."""
        super().__init__(must)
        self.keys: Keys = (key,) if isinstance(key, str) else key
        self.says = f": {must}" if value is None else f"={value} {must}"

    def __str__(self) -> str:
        """The whole sentence, with a full stop, as in `train.k=70 must be <= n_latents=64.`."""
        return f"{dotted(self.keys)}{self.says}."

    def below(self, *keys: str) -> "Refusal":
        """The same refusal, for a group below these keys."""
        self.keys = (*keys, *self.keys)
        return self


class Entry(BaseModel):
    """An entry of a file, read strictly: a boolean is not an integer, and a string is not a number.

    Where a float is expected, an integer is accepted.
    """

    noun: ClassVar[str] = "key"
    """Word for a field in messages."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        defer_build=True,  # a job builds only the group that its command depends on
    )

    @classmethod
    def checked(cls: type[Model], values: Any) -> Model:
        """The entry with exactly these plain values (those that JSON and YAML have).

        Raises:
            Refusal: if a value is refused; its keys start at this entry.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            from fispace.study.config.complaints import first_complaint

            raise first_complaint(error, cls) from None


class Config(Entry):
    """A group of parameters."""

    noun: ClassVar[str] = "parameter"

    renamed: ClassVar[dict[str, str]] = {}
    """Former names of parameters of this group, each with the present one."""

    @classmethod
    def read(cls: type[Group], values: Any, where: str) -> Group:
        """The group with exactly these plain values (those that JSON and YAML have).

        Raises:
            ParamsError: if a parameter is unknown, missing, of the wrong type or out of range; the
                message names it as `where.key`.
        """
        try:
            return cls.checked(values)
        except Refusal as refusal:
            raise ParamsError(str(refusal.below(*filter(None, where.split("."))))) from None

    def plain(self) -> dict[str, Any]:
        """The values as plain JSON values; the inverse of `read`."""
        return self.model_dump(mode="json")

    def changed(self: Group, **values: Any) -> Group:
        """A copy with some values replaced, checked like the original.

        Raises:
            ParamsError: as for `read`.
        """
        own = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self).read(own | values, "")


def field_of(model: type[BaseModel], key: str) -> str:
    """Name of the field that a file writes as `key`: the field's alias if it has one, else its name."""
    aliases = {field.alias: name for name, field in model.model_fields.items() if field.alias}
    return aliases.get(key, key)


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys that a file may hold for this model, sorted."""
    return sorted(field.alias or name for name, field in model.model_fields.items())


def meaning(model: type[BaseModel], key: str) -> str | None:
    """Docstring of the field of a key as one line; None if it has none or there is no such field."""
    name = field_of(model, key)
    for group in model.__mro__:
        if name in vars(group).get("__annotations__", {}):
            return _docstrings(group.__module__).get((group.__name__, name))
    return None


def summary(model: type[BaseModel]) -> str:
    """Docstring of a group as one line."""
    return " ".join((inspect.getdoc(model) or "").split())


@cache
def _docstrings(module: str) -> dict[tuple[str, str], str]:
    """Docstrings of a module's fields, by class and field, read from the source.

    Pydantic can collect them itself, but would do so at every import; only messages and the generated
    schema need them.
    """
    found: dict[tuple[str, str], str] = {}
    for group in ast.parse(inspect.getsource(sys.modules[module])).body:
        if isinstance(group, ast.ClassDef):
            for field, below in zip(group.body, group.body[1:], strict=False):
                text = _lone_text(below)
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and text:
                    found[group.name, field.target.id] = " ".join(text.split())
    return found


def _lone_text(node: ast.stmt) -> str | None:
    """The string, if the statement is nothing but a string."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return node.value.value if isinstance(node.value.value, str) else None
    return None


def dotted(keys: Keys) -> str:
    """A key as users write it: `train.arms.sae.parts[0]`."""
    parts = [f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys]
    return "".join(parts).lstrip(".") or "top level"


def require_a_batch(n_tokens: int, batch_tokens: int) -> None:
    """Refuse a training with fewer tokens than one optimiser step takes.

    Raises:
        Refusal: if there are fewer; it names `n_tokens`.
    """
    if n_tokens < batch_tokens:
        raise Refusal(
            "n_tokens", f"is less than one batch of batch_tokens={batch_tokens}", n_tokens
        )


def _distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    if len(set(values)) != len(values):
        raise ValueError(f"{list(values)!r:.200} has non-unique elements")
    return values


ListOf = Annotated[tuple[T, ...], Strict(False)]
"""A list; read as a tuple."""

Distinct = Annotated[
    tuple[T, ...],
    Strict(False),
    AfterValidator(_distinct),
    Field(json_schema_extra={"uniqueItems": True}),
]
"""A list without repeated elements."""

Name = Annotated[str, Field(pattern="^[a-z][a-z0-9_-]*$", max_length=60), AfterValidator(file_name)]
"""Name of a file or folder: lower-case letters, digits, - and _; it begins with a letter."""

Count = Annotated[int, Field(ge=1, le=1_000_000_000_000)]
Size = Annotated[int, Field(ge=1, le=10_000_000)]
Seed = Annotated[int, Field(ge=0, le=1_000_000)]
Threads = Annotated[int, Field(ge=1, le=256)]
Rate = Annotated[float, Field(gt=0, le=10)]
"""Peak learning rate."""
Decay = Annotated[float, Field(ge=0, lt=1)]
"""Decay rate of a moment, or a probability of dropping."""
InnerShare = Annotated[float, Field(gt=0, lt=1)]
"""Share in (0, 1)."""
PositiveShare = Annotated[float, Field(gt=0, le=1)]
"""Share in (0, 1]."""
Share = Annotated[float, Field(ge=0, le=1)]
"""Share in [0, 1]."""
Positive = Annotated[float, Field(gt=0)]
Deviation = Annotated[float, Field(ge=0, le=100)]
"""Standard deviation of initial weights."""
PlainText = Annotated[str, AfterValidator(plain_text)]
"""A text of visible characters only."""
NonEmpty = Annotated[str, Field(min_length=1)]


class Seeded(Config):
    """The root of all random streams."""

    root_seed: Annotated[int, Field(ge=0, le=2**53 - 1)]
    """Root of the seed tree; every random stream is derived from it by name."""


DeviceName = Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]{1,3})?)$")]
"""auto, cpu, cuda or cuda:N."""


class Threaded(Config):
    """Threads of a job."""

    threads: Threads
    """Torch threads of one job, whatever the machine's number of cores. A chapter that sets none has the top
    level's."""


class OnDevice(Threaded):
    """Where a job computes."""

    device: DeviceName
    """Where language models and SAEs run and are trained: cpu, cuda (the first card), cuda:N, or auto: the
    first card if there is one, else the processor. Records name the device that was used."""
