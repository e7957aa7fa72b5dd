"""The chapter `fidelity`: every arm by every set of its parts, and the LM run on the reconstruction.

Post-hoc ablation is a row here (other parts of one trained model), retrained ablation another arm.
Must not: fit anything; train tokens are never read.
"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from fispace.config.fidelity import FidelityArmStep, FidelitySummaryStep
from fispace.lm.stored import (
    WindowBatch,
    hooked_pass,
    load_extracted_lm,
    spliced_logits,
    window_batches,
)
from fispace.lm.windows import pad_id_of
from fispace.measure.fidelity import (
    epsilon_random,
    kl_per_token,
    l0,
    log_probabilities,
    next_token_ce,
    squared_error,
)
from fispace.measure.fidelity_table import EPSILON, KEY, ORIGINAL, RECONSTRUCTION, fidelity_table
from fispace.models.integrated import IntegratedModel, ablations, parts_name
from fispace.models.sparse import Codes
from fispace.models.trained import load_trained
from fispace.seeds import numpy_stream, torch_stream
from fispace.store.activations import ActivationStore
from fispace.store.files import sha256_of
from fispace.store.standardiser import Standardiser, load_standardiser
from fispace.store.tables import read_table, write_csv, write_table

EVALUATED = ("test", "transfer")


class _Arm(NamedTuple):
    """What is measured: a trained model and its units."""

    model: IntegratedModel
    units: Standardiser


def measure_arm(
    params: FidelityArmStep, *, arm: str, seed: int, weights: Path, manifest: Path,
    standardiser: Path, lm_folder: Path | None, documents: Path, latents: Path,
) -> None:  # fmt: skip
    """Write sums per document and condition, and how often each latent fired.

    Raises:
        ArtifactError, ArtifactMismatchError: if checkpoint, shards, or LM do not belong together.
    """
    torch.set_num_threads(params.threads)
    store = ActivationStore(manifest)
    expected = {"arm": arm, "seed": seed, "manifest": sha256_of(manifest)}
    trained = load_trained(weights, expected | {"standardiser": sha256_of(standardiser)})
    measured = _Arm(trained.model, load_standardiser(standardiser))
    lm, tokenizer = load_extracted_lm(params.lm, lm_folder, store)
    frames, fired = [], []
    for split in (name for name in EVALUATED if name in store.shards):
        store.verify(split)
        counts = np.zeros(trained.model.shape.n_latents, dtype=np.int64)
        mean = _split_mean(store, split)
        batches = window_batches(store, split, params.batch_windows, pad_id_of(tokenizer))
        for number, batch in enumerate(tqdm(batches, desc=split, unit="batch", mininterval=5)):
            stream = ("fidelity", "epsilon", split, number)
            rows = _measure(params, lm, measured, batch, mean, counts, stream)
            frames.extend(frame.assign(split=split) for frame in rows)
        fired.append(
            pd.DataFrame({"split": split, "latent": range(len(counts)), "n_fired": counts})
        )
    record = {
        "step": "fidelity arm", "arm": arm, "seed": seed, "checkpoint": sha256_of(weights),
        "epsilon_draws": params.epsilon_draws,
    }  # fmt: skip
    sums = (
        pd.concat(frames).assign(arm=arm, seed=seed).groupby([*KEY, "document_id"]).sum(min_count=1)
    )
    write_table(documents, sums.reset_index(), record)
    write_table(latents, pd.concat(fired).assign(arm=arm, seed=seed), record)


def summarise(
    params: FidelitySummaryStep,
    *,
    documents: list[Path],
    latents: list[Path],
    summary: Path,
    table: Path,
) -> None:
    """Write every metric of every (arm, parts, seed, split, condition) with its document interval."""
    sums = pd.concat([read_table(path) for path in documents], ignore_index=True)
    fired = pd.concat([read_table(path) for path in latents], ignore_index=True)
    streams = {
        str(split): numpy_stream(params.root_seed, "fidelity", "bootstrap", str(split))
        for split in sums["split"].unique()
    }
    result = fidelity_table(sums, fired, params.n_bootstrap, params.confidence, streams)
    write_table(summary, result, {"step": "fidelity summary", "params": asdict(params)})
    write_csv(table, result)


def _split_mean(store: ActivationStore, split: str) -> Tensor:
    """Mean activation of the evaluated split's non-special tokens: the zero of its FVU."""
    total = sum(group.astype(np.float64).sum(0) for group in store.groups(split))
    return torch.from_numpy(np.asarray(total) / store.n_tokens(split))


