"""A whole factorial chapter on a tiny random LM: battery, training, and every step's files."""

import csv
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from train.records import record_of

from fispace.chapters.factorial.activations import read_stimuli
from fispace.chapters.factorial.battery import write_battery
from fispace.chapters.factorial.clamp import clamp_latents
from fispace.chapters.factorial.discover import discover
from fispace.chapters.factorial.generate import generate_texts
from fispace.chapters.factorial.infer import infer
from fispace.chapters.factorial.pairs import list_pairs
from fispace.chapters.factorial.responses import measure_responses
from fispace.chapters.factorial.secondary import train_secondary
from fispace.chapters.factorial.single_latent_response import measure_single_latent_response
from fispace.lm.hooks import read_activations
from fispace.lm.load import load_lm
from fispace.models.trained import initial_model
from fispace.store.checkpoint import save_checkpoint
from fispace.store.files import sha256_of, write_json
from fispace.store.shards import activation_table, shard_name, write_shard
from fispace.store.standardiser import fit_moments
from fispace.study.config.extract import SpecialTokensConfig
from fispace.study.config.factorial import (
    BatteryActivationsStep,
    BatteryStep,
    ClampStep,
    DiscoverStep,
    FactorConfig,
    GenerateStep,
    GenerationConfig,
    InferStep,
    PairsStep,
    ResponsesStep,
    SecondaryStep,
    SingleLatentStep,
)
from fispace.study.config.hypotheses import EquivalenceConfig, ExclusionConfig, Hypothesis
from fispace.study.config.lm import LmConfig
from fispace.study.config.train import InitConfig

AS_MARKED = SpecialTokensConfig(add=(), exempt=())
FACTORS = (
    FactorConfig(name="register", levels=("formal", "casual")),
    FactorConfig(name="affect", levels=("neutral", "emotional")),
)
CELLS = list(product(*(factor.levels for factor in FACTORS)))


