"""Figures of the fidelity chapter: reconstruction by arm and parts, KL beside random errors.

Must not: compute; every plotted number is a cell of the table.
"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fispace.plotting.style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    PALE,
    TEXT,
    VERMILION,
    Frame,
    arm_label,
    light_grid,
    log_scale,
    new_figure,
)

ROW_INCHES = 0.138


def reconstruction(table: Frame) -> Figure:
    """FVU of every arm with all its parts and with parts dropped after training.

    Columns: order, arm, parts, is_full, seed (empty: the mean over seeds), fvu, control_fvu.
    """
    figure, axis, places = _rows_figure(table)
    _control_line(axis, table["control_fvu"].iloc[0])
    for row in table.to_dict("records"):
        colour, place = BLUE if row["is_full"] else ORANGE, places[row["order"]]
        if pd.isna(row["seed"]):
            axis.plot(row["fvu"], place, "|", color=colour, markersize=9, markeredgewidth=1.8)
        else:
            axis.plot(row["fvu"], place, "o", color=colour, markersize=3, alpha=0.6, mew=0)
    axis.set_xlabel("fraction of variance unexplained, test split (log scale)")
    dot: dict[str, Any] = {"marker": "o", "linestyle": "", "markersize": 3.5}
    handles = [
        Line2D([], [], color=BLUE, label="all trained parts", **dot),
        Line2D([], [], color=ORANGE, label="parts dropped after training", **dot),
        Line2D([], [], marker="|", ls="", color=INK, ms=8, mew=1.6, label="mean over seeds"),
        CONTROL_HANDLE,
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def kl(table: Frame) -> Figure:
    """KL of every arm and parts, and of random errors of the same size.

    Columns: order, arm, parts, is_full, condition, seed, kl, low, high (of documents), control_kl.
    """
    figure, axis, places = _rows_figure(table)
    _control_line(axis, table["control_kl"].iloc[0])
    for row in table.to_dict("records"):
        colour, marker, shift, _ = KL_LOOKS[row["condition"]]
        place = places[row["order"]] + shift
        axis.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=0.7)
        axis.plot(row["kl"], place, marker, color=colour, markersize=2.6, mew=0, alpha=0.8)
    axis.set_xlabel("KL(original ‖ spliced), nats per token (log scale)")
    handles = [
        Line2D([], [], marker=marker, lw=0.7, ms=3.5, color=colour, label=label)
        for colour, marker, _, label in KL_LOOKS.values()
    ]
    figure.legend(handles=[*handles, CONTROL_HANDLE], loc="outside upper center", ncols=3)
    return figure


KL_LOOKS = {
    "reconstruction": (VERMILION, "o", -0.14, "reconstruction, each seed, interval over documents"),
    "epsilon_random": (GREY, "D", 0.14, "random error of the same size"),
}
"""Colour, marker, shift from the row's middle, and label of each condition."""
CONTROL_HANDLE = Line2D([], [], ls="--", color=GREY, lw=0.8, label="SAE with bias, trained alone")


def _rows_figure(table: Frame) -> tuple[Figure, Axes, dict[int, int]]:
    """Figure with one row a condition below its arm's name, and the height of each row by order."""
    rows = table.drop_duplicates("order").sort_values("order").to_dict("records")
    labels: list[str] = []
    places: dict[int, int] = {}
    headers: list[int] = []
    for row, previous in zip(rows, [None, *rows], strict=False):
        if previous is None or row["arm"] != previous["arm"]:
            headers.append(len(labels))
            labels.append(arm_label(row["arm"]))
        places[row["order"]] = len(labels)
        labels.append(row["parts"].replace("+", " + "))
    figure, axes = new_figure(TEXT, 0.75 + ROW_INCHES * len(labels))
    axis: Axes = axes[0, 0]
    axis.set_yticks(range(len(labels)), labels)
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(len(labels) - 0.5, -0.5)
    for header in headers:
        axis.get_yticklabels()[header].set_fontweight("bold")
        axis.axhspan(header - 0.5, header + 0.5, color=PALE, alpha=0.45, linewidth=0)
    log_scale(axis, "x")
    light_grid(axis, "x")
    return figure, axis, places


def _control_line(axis: Axes, value: float) -> None:
    if pd.notna(value):
        axis.axvline(value, color=GREY, linestyle="--", linewidth=0.8)
