"""`fidelity reduced-k`: FVU with k cut below its trained value, and with remedies for the loss.

Must not: run the LM, or train. The best linear decoder is solved for on train tokens.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from fispace.chapters.fidelity.document_sums import EVALUATED
from fispace.devices import prepare
from fispace.models.integrated import IntegratedModel
from fispace.models.readout import ReadoutSums, SparseReadout
from fispace.models.sparse import Codes
from fispace.models.trained import load_trained
from fispace.stats.metrics import FvuSums
from fispace.store.activations import ActivationStore
from fispace.store.checkpoint import data_record
from fispace.store.metric_registry import unit_of
from fispace.store.standardiser import Standardiser, load_standardiser
from fispace.store.tables import write_table
from fispace.study.config.fidelity import FidelityReducedKStep
from fispace.study.step import Reads, Writes, command

Reconstruction = Callable[[Tensor, Codes], Tensor]
"""z_hat from z and its codes by the SAE at its own k."""


class Models(NamedTuple):
    """The models compared: the SAE and the arm built on it, and those trained at each k, by k."""

    sae: IntegratedModel
    arm: IntegratedModel
    saes: Mapping[int, IntegratedModel]
    arms: Mapping[int, IntegratedModel]


@command("fidelity", "reduced-k", target="full")
def measure_reduced_k(
    params: FidelityReducedKStep, *, seed: int, sae: Reads, arm: Reads, saes: list[Reads],
    arms: list[Reads], manifest: Reads, standardiser: Reads, cut: Writes,
) -> None:  # fmt: skip
    """Write the FVU by k of the SAE whose codes are cut, and of models that may recover the loss.

    sae_cut         the SAE with its codes cut to the k largest, as in the published comparison (W3)
    decoder_refit   the same codes, with the best decoder and bias for them on the train tokens
    sae_trained     an SAE trained at that k
    arm_cut         the arm trained on the whole codes, applied to the cut codes
    arm_trained     the arm trained on the cut codes

    The values of k are those of `saes` and `arms`, and the SAE's own.

    Raises:
        ArtifactError, ArtifactMismatchError: if checkpoints or shards do not belong together.
    """
    device = prepare(params.threads, params.device)
    store, units = ActivationStore(manifest), load_standardiser(standardiser, device)
    expected = {"seed": seed} | data_record(manifest, standardiser)
    whole = [load_trained(path, expected, device).model for path in (sae, arm)]
    trained = [
        {model.config.k: model for model in [whole[i], *_models(paths, expected, device)]}
        for i, paths in enumerate((saes, arms))
    ]
    models = Models(whole[0], whole[1], trained[0], trained[1])
    found = _measured(models, _readouts(models, store, units), store, units)
    write_table(cut, found.assign(seed=seed), {"step": "fidelity reduced-k", "seed": seed})


def _models(
    paths: list[Path], expected: Mapping[str, object], device: torch.device
) -> list[IntegratedModel]:
    return [load_trained(path, dict(expected), device).model for path in paths]


@torch.no_grad()
def _readouts(
    models: Models, store: ActivationStore, units: Standardiser
) -> dict[int, SparseReadout]:
    """Best linear decoder of the codes cut to each k, over all train tokens."""
    store.verify("train")
    sae = models.sae
    sums = {k: ReadoutSums(sae.config.n_latents, sae.d_model) for k in models.saes}
    for group in store.groups("train"):
        z = units.standardise(torch.from_numpy(group))
        codes = sae.sae.encode(z)
        for k, of_k in sums.items():
            of_k.add(sae.sae.cut(codes, k), z)
    return {k: of_k.solve(units.device) for k, of_k in sums.items()}


@torch.no_grad()
def _measured(
    models: Models, readouts: Mapping[int, SparseReadout], store: ActivationStore,
    units: Standardiser,
) -> pd.DataFrame:  # fmt: skip
    rows = []
    for split in (name for name in EVALUATED if name in store.shards):
        store.verify(split)
        compared = {
            (k, name): reconstruct
            for k in sorted(models.saes)
            for name, reconstruct in _compared(models, readouts[k], k).items()
        }
        sums = {key: FvuSums(store.d_model, units.device) for key in compared}
        for group in store.groups(split):
            z = units.standardise(torch.from_numpy(group))
            codes = models.sae.sae.encode(z)
            for key, reconstruct in compared.items():
                sums[key].add(z, reconstruct(z, codes))
        for (k, name), of in sums.items():
            own = {"split": split, "k": k, "model": name, "metric": "fvu", "unit": unit_of("fvu")}
            rows.append(own | {"value": of.fvu, "n_tokens": of.n_tokens})
    return pd.DataFrame(rows)


def _compared(models: Models, readout: SparseReadout, k: int) -> dict[str, Reconstruction]:
    sae, arm = models.sae, models.arm
    return {
        "sae_cut": lambda _, codes: sae.reconstruct(sae.sae.cut(codes, k), sae.parts),
        "decoder_refit": lambda _, codes: readout(sae.sae.cut(codes, k)),
        "sae_trained": lambda z, _: models.saes[k](z, models.saes[k].parts),
        "arm_cut": lambda _, codes: arm.reconstruct(sae.sae.cut(codes, k), arm.parts),
        "arm_trained": lambda z, _: models.arms[k](z, models.arms[k].parts),
    }
