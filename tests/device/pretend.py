"""A second device that is not there: tensors that say they are elsewhere, and hold their numbers here.

Torch calls their device `meta`. Every operation runs on the processor and gives the numbers of the
processor, but refuses to mix them with tensors of the processor, and NumPy cannot read them. So a step
that runs on this device moves every tensor as it would have to for a GPU.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

PRETEND = torch.device("meta")
CPU = torch.device("cpu")

ATEN = torch.ops.aten
TAKE_INDICES_OF_THE_PROCESSOR = {
    ATEN.index.Tensor, ATEN.index_put_.default, ATEN.index_put.default, ATEN._index_put_impl_.default,
}  # fmt: skip
"""Operations that a GPU does with indices of the processor too."""
MOVES = {ATEN._to_copy.default, ATEN.copy_.default}


PRODUCTS = (ATEN.mm.default, ATEN.addmm.default, ATEN._embedding_bag.default)
"""What every step that computes with weights does at least once."""
done: Counter[Any] = Counter()
"""How often each operation ran on the device since `pretended` began."""


class MixedDevicesError(RuntimeError):
    """An operation was given tensors of both devices."""


class Elsewhere(torch.Tensor):
    """A tensor on the pretended device."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, real: torch.Tensor) -> "Elsewhere":
        options = {"dtype": real.dtype, "device": PRETEND, "layout": real.layout}
        if real.layout == torch.strided:
            options |= {"strides": real.stride(), "storage_offset": real.storage_offset()}
        made = torch.Tensor._make_wrapper_subclass(cls, real.size(), **options)
        made.held = real
        return made

    def tolist(self) -> Any:
        return self.held.tolist()

    def numpy(self, *, force: bool = False) -> Any:  # noqa: ARG002
        raise TypeError("NumPy cannot read a tensor of this device: use .cpu() first")

    def __repr__(self) -> str:
        return f"Elsewhere({self.held!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The operation on the numbers, with its result on the device that it belongs on."""
    wanted = kwargs.get("device")
    given, layout = tree_flatten((args, kwargs))
    tensors = [x for x in given if isinstance(x, torch.Tensor)]
    is_elsewhere = any(isinstance(x, Elsewhere) for x in tensors)
    if is_elsewhere and func not in MOVES:
        here = [x for x in tensors if not isinstance(x, Elsewhere) and x.dim() > 0]
        if here and not (func in TAKE_INDICES_OF_THE_PROCESSOR and isinstance(args[0], Elsewhere)):
            raise MixedDevicesError(f"{func} was given tensors of both devices")
    real = [x.held if isinstance(x, Elsewhere) else x for x in given]
    real_args, real_kwargs = tree_unflatten(real, layout)
    if wanted is not None:
        real_kwargs["device"] = CPU
    found = func(*real_args, **real_kwargs)
    done[func] += is_elsewhere
    goes_elsewhere = is_elsewhere if wanted is None else torch.device(wanted) == PRETEND
    if func is ATEN.copy_.default:
        return args[0]
    if not goes_elsewhere:
        return found
    known = {id(x.held): x for x in tensors if isinstance(x, Elsewhere)}

    def placed(x: Any) -> Any:
        if not isinstance(x, torch.Tensor):
            return x
        return known.get(id(x)) if id(x) in known else Elsewhere(x)

    return tree_map(placed, found)


class _Makes(TorchDispatchMode):
    """Tensors that are made on the device, by torch.zeros and the like."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


@contextmanager
def pretended() -> Iterator[torch.device]:
    """Inside the block the device is there, and modules can be moved to it."""
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    done.clear()
    try:
        with _Makes():
            yield PRETEND
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)