def write_csv(path: Path, header: list[str], rows: list[tuple]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def write_stimuli(folder: Path, n_items: int) -> Path:
    rng = np.random.default_rng(0)
    rows = []
    for item in range(n_items):
        frame = rng.integers(20, 60, size=6)
        for place, cell in enumerate(CELLS):
            words = [f"w{i}" for i in (*frame, place, 4 + place)]
            rows.append((f"i{item:02d}", f"frame {item}", *cell, " ".join(words)))
    write_csv(folder / "stimuli.csv", ["item", "frame", "register", "affect", "text"], rows)
    words = [(f"w{3 * i + j}", *cell) for i, cell in enumerate(CELLS) for j in range(3)]
    write_csv(folder / "responses.csv", ["word", "register", "affect"], words)
    prompts = [(" ".join(f"w{i}" for i in rng.integers(20, 60, size=4)),) for _ in range(8)]
    write_csv(folder / "prompts.csv", ["prompt"], prompts)
    return folder


def write_model(folder: Path, lm: LmConfig, arm_parts: list[str]) -> None:
    """Activation store, standardiser and a checkpoint of random weights on the LM."""
    model, _ = load_lm(lm, None)
    ids = torch.randint(3, 60, (60, 20), generator=torch.Generator().manual_seed(1))
    x = read_activations(model, lm.hook_point, ids, torch.ones_like(ids)).flatten(0, 1)
    d_model = x.shape[1]
    shards = {}
    for split in ("train", "val", "test"):
        columns = {"is_special": np.zeros(len(x), bool), "token_id": ids.numpy().ravel()}
        path = folder / shard_name(split, 1, 1)
        write_shard(path, activation_table(x.numpy(), columns, "float32"), 200, {})
        entry = {"file": path.name, "n_rows": len(x), "n_special": 0, "sha256": sha256_of(path)}
        shards[split] = [entry]
    write_json(folder / "manifest.json", {"d_model": d_model, "shards": shards})
    fit_moments([x.numpy()], "refuse").save(folder / "standardiser.safetensors", {})
    record = record_of(
        "joint", {"parts": arm_parts}, d_model,
        folder / "manifest.json", folder / "standardiser.safetensors",
        n_latents=40, k=6, d_embed=6, dropout=0.1, root_seed=0,
        init=InitConfig(factors=0.5, linear=0.1, mlp=0.7),
    )  # fmt: skip
    weights = initial_model(record).state_dict()
    save_checkpoint(folder / "weights.safetensors", weights, record.plain())
    write_json(folder / "lr.json", {"lr": 3e-3})


Factors = tuple[FactorConfig, ...]


def prepare(at: SimpleNamespace, battery: Path, factors: Factors = FACTORS) -> None:
    """The chapter's tables of the battery."""
    write_battery(
        BatteryStep(
            factors=factors, variant=None, select_fraction=0.5, clamp_items=None, root_seed=0
        ),
        stimuli=battery / "stimuli.csv",
        responses=battery / "responses.csv",
        prompts=battery / "prompts.csv",
        item_table=at.items,
        words=at.words,
        contexts=at.contexts,
    )


def read_texts(at: SimpleNamespace, lm: LmConfig, n_contexts: int = 3, n_tokens: int = 4) -> None:
    """The LM's activations on the battery, with room for continuations of its first contexts."""
    read_stimuli(
        BatteryActivationsStep(
            lm=lm,
            window_tokens=128,
            add_bos=True,
            special_tokens=AS_MARKED,
            batch_windows=16,
            threads=1,
            device="cpu",
        ),
        item_table=at.items,
        contexts=at.contexts,
        lm_folder=None,
        n_contexts=n_contexts,
        n_tokens=n_tokens,
        select=at.select,
        confirm=at.confirm,
    )


def run_chapter(
    folder: Path, lm_folder: Path, battery: Path | None = None, factors: Factors = FACTORS
) -> SimpleNamespace:
    """Paths of everything that the chapter writes, on a battery of its own or on the one given."""
    lm = LmConfig(name=str(lm_folder), revision=None, dtype="float32", hook_point=1)
    write_model(folder, lm, ["sae", "linear", "bias", "interaction"])
    battery = battery or write_stimuli(folder / "battery", 12)
    at = paths(folder)
    prepare(at, battery, factors)
    read_texts(at, lm)
    sites = ((at.secondary, at.curve, at.quality), (at.residual, at.res_curve, at.res_quality))
    for site, (sae, curve, quality) in zip(("secondary", "residual"), sites, strict=True):
        train_secondary(
            secondary_step(), site=site, weights=at.weights, lr=at.lr, manifest=at.manifest,
            standardiser=at.standardiser, scratch=folder / "scratch", checkpoint_seconds=60.0,
            secondary=sae, curve=curve, quality=quality,
        )  # fmt: skip
    measure_responses(
        ResponsesStep(batch_tokens=100, threads=1, device="cpu"),
        item_table=at.items,
        weights=at.weights,
        standardiser=at.standardiser,
        secondary=at.secondary,
        residual=at.residual,
        select=at.select,
        confirm=at.confirm,
        select_responses=at.select_responses,
        confirm_responses=at.confirm_responses,
    )
    discover(
        DiscoverStep(factors=factors, alpha=0.05, n_candidates=2, n_permutations=200, root_seed=0),
        responses=at.select_responses,
        discovery=at.discovery,
        candidates=at.candidates,
    )
    clamp_latents(
        clamp_step(lm, factors), lm_folder=None, weights=at.weights, standardiser=at.standardiser,
        secondary=at.secondary, candidates=at.candidates, words=at.words, contexts=at.contexts,
        select=at.select, effects=at.effects, planted=at.planted, checks=at.checks,
    )  # fmt: skip
    list_pairs(
        PairsStep(n_pairs=5, threads=1, device="cpu"),
        weights=at.weights,
        standardiser=at.standardiser,
        secondary=at.secondary,
        candidates=at.candidates,
        select=at.select,
        pairs=at.pairs,
    )
    generate_texts(
        GenerateStep(
            lm=lm,
            add_bos=True,
            generation=GenerationConfig(
                n_contexts=3, n_tokens=4, temperature=1.0, clamps=(1.0, 4.0)
            ),
            add_back_errors=True,
            root_seed=0,
            threads=1,
            device="cpu",
        ),
        lm_folder=None,
        weights=at.weights,
        standardiser=at.standardiser,
        secondary=at.secondary,
        candidates=at.candidates,
        words=at.words,
        contexts=at.contexts,
        texts=at.texts,
        counts=at.counts,
    )
    measure_single_latent_response(
        SingleLatentStep(histogram_bins=10, threads=1, device="cpu"),
        item_table=at.items,
        weights=[at.weights],
        standardiser=at.standardiser,
        secondary=[at.secondary],
        discovery=[at.discovery],
        confirm=at.confirm,
        singles=at.singles,
        histogram=at.histogram,
    )
    infer(
        infer_step(factors), candidates=[at.candidates], responses=[at.confirm_responses],
        effects=[at.effects], planted=[at.planted], quality=[at.quality, at.res_quality],
        checks=[at.checks], family=at.family, table=at.table, hypotheses=at.hypotheses,
        activation_cells=at.activation_cells, cells=at.cells, points=at.points, fits=at.fits,
        secondary=at.summary,
    )  # fmt: skip
    at.lm = lm
    return at


def secondary_step() -> SecondaryStep:
    values = {
        "expansion": 5, "k": 3, "n_tokens": 4000, "standardiser_tokens": 500, "batch_tokens": 100,
        "lr_end_fraction": 0.1, "lr_decay_fraction": 0.8, "adam_betas": [0.9, 0.999],
        "optimiser": "adam", "adam_eps": 1e-8, "grad_clip": 1.0, "pool_groups": 2,
        "log_every": 10, "val_every": 20, "root_seed": 0, "threads": 1, "device": "cpu",
    }  # fmt: skip
    return SecondaryStep.read(values, "factorial")


def clamp_step(lm: LmConfig, factors: Factors = FACTORS) -> ClampStep:
    return ClampStep(
        lm=lm,
        factors=factors,
        add_bos=True,
        clamps=(-4.0, 0.0, 1.0, 4.0),
        quantiles=(0.5,),
        n_candidates=2,
        add_back_errors=True,
        batch_contexts=32,
        root_seed=0,
        threads=1,
        device="cpu",
    )


def infer_step(factors: Factors = FACTORS) -> InferStep:
    controls = ("insensitive", "random", "direction", "primary_direction", "linear")
    families = {
        "activation": Hypothesis(
            response="activation", kinds=("candidate", "primary", "residual"), expected="effect"
        ),
        "clamping": Hypothesis(
            response="clamp_slope", kinds=("candidate", "primary", "main"), expected="effect"
        ),
        "planted": Hypothesis(response="planted_slope", kinds=("candidate",), expected="effect"),
        "controls": Hypothesis(response="clamp_slope", kinds=controls, expected="none"),
    }
    return InferStep(
        factors=factors,
        clamps=(-4.0, 0.0, 1.0, 4.0),
        alpha=0.05,
        n_permutations=200,
        hypotheses=families,
        equivalence=EquivalenceConfig(activation=0.5, clamp_slope=0.01, planted_slope=0.01),
        exclusions=ExclusionConfig(min_active_share=0.05),
        root_seed=0,
    )


def paths(folder: Path) -> SimpleNamespace:
    names = {
        "items": "csv", "words": "csv", "contexts": "csv", "select": "parquet",
        "confirm": "parquet", "secondary": "safetensors", "curve": "parquet", "quality": "parquet",
        "select_responses": "parquet", "confirm_responses": "parquet", "discovery": "parquet",
        "candidates": "csv", "effects": "parquet", "checks": "parquet", "singles": "csv",
        "histogram": "csv", "family": "parquet", "table": "csv", "cells": "csv", "points": "csv",
        "summary": "csv", "residual": "safetensors", "res_curve": "parquet",
        "res_quality": "parquet", "planted": "parquet", "pairs": "csv", "texts": "parquet",
        "counts": "csv", "hypotheses": "csv", "activation_cells": "csv", "fits": "csv",
        "weights": "safetensors", "standardiser": "safetensors",
        "manifest": "json", "lr": "json",
    }  # fmt: skip
    return SimpleNamespace(**{name: folder / f"{name}.{end}" for name, end in names.items()})
