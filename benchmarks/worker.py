"""A contestant in a process of its own: trained one step for every request, timed from outside it.

The iterator of batches is the clock: it starts when a tool is handed a batch and stops when the tool
asks for the next one, so every tool runs its own loop, unchanged, and all of that loop is counted.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from itertools import count
from multiprocessing.connection import Connection
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.job import Job, factory_of
from benchmarks.memory import peak_mib, reset_peak

STEP, STOP = "step", "stop"
THREADS = 1
ENVIRONMENT = {
    "OMP_NUM_THREADS": str(THREADS),
    "MKL_NUM_THREADS": str(THREADS),
    "TQDM_DISABLE": "1",
    "HF_HUB_OFFLINE": "1",
    "WANDB_MODE": "disabled",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # deterministic products on a GPU, which our arms ask for
}
"""Set before a worker starts, because libraries read it when they are loaded."""


class Memory(NamedTuple):
    """Resident memory of a worker on the CPU, or allocated memory of its device, in MiB."""

    before: float
    """Peak when the tool was imported, and no model made."""
    peak: float
    """Peak while the model was made and trained."""


class _Stopped(Exception):
    """Ends a tool's loop when the last measured step is done."""


def serve(connection: Connection, job: Job) -> None:
    """Build the contestant, then train it by request; answers each request with the step's seconds."""
    torch.set_num_threads(THREADS)
    with redirect_stdout(sys.stderr):  # some tools print
        build = factory_of(job.contestant)
        before = peak_mib(job.device)
        reset_peak(job.device)
        contestant = build(job)
        connection.send("ready")
        with suppress(_Stopped):
            contestant.train(_clocked_batches(connection, job))
        connection.send(Memory(before, peak_mib(job.device)))


def _clocked_batches(connection: Connection, job: Job) -> Iterator[Tensor]:
    """Batches by request, and the time until the next one is asked for."""
    for step in count():
        if connection.recv() == STOP:
            raise _Stopped
        z = speed_batch(job, step)
        start = _now(job.device)
        yield z
        connection.send(_now(job.device) - start)


def speed_batch(job: Job, step: int) -> Tensor:
    """The batch of a step, standard normal: the same for every contestant."""
    generator = torch.Generator().manual_seed(step)
    shape = (job.size.batch_tokens, job.size.d_model)
    return torch.randn(shape, generator=generator).to(job.device)


def _now(device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def set_environment() -> None:
    """One thread, no progress bars, no network, for this process and the workers it starts."""
    os.environ.update(ENVIRONMENT)
