"""Probing a model with short texts of its own vocabulary: what it does is measured, not read off its name.

Must not: know hook points, or decide what a measurement means for a study.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from random import Random
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fispace.errors import ModelError

REFUSALS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, RuntimeError,
    TypeError, ValueError,
)  # fmt: skip
"""What a model's own code raises when it is called in a way that it does not support."""

TOLERANCE = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 5e-2}
"""Largest `deviation` that rounding explains: a hundred times what was seen in float32, and some
rounding steps of the residual stream in the half precisions."""

CLOSE = 1e-5
"""`deviation` of logits in float32 that moves no log-probability by much more than 1e-5 nats."""

PROBE_TOKENS = 8
"""Length of a short text."""


_PROBING: ContextVar[bool] = ContextVar("fispace_probing", default=False)


@contextmanager
def probing() -> Iterator[None]:
    """Inside the block nothing is spliced into a model, whatever stands around the block."""
    token = _PROBING.set(True)
    try:
        yield
    finally:
        _PROBING.reset(token)


def is_probing() -> bool:
    """Whether the pass that is running measures the model itself."""
    return _PROBING.get()


def call(model: Any, **options: Any) -> Any:
    """Output of the model, given those of the options that its architecture knows."""
    known = inspect.signature(model.forward).parameters
    takes_all = any(known[name].kind is inspect.Parameter.VAR_KEYWORD for name in known)
    return model(**{name: value for name, value in options.items() if takes_all or name in known})


@torch.no_grad()
def plain_pass(
    model: Any, token_ids: Int[Tensor, "batch pos"], attention_mask: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch pos vocabulary"]:
    """Next-token logits of one forward pass over a batch as it is; nothing is kept of it."""
    options = {"attention_mask": attention_mask, "use_cache": False}
    return call(model, input_ids=token_ids, **options).logits


def probe_text(model: Any, n_tokens: int, first: int = 0) -> Int[Tensor, " pos"]:
    """A text of ordinary tokens without a period, the same at every call.

    The texts of `first` 0 and 1 differ in every token.
    """
    tokens = range(min(model.get_input_embeddings().weight.shape[0], 4096))
    reserved = set(_token_ids_in(model.config.to_dict()))
    ordinary = [token for token in tokens if token not in reserved]
    usable = ordinary if len(ordinary) > 1 else tokens
    draw = Random(0)
    places = [(draw.randrange(len(usable)) + first) % len(usable) for _ in range(n_tokens)]
    return torch.tensor([usable[place] for place in places])


def _token_ids_in(config: Mapping[Any, Any]) -> Iterator[int]:
    """Ids that a configuration gives a role: BOS, padding, the place of an image, and the like."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _token_ids_in(value)
        elif str(name).endswith(("token_id", "token_index")):
            yield from (item for item in (value if isinstance(value, list) else [value]) if item)


def deviation(found: Float[Tensor, "*rows width"], expected: Float[Tensor, "*rows width"]) -> float:
    """Largest distance of two vectors at the same position, relative to the expected one's length.

    What is common to all dimensions is left out: adding it to logits changes no probability.
    """
    a, b = (x.double() - x.double().mean(-1, keepdim=True) for x in (found, expected))
    return float(((a - b).norm(dim=-1) / b.norm(dim=-1).clamp(min=1e-30)).max())


_LIMITS: WeakKeyDictionary[Any, float] = WeakKeyDictionary()


def agree(model: Any, found: Tensor, expected: Tensor) -> bool:
    """Whether two tensors differ by no more than the model's own rounding; False where one holds a NaN."""
    if model not in _LIMITS:
        _LIMITS[model] = _limit(model)
    return deviation(found, expected) <= _LIMITS[model]


def _limit(model: Any) -> float:
    """Ten times the `deviation` of a text's first half from its own pass, but at least `CLOSE`.

    A formula that is merely close, such as a recurrence step by step beside one in chunks, differs by
    more. The half precisions have the limit of `TOLERANCE`.
    """
    text = probe_text(model, PROBE_TOKENS)[None]
    half = text[:, : PROBE_TOKENS // 2]
    with probing():
        whole, first = (plain_pass(model, ids, torch.ones_like(ids)) for ids in (text, half))
    most = TOLERANCE[whole.dtype]
    if whole.dtype != torch.float32:
        return most
    return min(max(CLOSE, 10 * deviation(first, whole[:, : half.shape[1]])), most)


class UpToALength:
    """A property of models that holds for texts up to some length, measured once a length.

    What holds for a length holds for all shorter ones; what fails for one fails for all longer ones.
    """

    def __init__(self, measure: Callable[[Any, int], bool]) -> None:
        """Take the measurement: model and number of tokens to whether the property holds."""
        self._measure = measure
        self._holds: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self._fails: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self.__doc__ = measure.__doc__

    def __call__(self, model: Any, n_tokens: int) -> bool:
        """Whether the property holds for texts of up to `n_tokens` tokens."""
        if n_tokens <= self._holds.get(model, 0):
            return True
        if n_tokens >= self._fails.get(model, n_tokens + 1):
            return False
        with probing():
            holds = self._measure(model, n_tokens)
        (self._holds if holds else self._fails)[model] = n_tokens
        return holds


def refusal(model: Any, check: str, found: str, remedy: str) -> ModelError:
    """Error of a check that a model fails: the check, the model's class, what was found, what to do."""
    return ModelError(f"{type(model).__name__} fails the self-test '{check}': {found} {remedy}")
