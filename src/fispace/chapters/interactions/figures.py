"""Figure of the interactions chapter: size and dose-response of the pairs that come first.

Must not: compute; every plotted number is a cell of the table.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from fispace.plotting.style import (
    BLUE,
    COLUMN,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PLAIN,
    SKY,
    VERMILION,
    Frame,
    light_grid,
    new_figure,
)

VERDICT_LOOKS = {
    "none": (GREY, ".", "none"),
    "bending": (VERMILION, "x", "bending of one latent"),
    "graded effect": (SKY, ".", "graded effect"),
    "undecided": (BLUE, "o", "undecided"),
    "missing feature": (ORANGE, "s", "missing feature"),
    "conjunction latent": (INK, "^", "conjunction latent"),
    "interaction": (GREEN, "D", "interaction"),
}
"""Colour, marker and label of the pairs of a verdict, in drawing order."""
TICKS = 6


def volcano(table: Frame) -> Figure:
    """Share of the residual that a pair's product explains, against the p-value of its dose-response.

    Columns: first, second, verdict, share_of_residual, minus_log10_p, label.
    """
    figure, axes = new_figure(COLUMN, 3.2)
    axis: Axes = axes[0, 0]
    for verdict, (colour, marker, label) in VERDICT_LOOKS.items():
        rows = table[table["verdict"] == verdict]
        if len(rows):
            axis.plot(
                rows["share_of_residual"], rows["minus_log10_p"], marker, color=colour,
                markersize=3, markeredgewidth=0.6, label=f"{label} ({len(rows)})", alpha=0.8,
            )  # fmt: skip
    for row in table[table["label"].notna()].to_dict("records"):
        axis.annotate(
            row["label"], (row["share_of_residual"], row["minus_log10_p"]),
            (3, 2), textcoords="offset points", color=INK, fontsize=5.5,
        )  # fmt: skip
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(numticks=TICKS))
    axis.xaxis.set_major_formatter(PLAIN)
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel("share of the residual variance that the product explains")
    axis.set_ylabel("−log₁₀ p: the effect grows with the product")
    light_grid(axis, "both")
    if len(table):
        figure.legend(loc="outside upper center", ncols=2)
    return figure
