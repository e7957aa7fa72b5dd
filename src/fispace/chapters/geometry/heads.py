"""`geometry heads`: which hidden units of every interaction are alive, control arms included.

`geometry arm` measures the arms of target all in full; this is the one number that every arm of target
full needs. Must not: define a live unit.
"""

from typing import Any

import numpy as np
import pandas as pd
import torch

from fispace.chapters.geometry.outputs import Batches, live_units, test_batches
from fispace.chapters.geometry.tables import HEADS, LIVE_UNITS
from fispace.chapters.geometry.weight_table import TRAINED
from fispace.devices import prepare
from fispace.models.integrated import IntegratedModel
from fispace.models.trained import load_trained
from fispace.store.checkpoint import data_record
from fispace.store.metric_registry import with_units
from fispace.store.tables import write_csv
from fispace.study.config.geometry import GeometryHeadsStep
from fispace.study.step import Reads, Writes, command


@command("geometry", "heads", target="full")
def measure_heads(
    params: GeometryHeadsStep, *, weights: list[Reads], manifest: Reads, standardiser: Reads,
    table: Writes,
) -> None:  # fmt: skip
    """Write the share of live hidden units of every trained interaction, one row per arm and seed.

    `weights` are the checkpoints of all arms with an interaction. A unit is live if some token of the test
    split activates it, as in `geometry arm`, which gives the same number.

    Raises:
        ArtifactError: if a checkpoint or a shard is missing or altered.
        ArtifactMismatchError: if a checkpoint was trained on another store.
    """
    device = prepare(params.threads, params.device)
    test = test_batches(manifest, standardiser, params.batch_tokens, device)
    rows: list[dict[str, Any]] = []
    for path in weights:
        trained = load_trained(path, data_record(manifest, standardiser), device)
        value, n_tokens = live_share(trained.model, test)
        own = {"arm": trained.record.arm, "seed": trained.record.seed, "state": TRAINED}
        rows.append(own | {"metric": LIVE_UNITS, "value": value, "n": n_tokens})
    found = with_units(pd.DataFrame(rows)).sort_values(["arm", "seed"], ignore_index=True)
    write_csv(table, found, HEADS)


@torch.no_grad()
def live_share(model: IntegratedModel, test: Batches) -> tuple[float, int]:
    """Share of the interaction's hidden units that some test token activates, and the number of tokens."""
    is_live, n_tokens = np.zeros(model.config.d_embed, dtype=bool), 0
    for z in test():
        head = model.interaction
        is_live |= live_units(head, head.hidden(model.sae.encode(z)))
        n_tokens += len(z)
    return float(is_live.mean()), n_tokens
