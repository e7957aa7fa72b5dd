"""The select/confirm split of a battery, by item.

Must not: look at a text or at an activation.
"""

import pandas as pd

from fispace.errors import StimuliError
from fispace.seeds import numpy_stream

SELECT, CONFIRM = "select", "confirm"
MIN_ITEMS = 2
"""A half with fewer items has no variance between items."""


def split_items(frame: pd.DataFrame, select_fraction: float, root_seed: int) -> pd.DataFrame:
    """`frame` with a column `half`: all rows of an item are in the same half.

    The items are permuted by the stream factorial/split; the first `select_fraction` select.

    Raises:
        StimuliError: if a half would hold fewer than two items.
    """
    items = sorted(set(frame["item"]))
    n_select = round(select_fraction * len(items))
    if min(n_select, len(items) - n_select) < MIN_ITEMS:
        raise StimuliError(
            f"The battery has {len(items)} items; factorial.select_fraction={select_fraction} "
            f"leaves {n_select} to select and {len(items) - n_select} to confirm. Each half needs "
            f"at least {MIN_ITEMS}."
        )
    order = numpy_stream(root_seed, "factorial", "split").permutation(len(items))
    selected = {items[i] for i in order[:n_select]}
    half = [SELECT if item in selected else CONFIRM for item in frame["item"]]
    return frame.assign(half=half)
