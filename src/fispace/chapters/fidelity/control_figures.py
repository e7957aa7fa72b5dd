"""Figures of matched errors (errors of one size), of Shapley shares, and of KL along the window.

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
    LOOKS,
    ORANGE,
    PALE,
    PLAIN,
    PURPLE,
    SKY,
    TEXT,
    VERMILION,
    Frame,
    Look,
    arm_label,
    light_grid,
    log_scale,
    new_figure,
)

ROW_INCHES = 0.138
FAMILY_LOOKS = {
    "reconstruction": (VERMILION, "o", "reconstruction"),
    "shuffled_error": (PURPLE, "s", "another token's error"),
    "covariance_noise": (BLUE, "^", "same mean and covariance"),
    "cosine_noise": (ORANGE, "v", "same angle to the activation"),
    "epsilon_random": (GREY, "D", "isotropic error"),
}
"""Colour, marker and label of the reconstruction and of every matched error."""

PLAYERS: dict[str, Look] = {
    "decoder": LOOKS["sae"],
    "linear": LOOKS["linear"],
    "bias": LOOKS["bias"],
    "interaction": LOOKS["interaction"],
}
"""Looks of what Shapley values are of, in the order of their rows; `decoder` is SAE and linear part as one."""
METRIC_LABELS = {"fvu": "variance unexplained", "kl": "KL", "excess_ce": "excess cross-entropy"}
FORM_LABELS = {"published": "SAE always kept", "canonical": "one decoder"}
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


def matched_errors(table: Frame) -> Figure:
    """KL of all parts of every arm beside errors of the same size that keep less of the error.

    Columns: order, arm, parts, condition, seed, kl, low, high (of documents), n_documents.
    """
    labels = table.drop_duplicates("order").sort_values("order")
    figure, axis = _rows(len(labels))
    axis.set_yticks(range(len(labels)), [FAMILY_LOOKS[c][2] for c in labels["condition"]])
    for number, (arm, rows) in enumerate(labels.groupby("arm", sort=False)):
        first, last = rows["order"].iloc[0], rows["order"].iloc[-1]
        if number % 2 == 0:
            axis.axhspan(first - 0.5, last + 0.5, color=PALE, alpha=0.35, linewidth=0)
        axis.text(
            1.01, (first + last) / 2, arm_label(str(arm)), transform=axis.get_yaxis_transform(),
            va="center", fontweight="bold", fontsize=7,
        )  # fmt: skip
    for row in table.to_dict("records"):
        colour, marker, _ = FAMILY_LOOKS[row["condition"]]
        axis.plot([row["low"], row["high"]], [row["order"]] * 2, color=colour, linewidth=0.8)
        axis.plot(row["kl"], row["order"], marker, color=colour, ms=3, mew=0, alpha=0.85)
    axis.set_xlim(left=0)
    axis.xaxis.set_major_formatter(PLAIN)
    axis.set_xlabel("KL(original ‖ spliced), nats per token; each seed, interval over documents")
    return figure


def shapley(table: Frame) -> Figure:
    """Shapley and leave-one-out shares of every part, in both forms, by metric.

    Columns: order, arm, form, part, metric, measure, seed (empty: the mean over seeds), share, low, high,
    n_documents.
    """
    labels = table.drop_duplicates("order").sort_values("order")
    height = 0.95 + 0.3 * len(labels)
    figure, axes = new_figure(TEXT, height, 1, len(METRIC_LABELS), sharey=True, sharex=True)
    for axis, (metric, title) in zip(axes[0], METRIC_LABELS.items(), strict=True):
        axis.axvline(0, color=INK, linewidth=0.6)
        axis.axvline(1, color=INK, linewidth=0.6)
        for row in table[table["metric"] == metric].to_dict("records"):
            _share(axis, row)
        axis.set_title(title)
        axis.set_xscale(
            "symlog", linthresh=1, linscale=1.2
        )  # parts that cancel have shares far above 1
        axis.xaxis.set_major_formatter(PLAIN)
        axis.tick_params(axis="y", length=0)
        light_grid(axis, "x")
        for place in labels["order"][1:]:
            axis.axhline(place - 0.5, color=PALE, linewidth=0.6)
    names = [f"{arm_label(r['arm'])}:\n{FORM_LABELS[r['form']]}" for r in labels.to_dict("records")]
    axes[0, 0].set_yticks(range(len(labels)), names)
    axes[0, 0].set_ylim(len(labels) - 0.5, -0.5)
    figure.supxlabel("share of what all parts together remove (symmetric log scale)", fontsize=7.5)
    handles = [
        Line2D([], [], color=colour, marker=marker, ls="", ms=4, label=part)
        for part, (colour, marker, *_) in PLAYERS.items()
    ]
    handles += [
        Line2D([], [], color=INK, marker="o", ls="", ms=4, label="Shapley, mean over seeds"),
        Line2D([], [], color=INK, marker="o", ls="", ms=2, alpha=0.5, label="each seed"),
        Line2D([], [], color=INK, marker="|", ls="", ms=6, label="leave one out, mean"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=7, columnspacing=1.1)
    return figure


def _share(axis: Axes, row: dict[str, Any]) -> None:
    colour, marker, *_ = PLAYERS[str(row["part"])]
    place = row["order"] + 0.2 * (list(PLAYERS).index(str(row["part"])) - 1.5)
    is_mean = pd.isna(row["seed"])
    if row["measure"] == "leave_one_out_share":
        if is_mean:
            axis.plot(row["share"], place, "|", color=colour, ms=7, mew=1.2)
    elif is_mean:
        axis.plot(row["share"], place, marker, color=colour, ms=3.6, mew=0)
    else:
        axis.plot([row["low"], row["high"]], [place, place], color=colour, lw=0.6, alpha=0.5)
        axis.plot(row["share"], place, marker, color=colour, ms=1.8, mew=0, alpha=0.5)


def positions(table: Frame) -> Figure:
    """KL by position in the window, reconstruction and isotropic errors, BOS masked and included.

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
            [], [], color=colour, ls=style, label=f"{arm_label(arm)}, {FAMILY_LOOKS[condition][2]}"
        )
        for (arm, condition), (colour, style) in POSITION_LOOKS.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def _rows(n_rows: int) -> tuple[Figure, Axes]:
    figure, axes = new_figure(TEXT, 0.55 + ROW_INCHES * n_rows)
    axis: Axes = axes[0, 0]
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(n_rows - 0.5, -0.5)
    light_grid(axis, "x")
    return figure, axis
