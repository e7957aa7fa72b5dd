"""`report factorial-plots`: the numbers that the clamping and the secondary-activation figure draw.

Must not: draw, or test.
"""

from pathlib import Path

import pandas as pd

from fispace.steps.report.long_table import Frame
from fispace.store.tables import read_csv, write_csv

SHOWN_KINDS = ("candidate", "random")
FIRST_RANK = 1
OF_A_MEAN = {"arm", "seed", "kind", "rank", "latent", "clamp", "unit", "value", "low", "high", "n"}


def write_factorial_plots(
    *, cells: Path, points: Path, histogram: Path, clamping: Path, secondary_activations: Path
) -> None:
    """Write two tables as CSV, one a figure.

    `clamping` (F4): change of log-probability by clamp and word cell of the first candidate and of
    a random latent, per seed: the mean over items with its interval, and each item.
    `secondary_activations` (F3): counts of secondary activations where one primary latent is on.
    """
    means = read_csv(cells)
    factors = [name for name in means.columns if name not in OF_A_MEAN]
    means = means[means["kind"].isin(SHOWN_KINDS) & (means["rank"] == FIRST_RANK)]
    items = read_csv(points).assign(kind=SHOWN_KINDS[0])
    rows = pd.concat([means.assign(row="mean"), items.assign(row="item")], ignore_index=True)
    rows["cell"] = rows[factors].astype(str).agg(", ".join, axis=1)
    columns = [
        "seed",
        "kind",
        "latent",
        "row",
        "cell",
        "clamp",
        "item",
        "value",
        "low",
        "high",
        "n",
    ]
    order = ["seed", "kind", "row", "cell", "clamp", "item"]
    shown: Frame = rows[columns]
    write_csv(clamping, shown.sort_values(order, kind="stable"))
    write_csv(secondary_activations, read_csv(histogram))
