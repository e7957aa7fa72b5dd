"""From the hook point to the secondary latents: one arm and seed, loaded and run as it was trained.

Must not: train, test a hypothesis, or choose a latent.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import torch
from jaxtyping import Float
from torch import Tensor

from fispace.errors import ArtifactMismatchError, ParamsError
from fispace.models.integrated import IntegratedModel
from fispace.models.sae import TopKSae
from fispace.models.secondary import SecondarySae, require_interaction
from fispace.models.sparse import Codes
from fispace.models.trained import load_trained
from fispace.store.checkpoint import load_checkpoint
from fispace.store.files import sha256_of
from fispace.store.standardiser import Standardiser, load_standardiser


class Pipeline(NamedTuple):
    """Everything between the hook point and the secondary latents, of one arm and seed."""

    units: Standardiser
    model: IntegratedModel
    secondary: SecondarySae
    arm: str
    seed: int


class StimulusTokens(NamedTuple):
    """Non-special tokens of the texts of one half."""

    z: Float[Tensor, "tokens d_model"]
    text: np.ndarray
    """Row of the text that a token belongs to."""


def load_arm(weights: Path, standardiser: Path) -> tuple[IntegratedModel, dict[str, Any]]:
    """Trained model with an interaction, and its record.

    Raises:
        ArtifactMismatchError: if it has no interaction, or was trained in other units.
    """
    model, record = load_trained(weights, {"standardiser": sha256_of(standardiser)})
    require_interaction(model)
    return model, record


def load_pipeline(weights: Path, standardiser: Path, secondary: Path) -> Pipeline:
    """Pipeline of one arm and seed.

    Raises:
        ArtifactMismatchError: if the secondary SAE was trained on another model.
    """
    model, record = load_arm(weights, standardiser)
    tensors, shape = load_checkpoint(secondary, {"weights": sha256_of(weights)})
    sae = initial_sae(shape["d_embed"], shape["n_latents"], shape["k"], torch.Generator())
    loaded = SecondarySae(sae, torch.zeros(shape["d_embed"]), torch.ones(shape["d_embed"]))
    try:
        loaded.load_state_dict(tensors)
    except RuntimeError as error:
        raise ArtifactMismatchError(
            f"{secondary}: the weights do not fit the configuration stored with them ({error}). "
            "The file was altered; run the rule that trains it again."
        ) from None
    loaded.eval().requires_grad_(False)
    return Pipeline(load_standardiser(standardiser), model, loaded, record["arm"], record["seed"])


def initial_sae(d_embed: int, n_latents: int, k: int, generator: torch.Generator) -> TopKSae:
    """Untrained secondary SAE.

    Raises:
        ParamsError: if k exceeds n_latents.
    """
    if k > n_latents:
        raise ParamsError(
            f"factorial.secondary.k={k} must be <= its n_latents={n_latents} "
            "(expansion x train.d_embed)."
        )
    return TopKSae(d_embed, n_latents, k, generator)


def read_stimulus_tokens(path: Path, units: Standardiser) -> StimulusTokens:
    """Standardised activations of the non-special tokens of one half of a battery."""
    table = pq.read_table(path, columns=["activation", "document_id", "is_special"])
    keep = ~table["is_special"].to_numpy()
    column = table["activation"].combine_chunks()
    values = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)[keep]
    z = units.standardise(torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)))
    return StimulusTokens(z, table["document_id"].to_numpy()[keep])


@torch.no_grad()
def encode_both(pipe: Pipeline, z: Float[Tensor, "tokens d_model"]) -> dict[str, Codes]:
    """Codes of both SAEs, through the same forward pass that training used."""
    codes = pipe.model.sae.encode(z)
    hidden = pipe.model.interaction.hidden(codes)
    return {"primary": codes, "secondary": pipe.secondary.encode(hidden)}
