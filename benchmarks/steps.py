"""Time and memory of a training step on the processor: every contestant at every size."""

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from benchmarks.job import LARGE, MIDDLE, SMALL, Job, Size
from benchmarks.rounds import Measured, jobs_of, measure, planned_steps

log = logging.getLogger(__name__)

SIZES = (SMALL, MIDDLE, LARGE)
ON_CPU = (
    "encoder_product", "fispace_sae", "fispace_sae_float32", "fispace_like_saelens",
    "fispace_sae_bias", "fispace_joint",
    "sparsify", "saelens", "saelens_sparse", "dense_sae", "dense_joint",
)  # fmt: skip
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
