"""Hook points: the one resolver that both reading and splicing use.

A hook point is a module whose *output* is read or replaced. Index i is the output of block i counted
from 0, that is `hidden_states[i+1]`. Must not: standardise, or know what is done with activations.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from fispace.errors import HookPointError

Replace = Callable[[Float[Tensor, "batch pos d_model"]], Float[Tensor, "batch pos d_model"]]


def resolve_hook_point(model: Any, hook_point: int | str) -> tuple[str, nn.Module]:
    """Dotted path and module of a hook point.

    Raises:
        HookPointError: if there is no such block or path; the message lists those that exist.
    """
    blocks_path, blocks = _blocks(model)
    if isinstance(hook_point, int):
        if not 0 <= hook_point < len(blocks):
            raise HookPointError(
                f"lm.hook_point={hook_point}: this model has {len(blocks)} blocks, so an index "
                f"is 0 to {len(blocks) - 1} (the output of {blocks_path}.0 to "
                f"{blocks_path}.{len(blocks) - 1})."
            )
        return f"{blocks_path}.{hook_point}", blocks[hook_point]
    modules = dict(model.named_modules())
    if not hook_point or hook_point not in modules:
        inside = [name for name in modules if name.startswith(f"{blocks_path}.0")]
        raise HookPointError(
            f"lm.hook_point={hook_point!r} does not exist. Block outputs are {blocks_path}.0 to "
            f"{blocks_path}.{len(blocks) - 1}; inside the first block there are: {', '.join(inside)}."
        )
    return hook_point, modules[hook_point]


def following_block(model: Any, hook_point: int | str) -> int | None:
    """Index of the block after a hook point that is a block's output; None where there is none."""
    _, module = resolve_hook_point(model, hook_point)
    _, blocks = _blocks(model)
    index = next((i for i, block in enumerate(blocks) if block is module), len(blocks))
    return index + 1 if index + 1 < len(blocks) else None


def _blocks(model: Any) -> tuple[str, nn.ModuleList]:
    """The list of blocks: the outermost module list that is as long as the model is deep."""
    depth = model.config.num_hidden_layers
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return name, module
    raise HookPointError(f"{type(model).__name__} holds no list of its {depth} blocks.")


def _tensor_of(output: Any) -> Tensor:
    """Activations in a module's output: Llama blocks return a tensor, others a tuple."""
    return output[0] if isinstance(output, tuple) else output


@contextmanager
def splice(model: Any, hook_point: int | str, replace: Replace) -> Iterator[None]:
    """Replace the hook point's output by `replace(output)` in every forward pass inside the block."""

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        new = replace(_tensor_of(output)).to(_tensor_of(output).dtype)
        return (new, *output[1:]) if isinstance(output, tuple) else new

    _, module = resolve_hook_point(model, hook_point)
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


class _Reached(Exception):
    """Raised inside the forward pass once the hook point has been read."""


@torch.no_grad()
def read_activations(
    model: Any,
    hook_point: int | str,
    token_ids: Int[Tensor, "batch pos"],
    attention_mask: Int[Tensor, "batch pos"],
) -> Float[Tensor, "batch pos d_model"]:
    """Output of the hook point; nothing after it is computed."""
    found: list[Tensor] = []

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        found.append(_tensor_of(output))
        raise _Reached

    _, module = resolve_hook_point(model, hook_point)
    handle = module.register_forward_hook(hook)
    try:
        model(input_ids=token_ids, attention_mask=attention_mask, use_cache=False)
    except _Reached:
        pass
    finally:
        handle.remove()
    if not found:
        raise HookPointError(f"lm.hook_point={hook_point!r} is not reached by a forward pass.")
    return found[0]


@torch.no_grad()
def logits(
    model: Any, token_ids: Int[Tensor, "batch pos"], attention_mask: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch pos vocabulary"]:
    """Next-token logits of a full forward pass."""
    return model(input_ids=token_ids, attention_mask=attention_mask, use_cache=False).logits


class _Skipped(nn.Module):
    """Stands in for a block whose output is not needed, or is already known."""

    def __init__(self, block: nn.Module, output: Tensor | None) -> None:
        super().__init__()
        self.replaces, self.output = [block], output  # a list hides the block from state_dict

    def forward(self, hidden: Tensor, *_args: Any, **_options: Any) -> Tensor:
        return hidden if self.output is None else self.output

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:  # some architectures ask a block for its attention type
            return getattr(self.replaces[0], name)


@contextmanager
def resumed_from(
    model: Any, hook_point: int | str, activations: Float[Tensor, "batch pos d_model"]
) -> Iterator[None]:
    """Forward passes inside the block take `activations` at the hook point and compute only what follows.

    The blocks up to a block-output hook point are stood in for. At any other hook point, or where a
    block returns a tuple, the whole pass runs and the output is replaced: the same logits, more work.
    """
    _, blocks = _blocks(model)
    path, module = resolve_hook_point(model, hook_point)
    index = next((i for i, block in enumerate(blocks) if block is module), None)
    if index is None or not _returns_tensor(model, module):
        with splice(model, path, lambda _: activations):
            yield
        return
    originals = list(blocks)
    try:
        for i in range(index + 1):
            blocks[i] = _Skipped(originals[i], activations if i == index else None)
        yield
    finally:
        for i in range(index + 1):
            blocks[i] = originals[i]


_BARE: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


def _returns_tensor(model: Any, module: nn.Module) -> bool:
    """Whether the module's output is a bare tensor: found by a pass over one token, once a module."""
    if module not in _BARE:
        kinds: list[bool] = []
        handle = module.register_forward_hook(
            lambda _module, _inputs, output: kinds.append(isinstance(output, Tensor))
        )
        one = torch.zeros(1, 1, dtype=torch.long)
        logits(model, one, torch.ones_like(one))
        handle.remove()
        _BARE[module] = kinds == [True]
    return _BARE[module]
