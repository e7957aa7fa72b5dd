"""A small store and trainings on it."""

import json
from pathlib import Path

import numpy as np

from fispace.chapters.train.arm import train_arm
from fispace.store.activations import ActivationStore
from fispace.store.files import sha256_of, write_json
from fispace.store.shards import activation_table, write_shard
from fispace.store.standardiser import fit_moments
from fispace.study.config.train import InitConfig, TrainArmStep

D_MODEL = 8


def arm_row(parts: list[str], **options: str | None) -> dict:
    """Row of a published arm, with the given options changed."""
    pooling = "pairs" if "interaction" in parts else None
    published = {"frozen_sae_from": None, "pooling": pooling, "matched_to": None}
    return {"parts": parts} | published | options


SAE = arm_row(["sae"])
JOINT = arm_row(["sae", "linear", "bias", "interaction"])
SEQUENTIAL = JOINT | {"frozen_sae_from": "sae"}

PARAMS = TrainArmStep(
    n_latents=32,
    k=4,
    d_embed=3,
    dropout=0.15,
    batch_tokens=64,
    n_tokens=64 * 60,
    lr_end_fraction=0.1,
    lr_decay_fraction=0.8,
    adam_betas=(0.9, 0.999),
    adam_eps=1e-8,
    optimiser="adam",
    topk_dtype="float32",
    select_by="pre_activation",
    subtract_bias=False,
    cuda_dtype="float32",
    tuned=False,
    aux_k=None,
    standardise_per="split",
    prefetch_batches=2,
    grad_clip=1.0,
    init=InitConfig(factors=0.05, linear=0.01, mlp=0.01),
    interaction_mean_tokens=10**6,
    pool_groups=2,
    log_every=20,
    val_every=30,
    root_seed=5,
    threads=1,
    device="cpu",
)


def write_store(tmp_path: Path) -> Path:
    """A store of sparse non-negative combinations with a pairwise term, one shard per split."""
    rng = np.random.default_rng(0)
    directions, pair = rng.normal(size=(12, D_MODEL)), rng.normal(size=D_MODEL)
    shards = {}
    for split, n in (("train", 1500), ("val", 300), ("test", 300)):
        a = (rng.random((n, 12)) < 0.2) * rng.random((n, 12))
        x = (a @ directions + 3 * (a[:, :1] * a[:, 1:2]) * pair + 5).astype(np.float32)
        columns = {"document_id": np.arange(n), "position": np.ones(n, np.int32),
                   "is_special": np.arange(n) % 50 == 0}  # fmt: skip
        path = tmp_path / split / "shard-1-of-1.parquet"
        write_shard(path, activation_table(x, columns, "float32"), 256, {})
        shards[split] = [{"file": path.name, "n_rows": n, "n_special": int(columns["is_special"].sum()),
                          "sha256": sha256_of(path)}]  # fmt: skip
    write_json(tmp_path / "manifest.json", {"d_model": D_MODEL, "shards": shards})
    units = fit_moments(ActivationStore(tmp_path / "manifest.json").groups("train"), "refuse")
    units.save(tmp_path / "standardiser.safetensors", {})
    write_json(tmp_path / "lr.json", {"lr": 0.01})
    return tmp_path


def run(
    store: Path, arm: str, row: dict, seed=0, params=PARAMS, frozen=None, folder="out", seconds=60.0,
    *, matched_row=None, changed=None,
):  # fmt: skip
    out = store / folder
    train_arm(
        params, arm=arm, row=json.dumps(row), seed=seed, chosen=store / "lr.json",
        matched_row=None if matched_row is None else json.dumps(matched_row), 
        changed=None if changed is None else json.dumps(changed),
        manifest=store / "manifest.json", standardiser=store / "standardiser.safetensors",
        frozen=frozen, scratch=store / "scratch" / arm, checkpoint_seconds=seconds,
        weights=out / f"{arm}.safetensors", curve=out / f"{arm}.parquet",
        lifecycle=out / f"{arm}.lifecycle.parquet",
    )  # fmt: skip
    return out / f"{arm}.safetensors"
