"""The data path: does the loader outrun the fastest arm, the extraction the model, and in what memory?

Rates are tokens a second on one thread, medians of rounds in which the two that are compared take turns.
"""

import json
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.activations import load_split
from benchmarks.contestants.fispace_arms import Arm
from benchmarks.job import Job, Size
from benchmarks.memory import peak_mib
from benchmarks.quality import MORE_LATENTS_PER_DIMENSION
from benchmarks.rounds import take_turns
from benchmarks.steps import Rounds, Rows
from benchmarks.worker import THREADS
from fispace.lm.hooks import logits, read_activations
from fispace.lm.load import load_lm
from fispace.models.topk import encode_top_k
from fispace.store.activations import ActivationStore
from fispace.store.batches import prefetched
from fispace.store.files import sha256_of, write_json
from fispace.store.shards import activation_table, write_shard
from fispace.study.config.lm import LmConfig

log = logging.getLogger(__name__)

BATCH_TOKENS, K, LATENTS_PER_DIMENSION = 1024, 32, 12  # the default study's
BATCHES_A_ROUND = 20
POOL_GROUPS, ROW_GROUP_TOKENS = 16, 8192
BATCHES_A_POOL = POOL_GROUPS * ROW_GROUP_TOKENS // BATCH_TOKENS
WINDOWS, WINDOW_TOKENS = 32, 128
LARGE_GIB, LARGE_D_MODEL, LARGE_SHARDS = 8, 128, 16
LARGE_STEPS = 300


class Timed:
    """A piece of work that takes turns; `work` returns the number of its tokens."""

    def __init__(self, work: Callable[[], int]) -> None:
        """Nothing is done yet."""
        self.work = work
        self.n_tokens = 0

    def step(self) -> float:
        """Seconds of one piece of work."""
        start = time.perf_counter()
        self.n_tokens = self.work()
        return time.perf_counter() - start


def measure_data(manifest: Path, lm: LmConfig, rounds: Rounds) -> Rows:
    """Rows of data.csv: loader beside training, extraction beside the forward pass, memory."""
    torch.set_num_threads(THREADS)
    loading = {
        "loader": Timed(loading_work(manifest)),
        "fastest arm": Timed(training_work(manifest)),
    }
    rows = _rates(loading, rounds) + selection_rows(manifest)
    with tempfile.TemporaryDirectory() as folder:
        rows += _rates(extraction_pair(lm, Path(folder)), rounds)
    with tempfile.TemporaryDirectory() as folder:
        rows += memory_rows(Path(folder))
    return rows


def _rates(pair: dict[str, Timed], rounds: Rounds) -> Rows:
    seconds = take_turns(pair, rounds.n_warmup, rounds.n_rounds)
    medians = {name: float(np.median(taken)) for name, taken in seconds.items()}
    rows = [
        {"what": name, "quantity": "tokens_per_s", "value": pair[name].n_tokens / medians[name]}
        for name in pair
    ]
    for row in rows:
        log.info("%s: %.0f tokens a second", row["what"], row["value"])
    return rows


def loading_work(manifest: Path) -> Callable[[], int]:
    """The batches of one pool, read from the shards, checked, converted, shuffled, and not used."""
    store = ActivationStore(manifest)
    batches = store.shuffled_batches("train", BATCH_TOKENS, POOL_GROUPS, (0, "bench"))

    def work() -> int:
        return sum(len(batch) for batch in islice(batches, BATCHES_A_POOL))

    return work


def training_work(manifest: Path) -> Callable[[], int]:
    """Steps of the plain SAE at the default study's size, on batches that are already in memory."""
    z = load_split(manifest, "val")[: BATCH_TOKENS * 8]
    size = Size(z.shape[1], LATENTS_PER_DIMENSION * z.shape[1], K, 1, BATCH_TOKENS)
    batches = [batch for batch in z.split(BATCH_TOKENS) if len(batch) == BATCH_TOKENS]
    arm = Arm(Job("fispace_sae", size, BATCHES_A_ROUND, 1e-3, 0), ("sae",))

    def work() -> int:
        arm.train(batches[i % len(batches)] for i in range(BATCHES_A_ROUND))
        return BATCHES_A_ROUND * BATCH_TOKENS

    return work


def selection_rows(manifest: Path) -> Rows:
    """Share of the latents chosen in float32 that the choice in bfloat16 shares, after a training."""
    z = load_split(manifest, "val")
    size = Size(z.shape[1], MORE_LATENTS_PER_DIMENSION * z.shape[1], K, 1, BATCH_TOKENS)
    arm = Arm(Job("fispace_sae", size, LARGE_STEPS, 1e-2, 0), ("sae",))
    batches = [batch for batch in z.split(BATCH_TOKENS) if len(batch) == BATCH_TOKENS]
    arm.train(batches[i % len(batches)] for i in range(LARGE_STEPS))
    sae = arm.model.sae
    with torch.no_grad():
        exact, picked = (
            encode_top_k(z, sae.W_enc, sae.b_enc, K, topk_dtype).indices
            for topk_dtype in ("float32", "bfloat16")
        )
    shared = (exact[:, :, None] == picked[:, None, :]).any(2).double().mean().item()
    return [{"what": "bfloat16 choice", "quantity": "overlap", "value": shared}]


