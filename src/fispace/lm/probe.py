"""Probes a model with short texts of its own vocabulary, so that its properties are measured.

Must not: know hook points, or decide what a measurement means for the study.
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
"""Exceptions that a model's code raises if it is called in a way that it does not support."""

TOLERANCE = {torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 5e-2}
"""Largest `deviation` that counts as rounding: a hundred times the observed one in float32, and a few
rounding steps of the residual stream in half precision."""

CLOSE = 1e-5
"""`deviation` of logits in float32 that moves no log-probability by much more than 1e-5 nats."""

PROBE_TOKENS = 8
"""Length of a short text."""


_PROBING: ContextVar[bool] = ContextVar("fispace_probing", default=False)


@contextmanager
def probing() -> Iterator[None]:
    """Inside the `with` block no splice acts on a model, even if one is active around it."""
    token = _PROBING.set(True)
    try:
        yield
    finally:
        _PROBING.reset(token)


def is_probing() -> bool:
    """Whether the current pass probes the model, so that splices must not act."""
    return _PROBING.get()


def call(model: Any, **options: Any) -> Any:
    """Output of the model, on its own device; options that its architecture does not know are left out.

    Token ids and masks are laid out on the processor, and are moved to the model here.
    """
    known = inspect.signature(model.forward).parameters
    takes_all = any(known[name].kind is inspect.Parameter.VAR_KEYWORD for name in known)
    kept = {name: value for name, value in options.items() if takes_all or name in known}
    device = input_device(model)
    moved = {name: v.to(device) for name, v in kept.items() if isinstance(v, Tensor)}
    return model(**kept | moved)


def input_device(model: Any) -> torch.device:
    """Device on which the model reads its token ids."""
    return model.get_input_embeddings().weight.device


@torch.no_grad()
def plain_pass(
    model: Any, token_ids: Int[Tensor, "batch pos"], attention_mask: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch pos vocabulary"]:
    """Next-token logits of one forward pass over the batch as given, without a cache."""
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
    """Token ids with a role in a configuration: BOS, padding, image placeholders and the like."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _token_ids_in(value)
        elif str(name).endswith(("token_id", "token_index")):
            yield from (item for item in (value if isinstance(value, list) else [value]) if item)


def deviation(found: Float[Tensor, "*rows width"], expected: Float[Tensor, "*rows width"]) -> float:
    """Largest distance between vectors at the same position, relative to the expected vector's norm.

    Vectors are centred first, since adding a constant to all logits changes no probability.
    """
    a, b = (x.double() - x.double().mean(-1, keepdim=True) for x in (found, expected))
    return float(((a - b).norm(dim=-1) / b.norm(dim=-1).clamp(min=1e-30)).max())


_LIMITS: WeakKeyDictionary[Any, float] = WeakKeyDictionary()


def agree(model: Any, found: Tensor, expected: Tensor) -> bool:
    """Whether two tensors differ by no more than the model's own rounding; False where one holds a NaN."""
    differs_by = deviation(found, expected)
    if differs_by > CLOSE and model not in _LIMITS:
        _LIMITS[model] = _limit(model)
    return differs_by <= _LIMITS.get(model, CLOSE)


def _limit(model: Any) -> float:
    """Largest `deviation` that rounding explains, relative.

    In float32: ten times the deviation between the first half of a text as read in a pass over the whole
    text and in a pass of its own, but at least `CLOSE` and at most `TOLERANCE`. Formulas that agree only
    approximately, such as a recurrence step by step and in chunks, differ by more. In half precision:
    `TOLERANCE`.
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
    """A property of models that holds for texts up to some length, and is measured as needed.

    If it holds for a length, it holds for all shorter ones; if it fails for one, it fails for longer ones.
    """

    def __init__(self, measure: Callable[[Any, int], bool]) -> None:
        """`measure` says whether the property holds for a model and a number of tokens."""
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
    """Error of a failed check: the message names the model's class, the check, what was found, what to do."""
    return ModelError(f"{type(model).__name__} fails the self-test '{check}': {found} {remedy}")
