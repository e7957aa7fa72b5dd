"""A tiny study of the fidelity chapter: a random LM, an extraction, and SAEs set by hand."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from train.records import record_of

from fispace.chapters.extract.activations import extract_activations
from fispace.chapters.extract.standardiser import fit_standardiser
from fispace.chapters.fidelity.ablation_baselines import measure_ablation_baselines
from fispace.chapters.fidelity.arm import evaluate_arm
from fispace.lm.hooks import logits
from fispace.lm.load import load_lm
from fispace.models.trained import initial_model
from fispace.seeds import numpy_stream
from fispace.store.checkpoint import save_checkpoint
from fispace.study.config.extract import (
    ExtractStep,
    SpecialTokensConfig,
    StandardiserStep,
    TextConfig,
)
from fispace.study.config.fidelity import FidelityArmStep, FidelityBaselinesStep
from fispace.study.config.lm import LmConfig

AS_MARKED = SpecialTokensConfig(add=(), exempt=())
D_MODEL, HOOK_POINT, N_DOCUMENTS = 16, 1, 60
ALL_PARTS = ["sae", "linear", "bias", "interaction"]


@dataclass
class Chapter:
    """Paths of a tiny study, and its two measuring commands."""

    folder: Path
    lm: LmConfig

    @property
    def inputs(self) -> dict[str, Any]:
        own = self.folder
        manifest, standardiser = own / "extract/manifest.json", own / "standardiser.safetensors"
        return {"manifest": manifest, "standardiser": standardiser, "lm_folder": None}

    def save_model(
        self, name: str, parts: list[str], change: Any, frozen_sae_from: str | None = None
    ) -> Path:
        """Checkpoint of an initial model after `change(model)`."""
        record = record_of(
            name, {"parts": parts, "frozen_sae_from": frozen_sae_from}, D_MODEL,
            self.inputs["manifest"], self.inputs["standardiser"],
            n_latents=2 * D_MODEL, k=D_MODEL, d_embed=3, dropout=0.0, root_seed=0,
        )  # fmt: skip
        model = initial_model(record)
        with torch.no_grad():
            change(model)
        path = self.folder / f"{name}.safetensors"
        save_checkpoint(path, model.state_dict(), record.plain())
        return path

    def measure(self, name: str, weights: Path, **changed: Any) -> dict[str, Path]:
        """Tables of `fidelity arm`."""
        values = {
            "lm": self.lm, "batch_windows": 16, "epsilon_draws": 2, "dead_window_tokens": 100,
            "matched_errors": ("epsilon_random", "cosine_noise", "covariance_noise", "shuffled_error"),
            "ablation_matched_errors": ("epsilon_random",), "root_seed": 0, "threads": 1, "device": "cpu",
        }  # fmt: skip
        tables = ("documents", "positions", "latents")
        out = {table: self.folder / f"{name}.{table}.parquet" for table in tables}
        params = FidelityArmStep(**(values | changed))
        evaluate_arm(params, arm=name, seed=0, weights=weights, **self.inputs, **out)
        return out

    def measure_ablation_baselines(self) -> Path:
        """Table of `fidelity ablation-baselines`."""
        bounds = self.folder / "bounds.parquet"
        measure_ablation_baselines(
            FidelityBaselinesStep(lm=self.lm, batch_windows=16, threads=1, device="cpu"),
            **self.inputs,
            bounds=bounds,
        )
        return bounds


def make_perfect(model: Any) -> None:
    """Weights that reconstruct every vector exactly: f = (relu(z), relu(-z)), z = f (I, -I)."""
    both = torch.cat([torch.eye(D_MODEL), -torch.eye(D_MODEL)])
    model.sae.W_enc.copy_(both)
    model.sae.W_dec.copy_(both)
    model.sae.b_enc.zero_()


def make_poor(model: Any) -> None:
    """The perfect SAE with half its length, and some of everything else."""
    make_perfect(model)
    model.sae.W_dec.mul_(0.5)
    stream = torch.Generator().manual_seed(0)
    for name, weight in model.named_parameters():
        if not name.startswith("sae"):
            weight.add_(0.1 * torch.randn(weight.shape, generator=stream))


def jsonl_text(path: str) -> TextConfig:
    """Documents in the field `text` of a .jsonl file."""
    return TextConfig(
        source="jsonl", path=path, field="text", delimiter=None, config=None, split=None,
        revision=None,
    )  # fmt: skip


def extracted(folder: Path, lm_folder: Path) -> Chapter:
    """The study after its extraction: documents of one to three windows, written by the LM itself."""
    lengths = numpy_stream(0, "tests", "fidelity").integers(10, 55, N_DOCUMENTS)
    texts = _written_by(
        LmConfig(name=str(lm_folder), revision=None, dtype="float32", hook_point=HOOK_POINT),
        lengths.tolist(),
    )
    text = folder / "text.jsonl"
    text.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    lm = LmConfig(name=str(lm_folder), revision=None, dtype="float32", hook_point=HOOK_POINT)
    params = ExtractStep(
        lm=lm,
        text=jsonl_text(str(text)),
        transfer=None,
        window_tokens=20,
        min_window_tokens=4,
        add_bos=True,
        special_tokens=AS_MARKED,
        val_fraction=0.2,
        test_fraction=0.5,
        max_tokens={"train": 9000, "val": 9000, "test": 9000, "transfer": 1},
        shards={"train": 1, "val": 1, "test": 2, "transfer": 1},
        store_dtype="float32",
        row_group_tokens=64,
        batch_windows=16,
        root_seed=0,
        threads=1,
        device="cpu",
    )
    extract_activations(
        params, lm_folder=None, corpus=None, scratch=folder / "scratch", out=folder / "extract"
    )
    chapter = Chapter(folder, lm)
    fit_standardiser(
        StandardiserStep(zero_variance="refuse"), manifest=chapter.inputs["manifest"],
        standardiser=chapter.inputs["standardiser"],
    )  # fmt: skip
    return chapter


def _written_by(lm: LmConfig, lengths: list[int]) -> list[str]:
    """Texts sampled from the LM, so that its activations matter for its cross-entropy."""
    model, tokenizer = load_lm(lm, None)
    stream = torch.Generator().manual_seed(0)
    ids = torch.full((len(lengths), 1), tokenizer.bos_token_id)
    n_special = len(tokenizer.all_special_ids)
    while ids.shape[1] <= max(lengths):
        p = logits(model, ids, torch.ones_like(ids))[:, -1, n_special:].softmax(-1)
        ids = torch.cat([ids, n_special + torch.multinomial(p, 1, generator=stream)], dim=1)
    return [tokenizer.decode(row[1 : n + 1]) for row, n in zip(ids, lengths, strict=True)]
