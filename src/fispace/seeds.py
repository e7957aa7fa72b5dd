"""Named random streams: from one root seed, an independent generator for each named purpose.

Must not: keep global state other than the sets that collect names, or draw random numbers on import.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy
    import torch


_listeners: list[set[str]] = []


@contextmanager
def named_streams() -> Iterator[set[str]]:
    """Names of all streams used inside the block, for the record of a command.

    Numbers at the end of a name count draws of one kind (items, batches, chunks) and are replaced by `#`.
    """
    names: set[str] = set()
    _listeners.append(names)
    try:
        yield names
    finally:
        _listeners[:] = [known for known in _listeners if known is not names]


def stream_seed(root: int, *names: str | int) -> int:
    """Seed of the stream `root/name/name/...`, in [0, 2^63).

    It is the first 63 bits of the SHA-256 of the path. So a stream depends only on its own names: adding
    an arm, a seed or a purpose changes no other stream.
    """
    path = "/".join(str(part) for part in (root, *names))
    for listener in _listeners:
        listener.add(f"{root}/{_without_counts(names)}")
    return int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], "big") >> 1


def _without_counts(names: tuple[str | int, ...]) -> str:
    kept = list(names)
    while kept and isinstance(kept[-1], int):
        kept.pop()
    return "/".join(map(str, kept if len(kept) == len(names) else [*kept, "#"]))


def numpy_stream(root: int, *names: str | int) -> "numpy.random.Generator":
    """NumPy generator (PCG64) of the named stream; imports NumPy only when called."""
    import numpy

    return numpy.random.Generator(numpy.random.PCG64(stream_seed(root, *names)))


def torch_stream(root: int, *names: str | int) -> "torch.Generator":
    """CPU torch generator of the named stream; imports torch only when called."""
    import torch

    return torch.Generator().manual_seed(stream_seed(root, *names))


def random_cycle(n: int, generator: "torch.Generator") -> "torch.Tensor":
    """A random permutation of 0 .. n-1 that is a single cycle, so that no element keeps its place.

    For n = 1 it is the identity. Source: Sattolo 1986.
    """
    import torch

    order = torch.randperm(n, generator=generator)
    partner = torch.empty_like(order)
    partner[order] = order.roll(-1)
    return partner
