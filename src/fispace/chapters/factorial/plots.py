"""`factorial plots` and `factorial calibration-plots`: the numbers that the chapter's figures draw.

Must not: draw, simulate, or test.
"""

import pandas as pd

from fispace.chapters.factorial.tables import (
    ACTIVATION_CELLS,
    CALIBRATION_PLOT,
    CLAMP_CELLS,
    CLAMP_FITS,
    CLAMP_ITEMS,
    CLAMPING_PLOT,
    FAMILY_PLOT,
    FIRST_RANK,
    GENERATION_COUNTS,
    GENERATIONS_PLOT,
    HISTOGRAM,
    INTERACTION_PLOT,
    UNDECLARED,
)
from fispace.store.quantities import Frame
from fispace.store.tables import read_csv, read_table, write_csv
from fispace.study.step import Reads, Writes, command

CLAMPED_KINDS = ("candidate", "random", "direction")
ACTIVE_KINDS = ("candidate", "insensitive", "primary", "residual")
KEYS = ["seed", "kind", "latent"]


@command("factorial", "plots")
def write_factorial_plots(
    *, cells: Reads, points: Reads, fits: Reads, histogram: Reads, activation: Reads, family: Reads,
    counts: list[Reads], clamping: Writes, secondary_activations: Writes, interaction: Writes,
    forest: Writes, generations: Writes,
) -> None:  # fmt: skip
    """Write five tables as CSV, one per figure.

    `clamping` (F4)            change of log-probability by clamp and word cell: mean, items, mixed fit
    `secondary_activations` (F3)  counts of secondary activations where one primary latent is active
    `interaction`              mean activation of the first latent of each kind in the four cells
    `forest`                   every declared hypothesis, in units of its equivalence bound
    `generations`              response words in continuations, and texts changed, by clamp
    """
    means, items = read_csv(cells, CLAMP_CELLS), read_csv(points, CLAMP_ITEMS)
    rows = clamping_rows(means, items, read_csv(fits, CLAMP_FITS))
    write_csv(clamping, rows, CLAMPING_PLOT)
    write_csv(secondary_activations, read_csv(histogram, HISTOGRAM), HISTOGRAM)
    rows = interaction_rows(read_csv(activation, ACTIVATION_CELLS))
    write_csv(interaction, rows, INTERACTION_PLOT)
    write_csv(forest, forest_rows(read_table(family)), FAMILY_PLOT)
    tables = pd.concat([read_csv(path, GENERATION_COUNTS) for path in counts], ignore_index=True)
    write_csv(generations, generation_rows(tables), GENERATIONS_PLOT)


def clamping_rows(means: Frame, items: Frame, fits: Frame) -> Frame:
    """For the first latent of each kind: means with intervals, single items, and the fitted line."""
    factors = CLAMP_CELLS.factors(means)
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
    first, second = ACTIVATION_CELLS.factors(activation)
    own = activation[activation["kind"].isin(ACTIVE_KINDS) & (activation["rank"] == FIRST_RANK)]
    own = own.rename(columns={first: "first", second: "second"})
    return own[[*KEYS, "first", "second", "value", "low", "high", "n"]]


def forest_rows(family: Frame) -> Frame:
    """Estimates and intervals (over items, and mixed model) of declared hypotheses, over the bound."""
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
    """Response words of each cell and changed texts, summed over seeds; also per 100 texts."""
    named = counts.assign(cell=cell_names(counts, GENERATION_COUNTS.factors(counts)))
    keys = ["kind", "clamp", "decoding", "cell"]
    summed = named.groupby(keys, sort=False)[["count", "n_texts", "n_changed"]].sum().reset_index()
    return summed.assign(
        words_per_100=100 * summed["count"] / summed["n_texts"],
        changed_per_100=100 * summed["n_changed"] / summed["n_texts"],
    )


def cell_names(rows: Frame, factors: list[str]) -> Frame:
    """Name of each row's cell: the levels of both factors, joined by a comma."""
    return rows[factors].agg(", ".join, axis=1)


@command("factorial", "calibration-plots", target="full")
def write_calibration_plots(*, table: Reads, calibration: Writes) -> None:
    """Write false-positive rates with their permitted range, and the power curve, as one CSV."""
    rows: Frame = read_table(table)
    rates = rows[rows["table"] == "calibration"]
    power = rows[rows["table"] == "power"]
    shown: Frame = pd.concat([rates, power], ignore_index=True)
    write_csv(calibration, shown[list(CALIBRATION_PLOT.columns)], CALIBRATION_PLOT)
