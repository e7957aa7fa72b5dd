"""Where a job computes: on the processor, or on one CUDA device; and that equal jobs give equal bytes.

Random numbers of named streams are always drawn on the processor, so that every device starts from the
same weights and the same noise. Must not: move tensors of a chapter; each moves its own.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from fispace.errors import ParamsError

CPU = torch.device("cpu")
WORKSPACE = ":4096:8"
"""Memory with which cuBLAS multiplies matrices in the same way each time (CUBLAS_WORKSPACE_CONFIG)."""


def device_of(name: str) -> torch.device:
    """The device with the name of the parameter `device`: auto is the first CUDA device, or else the processor.

    Raises:
        ParamsError: if the device is not there; the message names those that are.
    """
    n_devices = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not n_devices):
        return CPU
    number = int(name.removeprefix("cuda").removeprefix(":") or 0) if name != "auto" else 0
    if number >= n_devices:
        there = ", ".join(["cpu", *(f"cuda:{i}" for i in range(n_devices))])
        built = "" if torch.backends.cuda.is_built() else " This build of torch has no CUDA."
        raise ParamsError(
            f"device={name!r}: there is no such device here; there are: {there}.{built} Give one of "
            "them, or auto, with --config device=NAME."
        )
    return torch.device("cuda", number)


def device_label(device: torch.device) -> str:
    """What a record says of a device: cpu, or the name of the card."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def prepare(threads: int, device: str = "cpu") -> torch.device:
    """Set torch's threads and make its device deterministic; returns the device.

    Equal jobs on equal devices then give equal bytes. Torch's deterministic mode also fills every new
    tensor with NaN, a debugging aid against reads of uninitialised memory that would slow every step, so
    it is switched off here.

    Raises:
        ParamsError: if the device is not there.
    """
    found = device_of(device)
    torch.set_num_threads(threads)
    if found.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", WORKSPACE)
        torch.cuda.set_device(found)
    # use_deterministic_algorithms(True) sets the same switch, but also loads the compiler (1.5 seconds)
    torch.set_deterministic_debug_mode("error")
    setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010, untyped
    return found


@contextmanager
def in_any_order() -> Iterator[None]:
    """Inside the block a GPU may work in any order, which is faster.

    For sums of integers, and for writes to places that all differ: no order changes them.
    """
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("default")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)


def random_states(device: torch.device) -> dict[str, Tensor]:
    """States of torch's own random generators that a job on the device draws from, by name."""
    found = {"random": torch.get_rng_state()}
    if device.type == "cuda":
        found["random_cuda"] = torch.cuda.get_rng_state(device)
    return found


def set_random_states(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Set the generators to states that `random_states` returned."""
    torch.set_rng_state(states["random"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["random_cuda"], device)