def extraction_pair(lm: LmConfig, folder: Path) -> dict[str, Timed]:
    """The model's whole forward pass, and reading its hook point and writing a shard of it."""
    model, _ = load_lm(lm, None)
    generator = torch.Generator().manual_seed(0)
    shape = (WINDOWS, WINDOW_TOKENS)
    ids = torch.randint(model.config.vocab_size, shape, generator=generator)
    mask = torch.ones_like(ids)
    n_tokens = ids.numel()
    columns = {
        "document_id": np.arange(n_tokens),
        "position": np.zeros(n_tokens, np.int32),
        "is_special": np.zeros(n_tokens, bool),
    }

    def forward() -> int:
        logits(model, ids, mask)
        return n_tokens

    def extract() -> int:
        found = read_activations(model, lm.hook_point, ids, mask).float().numpy()
        table = activation_table(found.reshape(n_tokens, -1), columns, "float16")
        write_shard(folder / "shard.parquet", table, ROW_GROUP_TOKENS, {})
        return n_tokens

    return {"extraction": Timed(extract), "bare forward pass": Timed(forward)}


def memory_rows(folder: Path) -> Rows:
    """Peak memory of a fresh process that reads and trains on more activations than it may hold."""
    manifest = write_large_store(folder)
    gib = sum(path.stat().st_size for path in folder.rglob("*.parquet")) / 2**30
    command = [sys.executable, "-m", "benchmarks.data", str(manifest)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    log.info("%.1f GiB of activations: peak %.0f MiB", gib, found["peak_mib"])
    whole = {"what": "activations on disk", "quantity": "gib", "value": gib}
    peak = {"what": "loader and trainer", "quantity": "peak_mib", "value": found["peak_mib"]}
    epoch = {"what": "an epoch of it", "quantity": "tokens_per_s", "value": found["tokens_per_s"]}
    return [whole, peak, epoch]


def write_large_store(folder: Path) -> Path:
    """A store of random activations, its shards written one after the other."""
    n_rows = LARGE_GIB * 2**30 // (2 * LARGE_D_MODEL * LARGE_SHARDS)
    rng = np.random.default_rng(0)
    block = rng.standard_normal((ROW_GROUP_TOKENS, LARGE_D_MODEL), np.float32)
    entries: list[dict[str, Any]] = []
    for number in range(1, LARGE_SHARDS + 1):
        x = np.resize(np.roll(block, number, axis=1), (n_rows, LARGE_D_MODEL))
        columns = {
            "document_id": np.arange(n_rows),
            "position": np.zeros(n_rows, np.int32),
            "is_special": np.zeros(n_rows, bool),
        }
        path = folder / "train" / f"shard-{number}-of-{LARGE_SHARDS}.parquet"
        write_shard(path, activation_table(x, columns, "float16"), ROW_GROUP_TOKENS, {})
        entry = {"file": path.name, "n_rows": n_rows, "n_special": 0, "sha256": sha256_of(path)}
        entries.append(entry)
    manifest = {"d_model": LARGE_D_MODEL, "shards": {"train": entries}}
    write_json(folder / "manifest.json", manifest)
    return folder / "manifest.json"


def read_and_train(manifest: Path) -> dict[str, float]:
    """One epoch through the loader, then some steps of the joint arm on it; peak memory of both."""
    torch.set_num_threads(THREADS)
    store = ActivationStore(manifest)
    n_batches = store.n_tokens("train") // BATCH_TOKENS
    start = time.perf_counter()
    for _ in _batches(store, n_batches):
        pass
    seconds = time.perf_counter() - start
    size = Size(store.d_model, LATENTS_PER_DIMENSION * store.d_model, K, K, BATCH_TOKENS)
    parts = ("sae", "linear", "bias", "interaction")
    Arm(Job("fispace_joint", size, LARGE_STEPS, 1e-3, 0), parts).train(_batches(store, LARGE_STEPS))
    return {"peak_mib": peak_mib("cpu"), "tokens_per_s": n_batches * BATCH_TOKENS / seconds}


def _batches(store: ActivationStore, n_batches: int) -> Iterator[torch.Tensor]:
    rows = store.shuffled_batches("train", BATCH_TOKENS, POOL_GROUPS, (0, "bench"))
    return prefetched((torch.from_numpy(x) for x in islice(rows, n_batches)), 4)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(read_and_train(Path(sys.argv[1]))))
