"""The benchmark's figure: step times, growth with n_latents, and quality. Must not: compute."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.job import CONTESTANTS
from benchmarks.tables import Tables
from fispace.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    TEXT,
    VERMILION,
    house_style,
    light_grid,
    log_scale,
    new_figure,
)

LOOK = {
    "encoder_product": (GREY, "_"),
    "fispace_sae": (BLUE, "o"),
    "fispace_sae_float32": (BLUE, "."),
    "fispace_sae_bias": (BLUE, "o"),
    "fispace_like_saelens": (INK, "o"),
    "fispace_joint": (SKY, "D"),
    "sparsify": (GREEN, "s"),
    "saelens": (VERMILION, "^"),
    "saelens_sparse": (ORANGE, "v"),
    "dense_sae": (PURPLE, "x"),
    "dense_joint": (PURPLE, "+"),
}
SCALING_LOOK = {
    "nfm_row_sparse": (BLUE, "o-", "row-sparse, all in use"),
    "nfm_row_sparse_skewed": (BLUE, "o--", "row-sparse, Zipf's law"),
    "nfm_row_sparse_few": (BLUE, "o:", "row-sparse, 2,048 in use"),
    "nfm_adam": (ORANGE, "s-", "Adam, all in use"),
    "nfm_adam_few": (ORANGE, "s:", "Adam, 2,048 in use"),
    "row_sums": (GREY, "^-", "sums alone, all in use"),
}
DRAWN_STEPS = tuple(name for name in LOOK if name != "fispace_sae_bias")


def draw(tables: Tables) -> Figure:
    """Three panels; a tool has one colour in all of them."""
    with house_style():
        figure, axes = new_figure(TEXT, 3.0, 1, 3)
        steps, scaling, quality = axes[0]
        _draw_steps(steps, tables["steps"])
        _draw_scaling(scaling, tables["scaling"])
        _draw_quality(quality, tables["quality"])
        figure.legend(*steps.get_legend_handles_labels(), loc="outside lower center", ncols=4)
        return figure


def _draw_steps(axes: Axes, table: pd.DataFrame) -> None:
    table = table[table["device"] == "cpu"]
    for name in DRAWN_STEPS:
        rows = table[table["contestant"] == name]
        colour, marker = LOOK[name]
        label = CONTESTANTS[name].label
        axes.plot(
            rows["n_latents"],
            1000 * rows["median_s"],
            color=colour,
            marker=marker,
            ms=4,
            label=label,
        )
    log_scale(axes, "x")
    log_scale(axes, "y")
    axes.set_xticks(sorted(table["n_latents"].unique()))
    axes.set_title("training step")
    axes.set_xlabel("latents")
    axes.set_ylabel("milliseconds, batch of 4,096 tokens")
    light_grid(axes, "y")


def _draw_scaling(axes: Axes, table: pd.DataFrame) -> None:
    for name, (colour, style, label) in SCALING_LOOK.items():
        rows = table[table["contestant"] == name]
        axes.plot(rows["n_latents"], rows["us_per_token"], style, color=colour, ms=3, label=label)
    log_scale(axes, "x")
    axes.set_xticks(sorted(table["n_latents"].unique()))
    axes.set_ylim(0, 1.9 * table["us_per_token"].max())  # room for the legend
    axes.set_title("NFM parts alone")
    axes.set_xlabel("latents")
    axes.set_ylabel("microseconds a token")
    light_grid(axes, "y")
    axes.legend(loc="upper left")


def _draw_quality(axes: Axes, table: pd.DataFrame) -> None:
    """Every training is a point; studies differ by marker."""
    marks = ("o", "s", "^")
    for marker, (run, of_run) in zip(marks, table.groupby("run", sort=False), strict=False):
        axes.plot([], [], marker, color=INK, ms=3, label=run)
        drawn = of_run[of_run["contestant"].isin(list(LOOK))]  # our own options are in the table
        for name, rows in drawn.groupby("contestant", sort=False):
            axes.plot(rows["lr"], rows["fvu"], marker, color=LOOK[str(name)][0], ms=3, mew=0)
    log_scale(axes, "x")
    log_scale(axes, "y")
    axes.set_xticks(sorted(table["lr"].unique()))
    axes.set_title("SAE quality")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("FVU, held-out documents")
    light_grid(axes, "y")
    axes.legend()
