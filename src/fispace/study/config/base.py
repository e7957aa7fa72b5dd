"""What every group of parameters is: a frozen model, read strictly, with one paragraph for an error.

A parameter is declared once, as a field of a group: its type and range, and under it a docstring with
meaning, unit and source. Sections of params.yaml and configurations of commands are composed of groups
by inheritance. Must not: hold a value of a parameter, or know a chapter.
"""

import os
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, ValidationError

from fispace.errors import ParamsError
from fispace.study.names import file_name, plain_text

# what else is installed must not change how a parameter is read, nor be searched for at every start
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

T = TypeVar("T")
Group = TypeVar("Group", bound="Config")
Model = TypeVar("Model", bound="Entry")

Keys = tuple[str | int, ...]


class Refusal(ValueError):
    """What is wrong with a parameter. Validators that compare parameters raise it."""

    def __init__(self, key: str | Keys, must: str, value: Any = None) -> None:
        """The key from the validated group down; `value` is shown where it is given."""
        super().__init__(must)
        self.keys: Keys = (key,) if isinstance(key, str) else key
        self.says = f": {must}" if value is None else f"={value} {must}"

    def __str__(self) -> str:
        """The whole sentence, as in `train.k=70 must be <= n_latents=64`, with a full stop."""
        return f"{dotted(self.keys)}{self.says}."

    def below(self, *keys: str) -> "Refusal":
        """The same of a group that stands below these keys."""
        self.keys = (*keys, *self.keys)
        return self


class Entry(BaseModel):
    """What stands in a file, read strictly: integers are no booleans, texts no numbers.

    An integer may be a float.
    """

    noun: ClassVar[str] = "key"
    """What messages call a field."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        defer_build=True,  # a job builds the one group that its command depends on
    )

    @classmethod
    def checked(cls: type[Model], values: Any) -> Model:
        """The entry with exactly these plain values, as JSON and YAML have them.

        Raises:
            Refusal: with the keys from this entry down.
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
    """Former names of parameters of this group, and what to write instead."""

    @classmethod
    def read(cls: type[Group], values: Any, where: str) -> Group:
        """The group with exactly these plain values, as JSON and YAML have them.

        Raises:
            ParamsError: on a value that is unknown, missing, of another type or out of range; the
                message names it as `where.key`.
        """
        try:
            return cls.checked(values)
        except Refusal as refusal:
            raise ParamsError(str(refusal.below(*filter(None, where.split("."))))) from None

    def plain(self) -> dict[str, Any]:
        """The values as JSON has them: the inverse of `read`."""
        return self.model_dump(mode="json")

    def changed(self: Group, **values: Any) -> Group:
        """A copy with other values, checked like the first.

        Raises:
            ParamsError: as `read` does.
        """
        own = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self).read(own | values, "")


def dotted(keys: Keys) -> str:
    """A key as it is written: `train.arms.sae.parts[0]`."""
    parts = [f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys]
    return "".join(parts).lstrip(".") or "top level"


def require_a_batch(n_tokens: int, batch_tokens: int) -> None:
    """Refuse fewer tokens than one optimiser step takes.

    Raises:
        Refusal: names `n_tokens`.
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
"""A list that holds nothing twice."""

Name = Annotated[str, Field(pattern="^[a-z][a-z0-9_-]*$", max_length=60), AfterValidator(file_name)]
"""Name of a file or folder: lower-case letters, digits, - and _, a letter first."""

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
"""A text of which everything is seen in print."""
NonEmpty = Annotated[str, Field(min_length=1)]


class Seeded(Config):
    """The root of all random streams."""

    root_seed: Annotated[int, Field(ge=0, le=2**53 - 1)]
    """Root of the seed tree; every random stream is derived from it by name."""


class Threaded(Config):
    """Threads of a job."""

    threads: Threads
    """Torch threads of one job, never the machine's cores; a chapter without it has the top level's."""