@torch.no_grad()
def _measure(
    params: FidelityArmStep, lm: Any, measured: _Arm, batch: WindowBatch, mean: Tensor,
    counts: np.ndarray, stream: tuple[str | int, ...],
) -> Iterator[pd.DataFrame]:  # fmt: skip
    """Sums per document for the original and for every ablation of one batch."""
    x, original = hooked_pass(lm, params.lm.hook_point, batch)
    scored = _Scored(batch, x, log_probabilities(original))
    yield scored.frame("", ORIGINAL, {"ce": scored.ce(scored.log_p)})
    rows = x[batch.is_token].float()
    z = measured.units.standardise(rows)
    codes = measured.model.sae.encode(z)
    np.add.at(counts, codes.indices[codes.values > 0].numpy(), 1)
    for parts in ablations(measured.model.parts):
        z_hat = measured.model.reconstruct(codes, parts)
        x_hat = measured.units.restore(z_hat)
        sums = _reconstruction_sums(measured.units, codes, (z, z_hat), (rows, x_hat), mean)
        placed = {metric: scored.place(values) for metric, values in sums.items()}
        name = parts_name(parts)
        yield scored.frame(name, RECONSTRUCTION, placed | scored.splice(lm, params, x_hat))
        for draw in range(params.epsilon_draws):
            generator = torch_stream(params.root_seed, *stream, draw)
            noisy = scored.splice(lm, params, epsilon_random(rows, x_hat, generator))
            yield scored.frame(name, EPSILON, noisy, share=1 / params.epsilon_draws)


def _reconstruction_sums(
    units: Standardiser, codes: Codes, standard: tuple[Tensor, Tensor], raw: tuple[Tensor, Tensor],
    mean: Tensor,
) -> dict[str, Tensor]:  # fmt: skip
    centre = units.standardise(mean)
    return {
        "error": squared_error(*standard),
        "deviation": squared_error(standard[0], centre.expand_as(standard[0])),
        "error_raw": squared_error(*raw),
        "deviation_raw": squared_error(raw[0], mean.expand_as(raw[0])),
        "l0": l0(codes.values),
        "n_dimensions": torch.full((len(raw[0]),), float(raw[0].shape[1])),
    }


class _Scored:
    """One batch with its original log-probabilities; turns per-token values into document sums."""

    def __init__(self, batch: WindowBatch, x: Tensor, log_p: Tensor) -> None:
        self.batch, self.x, self.log_p = batch, x, log_p
        has_next = torch.zeros_like(batch.is_token)
        has_next[:, :-1] = batch.attention_mask[:, 1:] == 1
        self.is_next = batch.is_token & has_next

    def ce(self, log_q: Tensor) -> Tensor:
        """CE of the next token where there is one."""
        return next_token_ce(log_q, self.batch.token_ids) * self.is_next

    def splice(self, lm: Any, params: FidelityArmStep, rows: Tensor) -> dict[str, Tensor]:
        """KL and CE per position with the given rows at the hook point."""
        found = spliced_logits(lm, params.lm.hook_point, self.batch, self.x, rows)
        log_q = log_probabilities(found)
        kl = kl_per_token(self.log_p, log_q) * self.batch.is_token
        return {"kl": kl, "ce": self.ce(log_q)}

    def place(self, values: Tensor) -> Tensor:
        """Values of the scored tokens at their positions, zero elsewhere."""
        placed = torch.zeros(self.batch.token_ids.shape, dtype=torch.float64)
        placed[self.batch.is_token] = values.double()
        return placed

    def frame(
        self, parts: str, condition: str, values: dict[str, Tensor], share: float = 1.0
    ) -> pd.DataFrame:
        """One row a window: sums over its tokens, and their number, times the share of a draw."""
        sums = values | {"n_tokens": self.batch.is_token, "n_next": self.is_next}
        columns = {name: value.sum(1).double().numpy() * share for name, value in sums.items()}
        fixed = {
            "parts": parts,
            "condition": condition,
            "document_id": self.batch.document_ids,
        }
        return pd.DataFrame(fixed | columns)
