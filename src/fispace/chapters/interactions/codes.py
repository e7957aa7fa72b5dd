"""Codes of the tested arm, and what they leave unexplained, for the tokens on which pairs are tested.

Must not: test anything, or write a file.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from fispace.models.integrated import IntegratedModel
from fispace.models.refit import lost_without, pursued, refitted
from fispace.models.sparse import Codes, sparse_sum
from fispace.stats.cofiring import SparseCodes, sparse_codes
from fispace.stats.metrics import FvuSums
from fispace.stats.split_features import joined_codes, split_groups
from fispace.store.activations import ActivationStore
from fispace.store.split_text import read_text
from fispace.store.standardiser import Standardiser, load_standardiser
from fispace.study.config.interactions import SplitCodes, TestedCodes, TestedSplit

Magnitudes = Float[np.ndarray, " tokens"]


class Batch(NamedTuple):
    """Some tokens."""

    z: Float[Tensor, "_ d_model"]
    """Standardised activations."""
    rows: Int[np.ndarray, " _"]
    """Numbers of the tokens among the rows of the split."""
    documents: Int[np.ndarray, " _"]


class TestedTokens(NamedTuple):
    """The tokens of a split, encoded."""

    codes: SparseCodes
    """f, after the refit if there is one; latents of one split feature are joined in one column."""
    residual: Float[np.ndarray, "tokens d_model"]
    """r = z - b - f W, in standardised units."""
    separate: Codes
    """The same codes, latents of a split feature apart."""
    decoder: Float[np.ndarray, "n_latents d_model"]
    """W: what one unit of each latent adds to the reconstruction."""
    groups: Int[np.ndarray, " n_latents"]
    """The latent in whose column each latent's code is; itself, unless it is part of a split feature."""
    rows: Int[np.ndarray, " tokens"]
    """Number of every token among the rows of the split."""
    documents: Int[np.ndarray, " tokens"]
    """Number of the document of every token."""
    fvu_encoder: float
    """FVU with the encoder's own magnitudes."""
    fvu: float
    """FVU of the tested codes."""
    variance: float
    """sum |z - mean z|^2 over the tokens."""


def encode_split(
    params: SplitCodes, model: IntegratedModel, manifest: Path, standardiser: Path
) -> TestedTokens:
    """Codes and residuals of the tokens of the split, computed on the model's device.

    Raises:
        ArtifactError: if a shard is missing or altered.
        RefitError: if the refit of a token does not converge.
    """
    units = load_standardiser(standardiser, model.device)
    return encode(params, model, split_batches(params, manifest, units))


def split_batches(params: TestedSplit, manifest: Path, units: Standardiser) -> Iterator[Batch]:
    """The tokens of the split on which pairs are tested, on the standardiser's device.

    Raises:
        ArtifactError: if a shard is missing or altered.
    """
    store = ActivationStore(manifest)
    store.verify(params.split)
    text = read_text(store, params.split)
    for rows, group in store.groups_of(params.split, ~text.is_special, params.max_tokens):
        documents = text.document_ids[text.windows[rows]]
        yield Batch(units.standardise(torch.from_numpy(group)), rows, documents)


@torch.no_grad()
def encode(params: TestedCodes, model: IntegratedModel, batches: Iterable[Batch]) -> TestedTokens:
    """Codes and residuals by the parts of the model that are linear in the codes.

    The residual leaves out an interaction part: what such a part finds, the test should find too.
    """
    decoder = model.added_rows()
    encoded, whole = (FvuSums(model.d_model, model.device) for _ in range(2))
    values, indices, residuals, rows, documents = [], [], [], [], []
    for batch in batches:
        codes = model.sae.encode(batch.z)
        offset = _offset(model, codes)
        encoded.add(batch.z, sparse_sum(codes, decoder) + offset)
        if params.pursue:
            codes = pursued(batch.z - offset, codes, decoder)
        if params.refit:
            codes = refitted(batch.z - offset, codes, decoder)
        z_hat = sparse_sum(codes, decoder) + offset
        whole.add(batch.z, z_hat)
        codes = codes.cpu()
        values.append(codes.values)
        indices.append(codes.indices)
        residuals.append((batch.z - z_hat).cpu().numpy())
        rows.append(batch.rows)
        documents.append(batch.documents)
    separate = Codes(torch.cat(values), torch.cat(indices))
    sparse = sparse_codes(
        separate.values.cpu().numpy(), separate.indices.cpu().numpy(), len(decoder)
    )
    rows_added = decoder.cpu().numpy()
    groups = split_groups(sparse, rows_added, params.max_cosine)
    return TestedTokens(
        codes=joined_codes(sparse, rows_added, groups),
        residual=np.concatenate(residuals),
        separate=separate,
        decoder=rows_added,
        groups=groups,
        rows=np.concatenate(rows),
        documents=np.concatenate(documents),
        fvu_encoder=encoded.fvu,
        fvu=whole.fvu,
        variance=float(whole.squares),
    )


def _offset(model: IntegratedModel, codes: Codes) -> Tensor:
    if "bias" not in model.parts:
        return torch.zeros(model.d_model, device=model.device)
    return model.contribution(codes, "bias")


def noise_variance(
    residual: Float[Tensor, "tokens d_model"], n_active: Int[Tensor, " tokens"]
) -> float:
    """Median over tokens of |r|^2 / (d_model - L0): variance of the residual in a direction without latent."""
    left = (residual.shape[1] - n_active).clamp(min=1)
    return float((residual.double().square().sum(1) / left).median())


def reliabilities(tested: TestedTokens) -> Float[np.ndarray, " n_latents"]:
    """Share of each latent's firings without which the squared error grows by more than 2 log(n_latents) v.

    v is `noise_variance`. Among n_latents rows, the one that fits noise of variance v best explains about
    2 log(n_latents) v of it (Donoho & Johnstone 1994). A firing that explains less may be noise. The
    latents of one group are counted together. A latent that never fires has 0.
    """
    codes, n = tested.separate, len(tested.decoder)
    is_active = codes.values > 0
    noise = noise_variance(torch.from_numpy(tested.residual), is_active.sum(1))
    explains = lost_without(codes, torch.from_numpy(tested.decoder)) > 2 * np.log(n) * noise
    latents = tested.groups[codes.indices.ravel().cpu().numpy()]
    fires = np.bincount(latents, is_active.ravel().double().cpu().numpy(), n)
    kept = np.bincount(latents, (explains & is_active).ravel().double().cpu().numpy(), n)
    return kept / np.maximum(fires, 1)


def magnitudes(columns: SparseCodes, latent: int) -> Magnitudes:
    """Code of one latent on every token; `columns` are the codes as a CSC matrix."""
    begin, end = columns.indptr[latent : latent + 2]
    values = np.zeros(columns.shape[0])
    values[columns.indices[begin:end]] = columns.data[begin:end]
    return values
