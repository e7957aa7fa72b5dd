"""`report factorial-plots`: the numbers that the figures of the factorial chapter draw.

Must not: draw, or test.
"""

import pandas as pd

from fispace.store.quantities import Frame
from fispace.store.tables import read_csv, read_table, write_csv
from fispace.study.step import Reads, Writes, command

CLAMPED_KINDS = ("candidate", "random", "direction")
ACTIVE_KINDS = ("candidate", "insensitive", "primary", "residual")
FIRST_RANK = 1
UNDECLARED = "none"
OF_A_MEAN = {"arm", "seed", "kind", "rank", "latent", "mode", "clamp", "unit", "value", "low"}
OF_A_MEAN |= {"high", "n", "p", "converged"}
KEYS = ["seed", "kind", "latent"]


@command("factorial", "plots")
def write_factorial_plots(
    *, cells: Reads, points: Reads, fits: Reads, histogram: Reads, activation: Reads, family: Reads,
    counts: list[Reads], clamping: Writes, secondary_activations: Writes, interaction: Writes,
    forest: Writes, generations: Writes,
) -> None:  # fmt: skip
    """Write five tables as CSV, one a figure.

    `clamping` (F4)            change of log-probability by clamp and word cell: mean, items, mixed fit
    `secondary_activations` (F3)  counts of secondary activations where one primary latent is on
    `interaction`              mean activation of the first latent of each kind in the four cells
    `forest`                   every declared hypothesis, in units of its equivalence bound
    `generations`              response words in continuations, and texts changed, by clamp
    """
    write_csv(clamping, clamping_rows(read_csv(cells), read_csv(points), read_csv(fits)))
    write_csv(secondary_activations, read_csv(histogram))
    write_csv(interaction, interaction_rows(read_csv(activation)))
    write_csv(forest, forest_rows(read_table(family)))
    tables = pd.concat([read_csv(path) for path in counts], ignore_index=True)
    write_csv(generations, generation_rows(tables))


def clamping_rows(means: Frame, items: Frame, fits: Frame) -> Frame:
    """Means with intervals over items, each item, and the mixed model's line, of first latents."""
    factors = [name for name in means.columns if name not in OF_A_MEAN]
    multiplied = means[means["mode"] == "multiply"].assign(row="mean")
    fitted = fits.assign(row="fit")
    rows = pd.concat([multiplied, items.assign(row="item"), fitted], ignore_index=True)
    rows = rows[rows["kind"].isin(CLAMPED_KINDS) & (rows["rank"] == FIRST_RANK)]
    rows = rows.assign(cell=cell_names(rows, factors))
    columns = [*KEYS, "row", "cell", "clamp", "item", "value", "low", "high", "n"]
    order = ["seed", "kind", "row", "cell", "clamp", "item"]
    return rows[columns].sort_values(order, kind="stable")


def interaction_rows(activation: Frame) -> Frame:
    """Cell means of the first latent of each kind; `first` and `second` are the factors' levels."""
    first, second = [name for name in activation.columns if name not in OF_A_MEAN]
    own = activation[activation["kind"].isin(ACTIVE_KINDS) & (activation["rank"] == FIRST_RANK)]
    own = own.rename(columns={first: "first", second: "second"})
    return own[[*KEYS, "first", "second", "value", "low", "high", "n"]]


def forest_rows(family: Frame) -> Frame:
    """Declared hypotheses with intervals over items and of the mixed model, divided by the bound."""
    own = family[family["hypothesis"] != UNDECLARED]
    scaled = {
        name: own[name] / own["bound"]
        for name in ("value", "low", "high", "mixed_low", "mixed_high")
        if name in own
    }
    columns = ["hypothesis", "expected", "family", "kind", "rank", "latent", "seed", "value", "low"]
    columns += ["high", "mixed_low", "mixed_high", "p_max", "q", "is_significant_max"]
    columns += ["is_equivalent", "excluded", "n"]
    return own.assign(**scaled)[columns].sort_values(
        ["family", "kind", "rank", "seed"], kind="stable"
    )


def generation_rows(counts: Frame) -> Frame:
    """Sums over seeds: words of each cell and changed texts, also per 100 texts."""
    head = ["arm", "seed", "kind", "latent", "clamp", "decoding", "n_texts", "n_changed", "count"]
    factors = [name for name in counts.columns if name not in head]
    named = counts.assign(cell=cell_names(counts, factors))
    keys = ["kind", "clamp", "decoding", "cell"]
    summed = named.groupby(keys, sort=False)[["count", "n_texts", "n_changed"]].sum().reset_index()
    return summed.assign(
        words_per_100=100 * summed["count"] / summed["n_texts"],
        changed_per_100=100 * summed["n_changed"] / summed["n_texts"],
    )


def cell_names(rows: Frame, factors: list[str]) -> Frame:
    """`level, level` of each row."""
    return rows[factors].astype(str).agg(", ".join, axis=1)
