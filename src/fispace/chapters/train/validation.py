"""`train validation`: the validation FVU along every training, in one table.

Must not: train, or import torch.
"""

import pandas as pd

from fispace.chapters.train.tables import VALIDATION
from fispace.store.quantities import Frame
from fispace.store.tables import read_recipe, read_table, write_csv
from fispace.study.step import Reads, Writes, command


@command("train", "validation")
def tabulate_validation(*, curves: list[Reads], table: Writes) -> None:
    """Write the validation FVU of every arm and seed at each step at which it was taken.

    `curves` are the training curves of `train arm`. Columns: arm, seed, step, n_tokens (presented so far,
    repetitions included), val_fvu (fraction of variance unexplained on the validation split, by all parts).

    Raises:
        ArtifactError: if a curve is missing or damaged.
    """
    frames: list[Frame] = []
    for path in curves:
        recipe, curve = read_recipe(path), read_table(path)
        taken = curve[curve["val_fvu"].notna()]
        frames.append(taken.assign(arm=str(recipe["arm"]), seed=int(recipe["seed"])))
    everything = pd.concat(frames, ignore_index=True)[list(VALIDATION.columns)]
    ordered = everything.sort_values(list(VALIDATION.key), ignore_index=True)
    write_csv(table, ordered, VALIDATION)
