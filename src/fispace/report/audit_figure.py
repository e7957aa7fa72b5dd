"""Figure of the audit: where each weakness of the published study alone moves the headline gains.

Must not: compute; every plotted number and text is a cell of the table.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

from fispace.plotting.style import BLUE, GREY, PALE, TEXT, VERMILION, Frame, new_figure

PANELS = (("mse_gain", "gain in mean squared error"), ("kl_gain", "gain in KL"))
LINEAR_UP_TO = 1.0
"""Gains are drawn on a linear scale up to here, and on a logarithmic one beyond."""
TICKS = (-100, -10, -1, -0.5, 0, 0.5, 1)
ROW_INCHES = 0.24


def audit(table: Frame) -> Figure:
    """Gain of the headline arm over its baseline, fair and with one weakness, by weakness.

    Filled: the shift, paired by seed, is beyond zero. Columns: order, label, number, fair, switched,
    low, high, is_moved, text.
    """
    rows = table.drop_duplicates("order").sort_values("order")
    figure, axes = new_figure(TEXT, 0.95 + ROW_INCHES * len(rows), 1, 2, sharey=True)
    for axis, (number, title) in zip(axes.flat, PANELS, strict=True):
        _panel(axis, table[table["number"] == number])
        axis.set_title(title)
    first: Axes = axes[0, 0]
    first.set_yticks(rows["order"].tolist(), rows["label"].tolist())
    first.set_ylim(len(rows) - 0.5, -0.5)
    for row in table[table["text"].notna()].to_dict("records"):
        first.text(
            0.02, row["order"], row["text"], va="center", transform=first.get_yaxis_transform(),
            in_layout=False,
        )  # fmt: skip
    figure.supxlabel("1 − arm / baseline (linear up to ±100 %, logarithmic beyond)", fontsize=7.5)
    handles = [
        Line2D([], [], color=BLUE, marker="o", ls="", ms=3.5, label="in this study"),
        Line2D(
            [], [], color=VERMILION, marker="D", ls="", ms=3.5, label="with the weakness: moved"
        ),
        Line2D(
            [],
            [],
            color=VERMILION,
            marker="D",
            ls="",
            ms=3.5,
            mfc="white",
            label="not shown to move",
        ),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


def _panel(axis: Axes, rows: Frame) -> None:
    axis.set_xscale("symlog", linthresh=LINEAR_UP_TO, linscale=2.0)
    axis.axvline(0, color=GREY, linewidth=0.6, linestyle="--")
    for row in rows.to_dict("records"):
        place = row["order"]
        axis.plot([row["fair"], row["switched"]], [place, place], color=PALE, lw=1.6, zorder=1)
        if pd.notna(row["low"]):
            axis.plot([row["low"], row["high"]], [place, place], color=VERMILION, lw=0.8)
        axis.plot(row["fair"], place, "o", color=BLUE, ms=3.2, mew=0)
        fill = VERMILION if row["is_moved"] else "white"
        axis.plot(row["switched"], place, "D", color=VERMILION, mfc=fill, ms=3.2, mew=0.7)
    lowest = min([-1.0, *rows["low"].dropna(), *rows["switched"]])
    axis.set_xlim(lowest * 1.3, 1.15)
    axis.xaxis.set_major_locator(FixedLocator([tick for tick in TICKS if tick >= lowest * 1.3]))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
