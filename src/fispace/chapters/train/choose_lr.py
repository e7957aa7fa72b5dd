"""`train choose-lr`: the peak learning rate of the SAE, chosen on the arm `sae`.

Must not: train, or import torch.
"""

import logging

from fispace.store.files import write_json
from fispace.store.tables import read_recipe, read_table
from fispace.study.config.train import ChooseLrStep
from fispace.study.step import Reads, Writes, command

log = logging.getLogger(__name__)


@command("train", "choose-lr")
def choose_lr(params: ChooseLrStep, *, curves: list[Reads], lr: Writes) -> None:
    """Write the candidate peak learning rate with the lowest final validation FVU of the arm `sae`.

    A single candidate is chosen without a training; its validation FVU is then null.
    """
    found = {
        read_recipe(path)["rates"]["sae"]: read_table(path)["val_fvu"].iloc[-1] for path in curves
    }
    candidates = [
        {"lr": rate, "val_fvu": float(found[rate]) if rate in found else None}
        for rate in params.lr_candidates
    ]
    best = min(candidates, key=lambda row: row["val_fvu"] or 0.0)
    is_at_edge = len(candidates) > 1 and best["lr"] in (
        min(params.lr_candidates),
        max(params.lr_candidates),
    )
    if is_at_edge:
        log.warning("the best learning rate %g is at the edge of train.lr_candidates", best["lr"])
    write_json(lr, best | {"candidates": candidates, "is_at_edge": is_at_edge})
