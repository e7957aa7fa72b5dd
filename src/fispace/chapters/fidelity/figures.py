"""Figures of losses: by arm and parts, beside errors of the same size, and by position in the window.

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
    PLAIN,
    PURPLE,
    SKY,
    TEXT,
    VERMILION,
    Frame,
    arm_label,
    light_grid,
    log_scale,
    new_figure,
)

ROW_INCHES = 0.138
ERROR_LOOKS = {
    "reconstruction": (VERMILION, "o", "reconstruction"),
    "shuffled_error": (PURPLE, "s", "another token's error"),
    "covariance_noise": (BLUE, "^", "same mean and covariance"),
    "cosine_noise": (ORANGE, "v", "same angle to the activation"),
    "epsilon_random": (GREY, "D", "isotropic error"),
}
"""Colour, marker and label of the reconstruction and of every matched error."""
POSITION_LOOKS = {
    ("sae_bias", "reconstruction"): (BLUE, "-"),
    ("sae_bias", "epsilon_random"): (SKY, ":"),
    ("joint", "reconstruction"): (VERMILION, "-"),
    ("joint", "epsilon_random"): (ORANGE, ":"),
}
SPECIAL_LABELS = {
    "masked": "special tokens keep their activations",
    "included": "special tokens replaced and scored",
}
KL_LOOKS = {
    "reconstruction": (VERMILION, "o", -0.14, "reconstruction, each seed, interval over documents"),
    "epsilon_random": (GREY, "D", 0.14, "random error of the same size"),
}
"""Colour, marker, shift from the row's middle, and label of each condition."""
CONTROL_HANDLE = Line2D([], [], ls="--", color=GREY, lw=0.8, label="SAE with bias, trained alone")


def reconstruction(table: Frame) -> Figure:
    """FVU of every arm with all its parts and with parts dropped after training.

    Columns: order, arm, parts, is_full, seed (empty: the mean over seeds), fvu, control_fvu.
    """
    figure, axis, places = _rows_by_arm(table)
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
    figure, axis, places = _rows_by_arm(table)
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


def matched_errors(table: Frame) -> Figure:
    """KL of all parts of every arm, beside errors of the same size that keep less of the error.

    Columns: order, arm, parts, condition, seed, kl, low, high (of documents), n_documents.
    """
    labels = table.drop_duplicates("order").sort_values("order")
    figure, axis = _plain_rows(len(labels))
    axis.set_yticks(range(len(labels)), [ERROR_LOOKS[c][2] for c in labels["condition"]])
    for number, (arm, rows) in enumerate(labels.groupby("arm", sort=False)):
        first, last = rows["order"].iloc[0], rows["order"].iloc[-1]
        if number % 2 == 0:
            axis.axhspan(first - 0.5, last + 0.5, color=PALE, alpha=0.35, linewidth=0)
        axis.text(
            1.01, (first + last) / 2, arm_label(str(arm)), transform=axis.get_yaxis_transform(),
            va="center", fontweight="bold", fontsize=7,
        )  # fmt: skip
    for row in table.to_dict("records"):
        colour, marker, _ = ERROR_LOOKS[row["condition"]]
        axis.plot([row["low"], row["high"]], [row["order"]] * 2, color=colour, linewidth=0.8)
        axis.plot(row["kl"], row["order"], marker, color=colour, ms=3, mew=0, alpha=0.85)
    axis.set_xlim(left=0)
    axis.xaxis.set_major_formatter(PLAIN)
    axis.set_xlabel("KL(original ‖ spliced), nats per token; each seed, interval over documents")
    return figure


def positions(table: Frame) -> Figure:
    """KL by position in the window for reconstruction and isotropic errors, BOS masked and included.

    Columns: special_tokens, arm, condition, position, kl, n_seeds, n_documents.
    """
    figure, axes = new_figure(TEXT, 2.4, 1, len(SPECIAL_LABELS), sharex=True, sharey=True)
    for axis, (special_tokens, title) in zip(axes[0], SPECIAL_LABELS.items(), strict=True):
        of_panel = table[table["special_tokens"] == special_tokens]
        for (arm, condition), (colour, style) in POSITION_LOOKS.items():
            rows = of_panel[(of_panel["arm"] == arm) & (of_panel["condition"] == condition)]
            axis.plot(rows["position"], rows["kl"], style, color=colour, linewidth=1.0)
        axis.set_title(title)
        axis.set_xlabel("position in the window (0 is BOS)")
        light_grid(axis, "y")
    log_scale(axes[0, 0], "y")
    axes[0, 0].set_ylabel("KL, nats (log scale)")
    handles = [
        Line2D(
            [], [], color=colour, ls=style, label=f"{arm_label(arm)}, {ERROR_LOOKS[condition][2]}"
        )
        for (arm, condition), (colour, style) in POSITION_LOOKS.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def _rows_by_arm(table: Frame) -> tuple[Figure, Axes, dict[int, int]]:
    """Figure with one row per condition below the name of its arm, and each row's height by order."""
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


def _plain_rows(n_rows: int) -> tuple[Figure, Axes]:
    figure, axes = new_figure(TEXT, 0.55 + ROW_INCHES * n_rows)
    axis: Axes = axes[0, 0]
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(n_rows - 0.5, -0.5)
    light_grid(axis, "x")
    return figure, axis
