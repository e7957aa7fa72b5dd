"""`train import`: an SAE trained elsewhere as an arm of the study.

Must not: train, or know a file format.
"""

import logging
from typing import Any

import torch

from fispace.exchange.folding import unfolded
from fispace.exchange.places import require_place
from fispace.exchange.reading import ForeignSae, read_folder
from fispace.models.trained import ImportedRecord, Trained, initial_model
from fispace.store.activations import ActivationStore
from fispace.store.checkpoint import data_record, save_checkpoint
from fispace.store.standardiser import Standardiser, load_standardiser
from fispace.study.config.arms import ImportedArm
from fispace.study.config.train import ArmModel, TrainArmStep
from fispace.study.step import Reads, ReadsFolder, Writes, command

log = logging.getLogger(__name__)


@command("train", "import")
def import_arm(
    params: TrainArmStep, *, arm: str, seed: int, folder: ReadsFolder, manifest: Reads,
    standardiser: Reads, weights: Writes,
) -> None:  # fmt: skip
    """Write the checkpoint of an imported arm: parts sae and bias, with the folder's number of latents and k.

    The standardiser is folded into the weights, so the arm reads standardised activations as all others do
    and gives the codes and reconstructions of the imported SAE. It is the same for every seed.

    Raises:
        ArtifactError: if the folder holds no TopK SAE of SAELens or sparsify, or a damaged one.
        ArtifactMismatchError: if it is of another width or another language model.
        HookPointError: if it was trained at another hook point.
    """
    foreign = read_folder(folder)
    require_place(foreign, ActivationStore(manifest).manifest, arm)
    data = data_record(manifest, standardiser)
    imported = imported_model(params, foreign, load_standardiser(standardiser), arm, seed, data)
    save_checkpoint(weights, imported.model.state_dict(), imported.record.plain())
    log.info(
        "arm %s: %d latents, k = %d, from a folder of %s",
        arm, imported.record.params.n_latents, imported.record.params.k, foreign.peer,
    )  # fmt: skip


@torch.no_grad()
def imported_model(
    params: TrainArmStep, foreign: ForeignSae, units: Standardiser, arm: str, seed: int,
    data: dict[str, Any],
) -> Trained:  # fmt: skip
    """The imported SAE as a model of standardised activations; `data` is a `data_record`."""
    sae = unfolded(foreign.sae, units)
    own = {name: getattr(ImportedArm, name) for name in ArmModel.model_fields}
    record = ImportedRecord(
        step="train import", arm=arm, row=ArmModel(**own), seed=seed, rates=None, peer=foreign.peer,
        hook_name=foreign.hook_name, **data,
        params=params.changed(
            n_latents=len(sae.W_enc), k=sae.k, topk_dtype="float32", select_by="pre_activation"
        ),
    )  # fmt: skip
    model = initial_model(record)
    for weight, values in (
        (model.sae.W_enc, sae.W_enc), (model.sae.b_enc, sae.b_enc), (model.sae.W_dec, sae.W_dec),
        (model.bias, sae.bias),
    ):  # fmt: skip
        weight.copy_(values)
    return Trained(model.eval().requires_grad_(False), record)
