"""What the pages know about a latent beside its texts: neighbours, history, responses, geometry.

Must not: read the activations, or write a file.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from fispace.chapters.factorial.design import Frame, by_cell
from fispace.errors import ArtifactMismatchError
from fispace.store.responses import read_responses
from fispace.store.tables import read_table
from fispace.study.config.factorial import FactorConfig

SLICE = 1024
"""Latents whose cosines with all others are in memory at once."""
PRIMARY = "primary"
SHARES = ("decoder", "linear", "interaction")
"""Parts whose functional contribution the chapter geometry measures."""


class Nearest(NamedTuple):
    """Other latents with the most similar decoder rows."""

    latents: list[int]
    cosines: list[float]


def nearest_latents(rows: Float[Tensor, "n_latents d_model"], n: int) -> Iterator[Nearest]:
    """The `n` latents with the largest cosine of their decoder rows, for every latent in order."""
    unit = torch.nn.functional.normalize(rows.detach(), dim=1)
    n = min(n, len(unit) - 1)
    for begin in range(0, len(unit), SLICE):
        cosines = unit[begin : begin + SLICE] @ unit.T
        cosines[torch.arange(len(cosines)), torch.arange(begin, begin + len(cosines))] = -torch.inf
        found = cosines.topk(n, dim=1)
        yield from map(Nearest, found.indices.tolist(), found.values.tolist())


class History(NamedTuple):
    """Training of every latent at each snapshot."""

    n_tokens: list[int]
    norms: Float[np.ndarray, "n_latents snapshots"]
    """Norm of the decoder row."""
    densities: Float[np.ndarray, "n_latents snapshots"]
    """Share of the training tokens since the last snapshot on which the latent was active."""


def read_history(path: Path | None, n_latents: int) -> History | None:
    """History of the latents in a training; None if there is no table.

    Raises:
        ArtifactError: if the table is missing or damaged.
        ArtifactMismatchError: if it is of another number of latents.
    """
    if path is None:
        return None
    table: Frame = read_table(path)
    table = table.sort_values(["latent", "step"])
    _require_latents(path, table, n_latents)
    n_tokens = table["n_tokens"].to_numpy().reshape(n_latents, -1)[0]
    norms = np.sqrt(table["squared_norm"].to_numpy(np.float64)).reshape(n_latents, -1)
    firings = table["firings"].to_numpy(np.float64).reshape(n_latents, -1)
    fired = np.diff(firings, axis=1, prepend=0.0)
    return History(n_tokens.tolist(), norms, fired / np.diff(n_tokens, prepend=0))


class Cells(NamedTuple):
    """Mean activation of every latent in the four cells of the battery."""

    names: list[str]
    means: Float[np.ndarray, "n_latents 4"]
    n_items: int


def read_cells(
    paths: Sequence[Path], factors: Sequence[FactorConfig], n_latents: int
) -> Cells | None:
    """Means over the items of all halves, of each latent's mean activation on a text; None without a table.

    Raises:
        ArtifactError: if a table is damaged.
        ArtifactMismatchError: if it is of another number of latents.
    """
    halves = [read_responses(path) for path in paths]
    if not halves:
        return None
    texts = pd.concat([half.texts for half in halves], ignore_index=True)
    values = np.concatenate([half.activations[PRIMARY] for half in halves])
    if values.shape[1] != n_latents:
        raise ArtifactMismatchError(_of_another_size(paths[0], values.shape[1], n_latents))
    cells = by_cell(texts, values, factors)
    names = [f"{a}, {b}" for a in factors[0].levels for b in factors[1].levels]
    return Cells(names, cells.mean(axis=0).reshape(4, n_latents).T, len(cells))


def read_shares(path: Path | None, n_latents: int) -> dict[str, Float[np.ndarray, " n_latents"]]:
    """Growth of the FVU when a latent is removed from each part; empty if there is no table.

    Raises:
        ArtifactError: if the table is missing or damaged.
        ArtifactMismatchError: if it is of another number of latents.
    """
    if path is None:
        return {}
    table: Frame = read_table(path)
    table = table.sort_values("latent")
    _require_latents(path, table, n_latents)
    names = [part for part in SHARES if f"fvu_growth_{part}" in table]
    return {part: table[f"fvu_growth_{part}"].to_numpy(np.float64) for part in names}


def _require_latents(path: Path, table: Frame, n_latents: int) -> None:
    found = int(table["latent"].max()) + 1 if len(table) else 0
    if found != n_latents or len(table) % n_latents:
        raise ArtifactMismatchError(_of_another_size(path, found, n_latents))


def _of_another_size(path: Path, found: Any, n_latents: int) -> str:
    return (
        f"{path} is about {found} latents, the model has {n_latents}: they do not belong together. Run "
        "the rule that makes the table again."
    )
