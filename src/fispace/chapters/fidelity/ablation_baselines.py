"""`fidelity ablation-baselines`: the unchanged LM, and the LM with zeros or a mean at the hook point.

They set the scale of `ce_recovered`. They depend on LM and text alone, so a study measures them once.
Must not: load a trained model.
"""

from typing import Any

import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from fispace.chapters.fidelity.document_sums import (
    CONDITION_KEY,
    EVALUATED,
    INCLUDED,
    MASKED,
    MEAN_ABLATION,
    NO_ARM,
    ORIGINAL,
    ZERO_ABLATION,
)
from fispace.chapters.fidelity.spliced_evaluation import (
    Scored,
    UnchangedPass,
    split_mean,
    unchanged_pass,
)
from fispace.devices import prepare
from fispace.lm.window_batches import load_extracted_lm, window_batches
from fispace.lm.windows import pad_id_of
from fispace.store.activations import ActivationStore
from fispace.store.quantities import NO_SEED
from fispace.store.standardiser import Standardiser, load_standardiser
from fispace.store.tables import write_table
from fispace.study.config.fidelity import FidelityBaselinesStep
from fispace.study.step import Reads, ReadsFolder, Writes, command


@command("fidelity", "ablation-baselines")
def measure_ablation_baselines(
    params: FidelityBaselinesStep, *, manifest: Reads, standardiser: Reads,
    lm_folder: ReadsFolder | None, bounds: Writes,
) -> None:  # fmt: skip
    """Write sums per document for the original, for zeros, and for the train split's mean activation.

    Raises:
        ArtifactError, ArtifactMismatchError: if shards and LM do not belong together.
    """
    device = prepare(params.threads, params.device)
    store, units = ActivationStore(manifest), load_standardiser(standardiser, device)
    lm = load_extracted_lm(params.lm, lm_folder, store, device)
    write_table(
        bounds,
        bounds_table(params, units, store, lm),
        {"step": "fidelity ablation-baselines", **params.lm.recorded},
    )


def bounds_table(
    params: FidelityBaselinesStep, units: Standardiser, store: ActivationStore, lm: tuple[Any, Any]
) -> pd.DataFrame:
    """The table of `measure_ablation_baselines`; `lm` is the store's language model and its tokenizer."""
    model, tokenizer = lm
    frames: list[pd.DataFrame] = []
    for split in (name for name in EVALUATED if name in store.shards):
        store.verify(split)
        mean = split_mean(store, split, units.device)
        batches = window_batches(store, split, params.batch_windows, pad_id_of(tokenizer))
        for batch in tqdm(batches, desc=split, unit="batch", mininterval=5):
            done = unchanged_pass(model, params.lm.hook_point, batch)
            frames.extend(frame.assign(split=split) for frame in _bounds_of(done, units, mean))
    rows = pd.concat(frames).assign(arm=NO_ARM, seed=NO_SEED)
    return rows.groupby([*CONDITION_KEY, "document_id"]).sum(min_count=1).reset_index()


@torch.no_grad()
def _bounds_of(done: UnchangedPass, units: Standardiser, mean: Tensor) -> list[pd.DataFrame]:
    found: list[pd.DataFrame] = []
    fills: dict[str, Tensor] = {
        ZERO_ABLATION: torch.zeros_like(units.mean),
        MEAN_ABLATION: units.mean,
    }
    for special_tokens in (MASKED, INCLUDED):
        scored = Scored(done, special_tokens)
        found.append(scored.frame("", ORIGINAL, scored.original))
        for condition, fill in fills.items():
            x_hat = fill.expand_as(scored.rows)
            sums = scored.errors(units, x_hat, mean) | scored.splice(x_hat)
            found.append(scored.frame("", condition, sums))
    return found
