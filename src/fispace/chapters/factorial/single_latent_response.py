"""`factorial single-latent-response`: effect of one primary latent on secondary ones, among others and alone.

Must not: choose a secondary latent.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from fispace.chapters.factorial.design import Frame
from fispace.chapters.factorial.encoder_stack import Pipeline, load_pipeline, read_stimulus_tokens
from fispace.chapters.factorial.tables import HISTOGRAM, ITEMS, SINGLES
from fispace.devices import prepare
from fispace.store.metric_registry import with_units
from fispace.store.tables import read_csv, read_table, write_csv
from fispace.study.config.factorial import SingleLatentStep
from fispace.study.step import Reads, Writes, command


@command("factorial", "single-latent-response")
def measure_single_latent_response(
    params: SingleLatentStep, *, item_table: Reads, weights: list[Reads], standardiser: Reads,
    secondary: list[Reads], discovery: list[Reads], confirm: Reads, singles: Writes,
    histogram: Writes,
) -> None:  # fmt: skip
    """Write the effect of one primary latent on secondary latents, among others and alone (paper, F3)."""
    device = prepare(params.threads, params.device)
    factors = ITEMS.factors(read_csv(item_table, ITEMS))
    numbers, bars = [], []
    for path, sae, table in zip(weights, secondary, discovery, strict=True):
        pipe = load_pipeline(path, standardiser, sae, device=device)
        tokens = read_stimulus_tokens(confirm, pipe.units)
        latent = strongest_primary(read_table(table), factors)
        rows, counts = single_latent(params, pipe, tokens.z, latent)
        key = {"arm": pipe.arm, "seed": pipe.seed, "primary_latent": latent}
        numbers.append(rows.assign(**key))
        bars.append(counts.assign(**key))
    write_csv(singles, pd.concat(numbers, ignore_index=True), SINGLES)
    write_csv(histogram, pd.concat(bars, ignore_index=True), HISTOGRAM)


def strongest_primary(discovery: Frame, factors: Sequence[str]) -> int:
    """Primary latent with the largest |t| of a main effect on the select half."""
    rows = discovery[(discovery["space"] == "primary") & discovery["effect"].isin(factors)]
    return int(rows["latent"].iloc[int(rows["t"].abs().to_numpy().argmax())])


@torch.no_grad()
def single_latent(
    params: SingleLatentStep, pipe: Pipeline, z: Float[Tensor, "tokens d_model"], latent: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Numbers and histogram of secondary activations on tokens where a primary latent is active.

    `among others` keeps all codes of the token. `alone` keeps the one latent. Factor pooling is a sum
    over pairs, so a single latent adds exactly zero and the hidden vector is the bias. The author's linear
    pooling gave another result (p11:470-487).
    """
    codes = pipe.model.sae.encode(z)
    is_own = (codes.indices == latent) & (codes.values > 0)
    rows = is_own.any(1)
    together = codes[rows]
    alone = together.with_values(together.values * is_own[rows])
    hidden = pipe.model.interaction.hidden(together)
    values = pipe.secondary.encode(hidden).values.double().cpu().numpy().ravel()
    pooled = pipe.model.interaction.pool(alone).abs()
    scale = pipe.model.interaction.pool(together).abs()
    numbers: list[dict[str, Any]] = [
        {"metric": "active_share", "value": rows.double().mean().item()},
        {"metric": "pool_alone_max_abs", "value": _largest(pooled)},
        {"metric": "pool_among_others_max_abs", "value": _largest(scale)},
        {"metric": "secondary_l0", "value": float((values > 0).sum() / max(int(rows.sum()), 1))},
    ]
    positive = values[values > 0]
    top = positive.max() if positive.size else 1.0
    counts, edges = np.histogram(positive, bins=params.histogram_bins, range=(0.0, top))
    bars = {"bin_low": edges[:-1], "bin_high": edges[1:], "count": counts}
    return with_units(pd.DataFrame(numbers)).assign(n=len(z)), pd.DataFrame(bars)


def _largest(values: Tensor) -> float:
    return values.max().item() if values.numel() else 0.0
