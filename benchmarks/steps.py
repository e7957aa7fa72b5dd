"""Time and memory of a training step: every contestant at every size, and the paper's size on a GPU."""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from benchmarks.job import LARGE, MIDDLE, PAPER, SMALL, Job, Size
from benchmarks.rounds import Measured, WorkerDiedError, jobs_of, measure, planned_steps

log = logging.getLogger(__name__)

SIZES = (SMALL, MIDDLE, LARGE)
ON_CPU = (
    "encoder_product", "fispace_sae", "fispace_sae_float32", "fispace_like_saelens",
    "fispace_sae_bias", "fispace_joint",
    "sparsify", "saelens", "saelens_sparse", "dense_sae", "dense_joint",
)  # fmt: skip
ON_CUDA = ("fispace_sae", "fispace_joint", "sparsify", "saelens")
LR = 1e-3


class Rounds(NamedTuple):
    """How often each contestant steps."""

    n_warmup: int
    n_rounds: int


Rows = list[dict[str, Any]]


def measure_cpu(sizes: tuple[Size, ...], rounds: Rounds) -> tuple[Rows, Rows]:
    """Rows of steps.csv and of memory.csv, all contestants of a size interleaved."""
    steps: Rows = []
    memory: Rows = []
    for size in sizes:
        log.info("steps at d_model %d, n_latents %d", size.d_model, size.n_latents)
        plan = Job("", size, planned_steps(*rounds), LR, seed=0)
        measured = measure(jobs_of(ON_CPU, plan), *rounds)
        steps += step_rows("cpu", size, measured)
        memory += memory_rows("cpu", size, measured)
    return steps, memory


def measure_cuda(rounds: Rounds) -> tuple[Rows, Rows]:
    """The same at the paper's size in bf16, one contestant after the other: they share one memory.

    Without a CUDA device there are no rows; a contestant that does not fit has none.
    """
    steps: Rows = []
    memory: Rows = []
    plan = Job("", PAPER, planned_steps(*rounds), LR, seed=0, device="cuda", is_bf16=True)
    for name, job in jobs_of(ON_CUDA, plan).items() if torch.cuda.is_available() else ():
        try:
            measured = measure({name: job}, *rounds)
        except WorkerDiedError as error:
            log.warning("%s", error)
            continue
        steps += step_rows("cuda", PAPER, measured)
        memory += memory_rows("cuda", PAPER, measured)
    return steps, memory


def step_rows(device: str, size: Size, measured: Mapping[str, Measured]) -> Rows:
    """One row for each contestant."""
    return [
        _keys(device, size, name)
        | {
            "n_rounds": len(found.seconds),
            "median_s": found.median_s,
            "min_s": min(found.seconds),
            "max_s": max(found.seconds),
            "tokens_per_s": size.batch_tokens / found.median_s,
        }
        for name, found in measured.items()
    ]


def memory_rows(device: str, size: Size, measured: Mapping[str, Measured]) -> Rows:
    """One row for each contestant."""
    return [
        _keys(device, size, name)
        | {
            "before_mib": found.memory.before,
            "peak_mib": found.memory.peak,
            "training_mib": found.memory.peak - found.memory.before,
        }
        for name, found in measured.items()
    ]


def _keys(device: str, size: Size, contestant: str) -> dict[str, Any]:
    return {"device": device, **vars(size), "contestant": contestant}
