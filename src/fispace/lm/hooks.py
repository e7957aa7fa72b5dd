"""Hook points: reading and replacing the output of a module.

A hook point is a module whose *output* is read or replaced. Index i is the output of block i counted
from 0. In most architectures this is `hidden_states[i+1]`; not for the last block, since `hidden_states`
ends with the output of the final norm. Must not: standardise, or know what is done with activations.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from fispace.errors import HookPointError
from fispace.lm.anatomy import anatomy_of, tensor_of, two_texts
from fispace.lm.batching import by_groups
from fispace.lm.probe import REFUSALS, agree, call, input_device, is_probing, plain_pass

Replace = Callable[[Float[Tensor, "batch pos d_model"]], Float[Tensor, "batch pos d_model"]]


def resolve_hook_point(model: Any, hook_point: int | str) -> tuple[str, nn.Module]:
    """Dotted path and module of a hook point.

    Raises:
        HookPointError: if there is no such block or path, or its output is not one vector per token; the
            message lists the possible ones.
        ModelError: if the model is not causal, or does not run on token ids alone.
    """
    parts = anatomy_of(model)
    if isinstance(hook_point, int):
        if not 0 <= hook_point < parts.n_blocks:
            none = "no list of blocks that run once each and give one vector a token"
            held = f"{parts.n_blocks} blocks" if parts.n_blocks else none
            raise HookPointError(
                f"lm.hook_point={hook_point}: {type(model).__name__} has {held}. {parts.serving()}"
            )
        hook_point = f"{parts.blocks_path}.{hook_point}"
    modules = dict(model.named_modules())
    if not hook_point or hook_point not in modules:
        raise HookPointError(
            f"lm.hook_point={hook_point!r} does not exist in {type(model).__name__}. "
            f"{parts.serving(hook_point)}"
        )
    fault = parts.fault_of(hook_point)
    if fault:
        raise HookPointError(
            f"lm.hook_point={hook_point!r} of {type(model).__name__} {fault}. "
            f"{parts.serving(hook_point)}"
        )
    return hook_point, modules[hook_point]


def following_block(model: Any, hook_point: int | str) -> int | None:
    """Index of the next block, if the hook point is the output of a block and not of the last; else None."""
    index = _block_index(model, resolve_hook_point(model, hook_point)[1])
    return None if index is None or index + 1 >= anatomy_of(model).n_blocks else index + 1


def _block_index(model: Any, module: nn.Module) -> int | None:
    blocks = anatomy_of(model).blocks or ()
    return next((i for i, block in enumerate(blocks) if block is module), None)


@contextmanager
def splice(model: Any, hook_point: int | str, replace: Replace) -> Iterator[None]:
    """Replace the hook point's output by `replace(output)` in every forward pass inside the block."""

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        if is_probing():
            return output
        new = replace(tensor_of(output)).to(tensor_of(output))  # its device and dtype
        if isinstance(output, list):
            return [new, *output[1:]]
        return (new, *output[1:]) if isinstance(output, tuple) else new

    _, module = resolve_hook_point(model, hook_point)
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


class _Reached(Exception):
    """Raised inside the forward pass once the hook point has been read."""


def read_activations(
    model: Any,
    hook_point: int | str,
    token_ids: Int[Tensor, "batch pos"],
    attention_mask: Int[Tensor, "batch pos"],
) -> Float[Tensor, "batch pos d_model"]:
    """Output of the hook point; nothing after it is computed.

    Each text gets the same activations as alone, within rounding; those of padding are meaningless.
    """
    _, module = resolve_hook_point(model, hook_point)

    def run(_rows: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        return _read(model, module, ids, mask)

    return by_groups(model, token_ids, attention_mask, run)


@torch.no_grad()
def _read(model: Any, module: nn.Module, token_ids: Tensor, attention_mask: Tensor) -> Tensor:
    found: list[Tensor] = []

    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        found.append(tensor_of(output))
        raise _Reached

    handle = module.register_forward_hook(hook)
    try:
        call(model, input_ids=token_ids, attention_mask=attention_mask, use_cache=False)
    except _Reached:
        pass
    finally:
        handle.remove()
    return found[0]


def logits(
    model: Any, token_ids: Int[Tensor, "batch pos"], attention_mask: Int[Tensor, "batch pos"]
) -> Float[Tensor, "batch pos vocabulary"]:
    """Next-token logits of a full forward pass.

    Each text gets the same logits as alone, within rounding; those of padding are meaningless.
    """

    def run(_rows: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        return plain_pass(model, ids, mask)

    return by_groups(model, token_ids, attention_mask, run)


def logits_after(
    model: Any, hook_point: int | str, activations: Float[Tensor, "batch pos d_model"],
    token_ids: Int[Tensor, "batch pos"], attention_mask: Int[Tensor, "batch pos"],
) -> Float[Tensor, "batch pos vocabulary"]:  # fmt: skip
    """`logits` with the given activations at the hook point; the blocks before it are skipped if possible."""

    def run(rows: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
        own = activations if len(rows) == len(activations) else activations[rows]
        own = own.to(input_device(model))
        with torch.no_grad(), resumed_from(model, hook_point, own[:, : ids.shape[1]]):
            return plain_pass(model, ids, mask)

    return by_groups(model, token_ids, attention_mask, run)


class _Skipped(nn.Module):
    """Replaces a block whose output is not needed or already known."""

    def __init__(self, block: nn.Module, output: Tensor | None) -> None:
        super().__init__()
        self.replaces, self.output = [block], output  # a list hides the block from state_dict

    def forward(self, hidden: Tensor, *args: Any, **options: Any) -> Any:
        """The known output, or else the input, since nothing reads it."""
        if is_probing():
            return self.replaces[0](hidden, *args, **options)
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
    """Forward passes inside the `with` block use `activations` at the hook point and run only later blocks.

    If the hook point is the output of a block, this block and those before it are skipped. If the model
    does not support that, because later blocks need more of earlier ones than their output, the whole pass
    runs and the output is replaced: the logits are the same, at more cost.
    """
    path, module = resolve_hook_point(model, hook_point)
    index = _block_index(model, module)
    if index is None or not _is_resumable(model, index):
        with splice(model, path, lambda _: activations):
            yield
        return
    with _stood_in(anatomy_of(model).blocks, index, activations):
        yield


@contextmanager
def _stood_in(blocks: Any, index: int, activations: Tensor) -> Iterator[None]:
    originals = list(blocks)
    try:
        for i in range(index + 1):
            blocks[i] = _Skipped(originals[i], activations if i == index else None)
        yield
    finally:
        for i in range(index + 1):
            blocks[i] = originals[i]


_RESUMABLE: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


def _is_resumable(model: Any, index: int) -> bool:
    """Whether a pass that starts after a block gives the logits of a whole pass; measured once per block."""
    parts = anatomy_of(model)
    assert parts.blocks is not None
    block = parts.blocks[index]
    if block not in _RESUMABLE:
        bare = parts.outputs[f"{parts.blocks_path}.{index}"].is_bare
        _RESUMABLE[block] = bare and _resumes(model, parts.blocks, index)
    return _RESUMABLE[block]


def _resumes(model: Any, blocks: nn.ModuleList, index: int) -> bool:
    ids = two_texts(model)
    mask = torch.ones_like(ids)
    other = 1.5 * _read(model, blocks[index], ids, mask)
    with splice(model, index, lambda _: other):
        expected = plain_pass(model, ids, mask)
    try:
        with _stood_in(blocks, index, other):
            found = plain_pass(model, ids, mask)
    except REFUSALS:
        return False
    return agree(model, found, expected)
