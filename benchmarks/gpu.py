"""`python -m benchmarks.gpu`: steps, memory and quality on one GPU, and the page made of them.

Everything is drawn here, so that it runs on a machine that holds nothing but the code. Contestants run one
after the other, each in a process of its own, since they share one memory.
"""

import argparse
import logging
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.console import exit_code
from benchmarks.drawn import HELD_OUT, world_of
from benchmarks.job import LARGE, PAPER, Job, Size, factory_of
from benchmarks.machine import machine
from benchmarks.publish import publish_gpu
from benchmarks.rounds import WorkerDiedError, jobs_of, measure, planned_steps
from benchmarks.steps import LR, Rounds, Rows, memory_rows, step_rows
from benchmarks.summary import gpu_page
from benchmarks.tables import read_tables, table_of, write_tables
from benchmarks.worker import set_environment
from fispace.devices import device_of
from fispace.stats.metrics import FvuSums
from fispace.store.files import read_json, write_json, write_text

log = logging.getLogger(__name__)

OUT = Path("results/bench-gpu")
GPU_TABLES = ("steps", "memory", "quality")
CONTESTANTS = (
    "encoder_product", "fispace_sae", "fispace_joint", "sparsify", "saelens", "saelens_float32",
    "fispace_joint_float32",
)  # fmt: skip
TRAINED = ("fispace_sae_bias", "fispace_like_saelens", "sparsify", "saelens")
"""All with a decoder bias, none with an auxiliary loss."""
ROUNDS = Rounds(n_warmup=3, n_rounds=9)
TINY = Size(64, 512, k=16, d_embed=8, batch_tokens=256)
"""For a run on the processor, which shows that this script works."""


class Plan(NamedTuple):
    """What is measured."""

    sizes: tuple[Size, ...]
    quality_size: Size
    n_steps: int
    """Of a training whose quality is measured."""
    n_tested: int
    """Held-out batches."""
    lrs: tuple[float, ...]


ON_GPU = Plan((LARGE, PAPER), LARGE, 1500, 8, (1e-3, 3e-3))
ON_CPU = Plan((TINY,), TINY, 20, 2, (1e-3,))


def main() -> int:
    """Run the benchmark; returns the exit code."""
    options = _parser().parse_args()
    if options.publish:
        return exit_code(lambda: publish_gpu(options.out))
    contestants = options.contestant or CONTESTANTS + TRAINED
    return exit_code(lambda: run(options.device, options.out, contestants))


def run(name: str, out: Path, contestants: Sequence[str]) -> None:
    """Measure on a device, and write tables and page; each table as soon as it is there."""
    device = device_of(name).type
    plan = ON_GPU if device == "cuda" else ON_CPU
    write_json(out / "machine.json", machine())
    rows: dict[str, Rows] = {name: [] for name in GPU_TABLES}
    for size in plan.sizes:
        steps, memory = measure_size(size, device, [c for c in CONTESTANTS if c in contestants])
        rows["steps"] += steps
        rows["memory"] += memory
        _write(out, rows)
    for contestant in (c for c in TRAINED if c in contestants):
        rows["quality"] += _in_fresh_process(plan, device, contestant)
        _write(out, rows)


def _write(out: Path, rows: dict[str, Rows]) -> None:
    """Tables and page of what is measured so far: a card is lent for minutes."""
    write_tables(out, {name: table_of(name, of) for name, of in rows.items()})
    tables = read_tables(out, GPU_TABLES)
    write_text(out / "table.md", gpu_page(tables, read_json(out / "machine.json")))


def measure_size(size: Size, device: str, contestants: Sequence[str]) -> tuple[Rows, Rows]:
    """Rows of steps.csv and of memory.csv; a contestant that does not fit has none."""
    steps: Rows = []
    memory: Rows = []
    plan = Job("", size, planned_steps(*ROUNDS), LR, seed=0, device=device, is_bf16=True)
    for name, job in jobs_of(contestants, plan).items():
        try:
            measured = measure({name: job}, *ROUNDS)
        except WorkerDiedError as error:
            log.warning("%s", error)
            continue
        steps += step_rows(device, size, measured)
        memory += memory_rows(device, size, measured)
    return steps, memory


def _in_fresh_process(plan: Plan, device: str, contestant: str) -> Rows:
    set_environment()
    try:
        with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
            return pool.submit(train_and_test, plan, device, contestant).result()
    except Exception as error:
        log.warning("%s was not trained: %s", contestant, error)
        return []


def train_and_test(plan: Plan, device: str, contestant: str) -> Rows:
    """Train a contestant at every rate; FVU on batches that it has not seen."""
    size = plan.quality_size
    world = world_of(size, device)
    rows: Rows = []
    for lr in plan.lrs:
        job = Job(contestant, size, plan.n_steps, lr, 0, device, is_bf16=True)
        model = factory_of(contestant)(job)
        start = time.perf_counter()
        model.train(world.batches(size, 0, plan.n_steps))
        if device == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        sums = FvuSums(size.d_model, torch.device(device))
        for z in world.batches(size, HELD_OUT, plan.n_tested):
            sums.add(z, model.reconstruct(z).detach().float())
        log.info("%s, lr %g: FVU %.5f, %.1f s", contestant, lr, sums.fvu, seconds)
        rows.append(_quality_row(job, sums.fvu, seconds))
    return rows


def _quality_row(job: Job, fvu: float, seconds: float) -> dict[str, Any]:
    size = job.size
    return {
        "run": "drawn", "contestant": job.contestant, "d_model": size.d_model,
        "n_latents": size.n_latents, "k": size.k, "batch_tokens": size.batch_tokens,
        "n_tokens": job.n_steps * size.batch_tokens, "lr": job.lr, "seed": job.seed, "fvu": fvu,
        "seconds": seconds,
    }  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT, help="folder of results")
    parser.add_argument("--device", default="cuda", help="cpu: small sizes, to try the script")
    parser.add_argument(
        "--contestant", action="append", choices=sorted({*CONTESTANTS, *TRAINED}),
        help="measure only this one; may be given more than once",
    )  # fmt: skip
    parser.add_argument(
        "--publish", action="store_true", help="copy the results to where git keeps them"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
