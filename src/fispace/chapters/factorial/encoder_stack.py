"""From the hook point to the secondary latents: loading and running the models of one arm and seed.

Must not: train, test a hypothesis, or choose a latent.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float
from torch import Tensor

from fispace.devices import CPU
from fispace.errors import ArtifactMismatchError, ParamsError
from fispace.models.integrated import IntegratedModel
from fispace.models.sae import TopKSae
from fispace.models.secondary import SecondarySae, require_interaction, residual_vectors
from fispace.models.sparse import Codes
from fispace.models.trained import Trained, load_trained
from fispace.store.checkpoint import load_checkpoint
from fispace.store.files import sha256_of
from fispace.store.standardiser import Standardiser, load_standardiser
from fispace.store.tables import read_arrow


class Pipeline(NamedTuple):
    """The models between the hook point and the secondary latents, of one arm and seed."""

    units: Standardiser
    model: IntegratedModel
    secondary: SecondarySae
    residual: SecondarySae | None
    """The control: the same SAE on the raw residuals."""
    arm: str
    seed: int


class StimulusTokens(NamedTuple):
    """Non-special tokens of the texts of one half."""

    z: Float[Tensor, "tokens d_model"]
    text: np.ndarray
    """Row number of each token's text."""


def load_arm(weights: Path, standardiser: Path, device: torch.device = CPU) -> Trained:
    """Trained model with an interaction, on the device, and the record of its training.

    Raises:
        ArtifactMismatchError: if it has no interaction, or was trained on other activations or in other units.
    """
    d_model = load_standardiser(standardiser).mean.shape[0]
    expected = {"d_model": d_model, "standardiser": sha256_of(standardiser)}
    trained = load_trained(weights, expected, device)
    require_interaction(trained.model)
    return trained


def load_pipeline(
    weights: Path, standardiser: Path, secondary: Path, residual: Path | None = None,
    device: torch.device = CPU,
) -> Pipeline:  # fmt: skip
    """Pipeline of one arm and seed on the device; with the control SAE if `residual` is given.

    Raises:
        ArtifactMismatchError: if an SAE was trained on another model.
    """
    model, record = load_arm(weights, standardiser, device)
    own = _load_sae(secondary, weights, "secondary").to(device)
    control = _load_sae(residual, weights, "residual").to(device) if residual else None
    units = load_standardiser(standardiser, device)
    return Pipeline(units, model, own, control, record.arm, record.seed)


def _load_sae(path: Path, weights: Path, site: str) -> SecondarySae:
    tensors, shape = load_checkpoint(path, {"weights": sha256_of(weights), "site": site})
    width = shape["width"]
    sae = initial_sae(width, shape["n_latents"], shape["k"], torch.Generator())
    loaded = SecondarySae(sae, torch.zeros(width), torch.ones(width))
    try:
        loaded.load_state_dict(tensors)
    except RuntimeError as error:
        raise ArtifactMismatchError(
            f"{path}: the weights do not fit the configuration stored with them ({error}). "
            "The file was altered; run the rule that trains it again."
        ) from None
    return loaded.eval().requires_grad_(False)


def initial_sae(width: int, n_latents: int, k: int, generator: torch.Generator) -> TopKSae:
    """Untrained SAE on vectors of this width.

    Raises:
        ParamsError: if k exceeds n_latents.
    """
    if k > n_latents:
        raise ParamsError(
            f"factorial.secondary.k={k} must be <= its n_latents={n_latents} "
            "(expansion x train.d_embed)."
        )
    return TopKSae(width, n_latents, k, generator)


def read_stimulus_tokens(path: Path, units: Standardiser) -> StimulusTokens:
    """Standardised activations of the non-special tokens of one half of a battery."""
    return stimulus_tokens(read_arrow(path, ["activation", "document_id", "is_special"]), units)


def stimulus_tokens(table: pa.Table, units: Standardiser) -> StimulusTokens:
    """Standardised activations of the non-special tokens of a `stimulus_table`."""
    keep = ~table["is_special"].to_numpy()
    column = table["activation"].combine_chunks()
    values = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)[keep]
    z = units.standardise(torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)))
    return StimulusTokens(z, table["document_id"].to_numpy()[keep])


@torch.no_grad()
def encode_all(pipe: Pipeline, z: Float[Tensor, "tokens d_model"]) -> dict[str, Codes]:
    """Codes of every SAE, from the same forward pass as in training."""
    codes = pipe.model.sae.encode(z)
    hidden = pipe.model.interaction.hidden(codes)
    found = {"primary": codes, "secondary": pipe.secondary.encode(hidden)}
    if pipe.residual is not None:
        found["residual"] = pipe.residual.encode(residual_vectors(pipe.model, z))
    return found
