"""Codes of the tested arm, and what they leave unexplained, for the tokens on which pairs are tested.

Must not: test anything, or write a file.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fispace.models.integrated import IntegratedModel
from fispace.models.refit import lost_without, refitted
from fispace.models.sparse import Codes, sparse_sum
from fispace.stats.cofiring import SparseCodes, sparse_codes
from fispace.stats.metrics import FvuSums
from fispace.stats.split_features import joined_codes, split_groups
from fispace.store.activations import ActivationStore
from fispace.store.standardiser import load_standardiser
from fispace.study.config.interactions import SplitCodes, TestedCodes, TestedSplit

COLUMNS = ("document_id", "window_id", "position", "token_id")


Batch = tuple[Float[Tensor, "_ d_model"], pa.Table]
"""Standardised activations of some tokens, and their columns."""


Magnitudes = Float[np.ndarray, " tokens"]


class TestedTokens(NamedTuple):
    """The tokens of a split, encoded."""

    codes: SparseCodes
    """f, after the refit if there is one; latents of one split feature are joined in one column."""
    residual: Float[np.ndarray, "tokens d_model"]
    """r = z - b - f W, in standardised units."""
    tokens: pa.Table
    """Document, window, position and id of every token."""
    rows: Float[np.ndarray, "n_latents d_model"]
    """W: what one unit of each latent adds to the reconstruction."""
    groups: Int[np.ndarray, " n_latents"]
    """The latent in whose column each latent's code is; itself, unless it is part of a split feature."""
    reliability: Float[np.ndarray, " n_latents"]
    """Share of each latent's firings that explain more than noise would; see `reliabilities`."""
    fvu_encoder: float
    """FVU with the encoder's own magnitudes."""
    fvu: float
    """FVU of the tested codes."""
    variance: float
    """sum |z - mean z|^2 over the tokens."""

    @property
    def documents(self) -> Int[np.ndarray, " tokens"]:
        """Number of the document of every token."""
        return self.tokens["document_id"].to_numpy()


def encode_split(
    params: SplitCodes, model: IntegratedModel, manifest: Path, standardiser: Path
) -> TestedTokens:
    """Codes and residuals of the tokens of the split.

    Raises:
        ArtifactError: if a shard is missing or altered.
        RefitError: if the refit of a token does not converge.
    """
    return encode(params, model, split_batches(params, manifest, standardiser))


def split_batches(params: TestedSplit, manifest: Path, standardiser: Path) -> Iterator[Batch]:
    """The tokens of the split on which pairs are tested.

    Raises:
        ArtifactError: if a shard is missing or altered.
    """
    store, scale = ActivationStore(manifest), load_standardiser(standardiser)
    store.verify(params.split)
    for group, table in store.groups_with(params.split, COLUMNS, params.max_tokens):
        yield scale.standardise(torch.from_numpy(group)), table


@torch.no_grad()
def encode(params: TestedCodes, model: IntegratedModel, batches: Iterable[Batch]) -> TestedTokens:
    """Codes and residuals by the parts of the model that are linear in the codes.

    The residual leaves out an interaction part: what such a part finds, the test should find too.
    """
    rows = decoder_rows(model)
    encoded, whole = FvuSums(rows.shape[1]), FvuSums(rows.shape[1])
    values, indices, residuals, tables = [], [], [], []
    for z, table in batches:
        codes = model.sae.encode(z)
        offset = _offset(model, codes)
        encoded.add(z, sparse_sum(codes, rows) + offset)
        if params.refit:
            codes = refitted(z - offset, codes, rows)
        z_hat = sparse_sum(codes, rows) + offset
        whole.add(z, z_hat)
        values.append(codes.values)
        indices.append(codes.indices)
        residuals.append((z - z_hat).numpy())
        tables.append(table)
    tested = Codes(torch.cat(values), torch.cat(indices))
    residual = np.concatenate(residuals)
    separate = sparse_codes(tested.values.numpy(), tested.indices.numpy(), len(rows))
    groups = split_groups(separate, rows.numpy(), params.max_cosine)
    return TestedTokens(
        codes=joined_codes(separate, rows.numpy(), groups),
        residual=residual,
        tokens=pa.concat_tables(tables),
        rows=rows.numpy(),
        groups=groups,
        reliability=reliabilities(tested, rows, torch.from_numpy(residual), groups),
        fvu_encoder=encoded.fvu,
        fvu=whole.fvu,
        variance=float(whole.squares),
    )


def decoder_rows(model: IntegratedModel) -> Float[Tensor, "n_latents d_model"]:
    """What one unit of each latent adds to the reconstruction: its rows in all linear decoders, summed."""
    rows = model.rows("sae")
    return rows + model.rows("linear") if "linear" in model.parts else rows


def _offset(model: IntegratedModel, codes: Codes) -> Tensor:
    if "bias" not in model.parts:
        return torch.zeros(model.d_model)
    return model.contribution(codes, "bias")


def noise_variance(
    residual: Float[Tensor, "tokens d_model"], n_active: Int[Tensor, " tokens"]
) -> float:
    """Median over tokens of |r|^2 / (d_model - L0): variance of the residual in a direction without latent."""
    left = (residual.shape[1] - n_active).clamp(min=1)
    return float((residual.double().square().sum(1) / left).median())


def reliabilities(
    codes: Codes, rows: Float[Tensor, "n_latents d_model"],
    residual: Float[Tensor, "tokens d_model"], groups: Int[np.ndarray, " n_latents"],
) -> Float[np.ndarray, " n_latents"]:  # fmt: skip
    """Share of each latent's firings without which the squared error grows by more than 2 log(n_latents) v.

    v is `noise_variance`. Among n_latents rows, the one that fits noise of variance v best explains about
    2 log(n_latents) v of it (Donoho & Johnstone 1994). A firing that explains less may be noise. The
    latents of one group are counted together. A latent that never fires has 0.
    """
    is_active = codes.values > 0
    threshold = 2 * np.log(len(rows)) * noise_variance(residual, is_active.sum(1))
    explains = lost_without(codes, rows) > threshold
    latents = groups[codes.indices.ravel().numpy()]
    n = len(rows)
    fires = np.bincount(latents, is_active.ravel().double().numpy(), n)
    kept = np.bincount(latents, (explains & is_active).ravel().double().numpy(), n)
    return kept / np.maximum(fires, 1)


def magnitudes(columns: SparseCodes, latent: int) -> Magnitudes:
    """Code of one latent on every token; `columns` are the codes as a CSC matrix."""
    begin, end = columns.indptr[latent : latent + 2]
    values = np.zeros(columns.shape[0])
    values[columns.indices[begin:end]] = columns.data[begin:end]
    return values
