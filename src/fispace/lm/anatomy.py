"""Finds the blocks and outputs of a model by one pass over three short texts.

Two of them differ in their second halves, so the same pass shows whether the model is causal. The third
shares one token with the first, which shows whether the tokens of a prefix or of a block see each
other. Must not: rely on names of architectures or of modules.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from fispace.lm.probe import (
    PROBE_TOKENS,
    REFUSALS,
    TOLERANCE,
    deviation,
    plain_pass,
    probe_text,
    refusal,
)

N_SHARED = PROBE_TOKENS // 2
"""Tokens at the beginning that both texts share."""


class Output(NamedTuple):
    """Output of a module in one pass."""

    n_calls: int
    is_bare: bool
    """Whether it is a tensor, and not a tuple or list that begins with one."""
    width: int | None
    """Last dimension of a tensor [batch pos width]; None if the module returns another shape, or no tensor."""


class Anatomy(NamedTuple):
    """The blocks of a model, and the outputs of its modules."""

    blocks_path: str
    blocks: nn.ModuleList | None
    """The longest of the outermost lists of modules that run in order, once each, and return
    [batch pos d_model]; None if there is no such list."""
    outputs: dict[str, Output]
    """Outputs by dotted path of the module; modules that do not run are left out."""

    @property
    def n_blocks(self) -> int:
        """Length of the list of blocks."""
        return 0 if self.blocks is None else len(self.blocks)

    def fault_of(self, path: str) -> str:
        """Why a module cannot be a hook point, in words; empty if it can."""
        if path not in self.outputs:
            return "is not called in a pass over text"
        output = self.outputs[path]
        if output.n_calls > 1:
            return (
                f"runs {output.n_calls} times in one pass, so it does not give one vector per token"
            )
        if output.width is None:
            return "does not give one vector per token: its output is not a tensor [batch, tokens, width]"
        return ""

    def serving(self, near: str = "") -> str:
        """The possible hook points, in words: the blocks, and the modules inside the one that holds `near`."""
        said, within = "Possible hook points: ", ""
        if self.n_blocks:
            first, last = f"{self.blocks_path}.0", f"{self.blocks_path}.{self.n_blocks - 1}"
            depth = len(first.split("."))
            inside = near.startswith(f"{self.blocks_path}.")
            within = ".".join(near.split(".")[:depth]) if inside else first
            said += f"an index of 0 to {self.n_blocks - 1}, the output of {first} to {last}; or "
        paths = [path for path in self.outputs if not within or f"{path}.".startswith(f"{within}.")]
        return f"{said}{', '.join(path for path in paths if not self.fault_of(path))}."


def tensor_of(output: Any) -> Any:
    """The activations in a module's output, which is a tensor (Llama blocks), or a tuple or list."""
    return output[0] if isinstance(output, tuple | list) and output else output


_KNOWN: WeakKeyDictionary[Any, Anatomy] = WeakKeyDictionary()


def anatomy_of(model: Any) -> Anatomy:
    """The parts of the model, found at the first call; that call also checks that the model is causal.

    Raises:
        ModelError: if the model does not run on token ids alone, its logits are not finite, or a token
            depends on later ones.
    """
    if model not in _KNOWN:
        _KNOWN[model] = _examined(model)
    return _KNOWN[model]


def _examined(model: Any) -> Anatomy:
    modules = dict(model.named_modules())
    order: list[str] = []
    outputs: dict[str, Output] = {}
    states: dict[str, Tensor] = {}

    def keep(name: str, output: Any) -> None:
        first = tensor_of(output)
        is_state = isinstance(first, Tensor) and first.shape[:-1] == (3, PROBE_TOKENS)
        n_calls = outputs[name].n_calls + 1 if name in outputs else 1
        width = first.shape[-1] if is_state and first.is_floating_point() else None
        outputs[name] = Output(n_calls, isinstance(output, Tensor), width)
        order.append(name)
        if width is not None and isinstance(modules[name.rpartition(".")[0]], nn.ModuleList):
            states[name] = first.clone()

    with _hooked(modules, keep):
        logits = _run(model)
    path = max(_block_lists(modules, outputs, order), key=lambda p: len(modules[p]), default="")
    blocks: Any = modules[path] if path else None
    last = states[f"{path}.{len(blocks) - 1}"] if path else logits
    for seen in (last, logits):
        require_causal(model, seen[:2, :N_SHARED])
        require_causal(model, seen[::2, :1])
    return Anatomy(path, blocks, outputs)


@contextmanager
def _hooked(modules: dict[str, nn.Module], keep: Callable[[str, Any], None]) -> Iterator[None]:
    """Inside the block, `keep` receives the path and output of every module that runs."""

    def reporting(name: str) -> Callable[..., None]:
        return lambda _module, _inputs, output: keep(name, output)

    with ExitStack() as stack:
        for name, module in modules.items():
            stack.callback(module.register_forward_hook(reporting(name)).remove)
        yield


def _block_lists(
    modules: dict[str, Any], outputs: dict[str, Output], order: list[str]
) -> Iterator[str]:
    """Paths of the outermost module lists whose members all run, in order."""
    taken: list[str] = []
    for path, module in modules.items():
        if not isinstance(module, nn.ModuleList) or path.startswith(tuple(f"{p}." for p in taken)):
            continue
        members = [f"{path}.{i}" for i in range(len(module))]
        found = [outputs[member] for member in members if member in outputs]
        widths = {output.width for output in found}
        in_order = [name for name in order if name in members] == members
        if members and in_order and len(widths) == 1 and None not in widths:
            taken.append(path)
            yield path


def two_texts(model: Any, n_shared: int = N_SHARED) -> Int[Tensor, "2 pos"]:
    """Two short texts whose first tokens are the same, and whose others all differ."""
    text = probe_text(model, PROBE_TOKENS)
    other = torch.cat([text[:n_shared], probe_text(model, PROBE_TOKENS, first=1)[n_shared:]])
    return torch.stack([text, other])


def _run(model: Any) -> Float[Tensor, "3 pos vocabulary"]:
    """Logits of a text, of one with the same first half, and of one with the same first token."""
    ids = torch.cat([two_texts(model), two_texts(model, 1)[1:]])
    try:
        logits = plain_pass(model, ids, torch.ones_like(ids))
    except REFUSALS as error:
        raise refusal(
            model, "runs on text", f"a pass over token ids alone raises {error!r:.300}.",
            "Give a causal LM that needs no images, sounds or encoder.",
        ) from None  # fmt: skip
    if not bool(torch.isfinite(logits).all()):
        raise refusal(
            model, "finite", f"the logits of a short text contain NaN or infinity in {logits.dtype}.",
            "Set lm.dtype to float32, or give another model.",
        )  # fmt: skip
    return logits


def require_causal(model: Any, states: Float[Tensor, "2 shared width"]) -> None:
    """Refuse a model in which states at the same tokens depend on later tokens.

    Raises:
        ModelError: if the two rows, those of the shared tokens of `two_texts`, differ by more than rounding.
    """
    found = deviation(states[0], states[1])
    if not found <= TOLERANCE[states.dtype]:
        raise refusal(
            model, "causal", "changing later tokens changes its states at earlier ones by "
            f"{found:.1%} (norm of the difference, relative).",
            "The study needs a causal LM, in which no token depends on later ones. Encoders (BERT) and "
            "checkpoints with is_causal=false or is_decoder=false are not causal.",
        )  # fmt: skip
