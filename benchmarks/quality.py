"""Quality beside speed: the same activations, order, K, learning rate and steps for every TopK SAE.

Every contestant has a decoder bias and none an auxiliary loss. What the tools do not let one set
(initial weights, centring of the input, unit-norm decoder rows, clipping) is as each tool has it.
"""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.activations import load_split, shuffled_batches
from benchmarks.job import Job, Size, factory_of
from benchmarks.steps import Rows
from benchmarks.worker import THREADS, set_environment
from fispace.stats.metrics import FvuSums
from fispace.store.activations import ActivationStore

log = logging.getLogger(__name__)

CONTESTANTS = (
    "fispace_sae_bias", "fispace_sae_bias_subtracted", "fispace_like_saelens",
    "fispace_sae_bias_bfloat16", "fispace_sae_bias_row_sparse",
    "sparsify", "saelens", "saelens_sparse",
)  # fmt: skip
LATENTS_PER_DIMENSION = 16
OF_MORE_LATENTS = ("fispace_sae_bias_float32", "fispace_sae_bias_bfloat16")
"""With more latents, of which a choice in bfloat16 is for: whether it costs quality."""
MORE_LATENTS_PER_DIMENSION = 64
EVALUATED_TOKENS = 4096  # at a time


@dataclass(frozen=True)
class Training:
    """What all contestants share."""

    n_tokens: int
    batch_tokens: int
    k: int
    lrs: tuple[float, ...]
    seeds: tuple[int, ...]

    @property
    def n_steps(self) -> int:
        """Steps of one training."""
        return self.n_tokens // self.batch_tokens


class Outcome(NamedTuple):
    """Result of one training."""

    fvu: float
    """On the test split, documents that no contestant was trained on."""
    seconds: float


def measure_quality(manifest: Path, training: Training) -> Rows:
    """Rows of quality.csv for the activations of one study; each training in a fresh process."""
    few = _at_size(manifest, training, LATENTS_PER_DIMENSION, CONTESTANTS)
    return few + _at_size(manifest, training, MORE_LATENTS_PER_DIMENSION, OF_MORE_LATENTS)


def _at_size(
    manifest: Path, training: Training, latents_per_dimension: int, contestants: Sequence[str]
) -> Rows:
    d_model = ActivationStore(manifest).d_model
    size = Size(d_model, latents_per_dimension * d_model, training.k, 1, training.batch_tokens)
    rows: Rows = []
    for lr, seed, name in product(training.lrs, training.seeds, contestants):
        job = Job(name, size, training.n_steps, lr, seed)
        outcome = _in_fresh_process(job, manifest)
        log.info("%s, lr %g, seed %d: FVU %.5f", name, lr, seed, outcome.fvu)
        rows.append(
            {
                "run": manifest.parent.parent.name, "contestant": name,
                "d_model": d_model, "n_latents": size.n_latents, "k": size.k,
                "batch_tokens": size.batch_tokens, "n_tokens": training.n_steps * size.batch_tokens,
                "lr": lr, "seed": seed, "fvu": outcome.fvu, "seconds": outcome.seconds,
            }
        )  # fmt: skip
    return rows


def _in_fresh_process(job: Job, manifest: Path) -> Outcome:
    set_environment()
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(train_and_test, job, manifest).result()


def train_and_test(job: Job, manifest: Path) -> Outcome:
    """Train a contestant on the train split; FVU on the test split."""
    torch.set_num_threads(THREADS)
    contestant = factory_of(job.contestant)(job)
    train, test = load_split(manifest, "train"), load_split(manifest, "test")
    batches = shuffled_batches(train, job.size.batch_tokens, job.n_steps, job.seed)
    start = time.perf_counter()
    contestant.train(batches)
    seconds = time.perf_counter() - start
    sums = FvuSums(job.size.d_model)
    for z in test.split(EVALUATED_TOKENS):
        sums.add(z, contestant.reconstruct(z).detach())
    return Outcome(sums.fvu, seconds)
