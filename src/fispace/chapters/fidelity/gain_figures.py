"""Figures of gains and shares: gain by k, gain of arms over their controls, Shapley shares of parts.

Must not: compute; every plotted number is a cell of the table.
"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fispace.chapters.fidelity.tables import GAIN_METRICS
from fispace.plotting.style import (
    BLUE,
    COLUMN,
    GREEN,
    GREY,
    INK,
    LOOKS,
    ORANGE,
    PALE,
    PLAIN,
    TEXT,
    VERMILION,
    Frame,
    Look,
    arm_label,
    light_grid,
    new_figure,
)

MODEL_LOOKS = {
    "arm_trained": (VERMILION, "o", "-", "arm trained on the cut codes (published)"),
    "arm_cut": (ORANGE, "s", ":", "arm trained on whole codes"),
    "decoder_refit": (GREEN, "D", "--", "best linear decoder of the cut codes"),
    "sae_trained": (BLUE, "^", "-.", "SAE trained at this k"),
}
"""Colour, marker, line and label of each model that may recover the loss from cutting k."""
MODEL_STEP = 0.12
"""Distance of neighbouring models, in steps of k on the axis."""
ROW_INCHES = 0.23
SEED_STEP = 0.13
"""Distance of neighbouring seeds, in rows."""
METRIC_LABELS = {"fvu": "variance unexplained", "kl": "KL", "excess_ce": "excess cross-entropy"}
PLAYERS: dict[str, Look] = {
    "decoder": LOOKS["sae"],
    "linear": LOOKS["linear"],
    "bias": LOOKS["bias"],
    "interaction": LOOKS["interaction"],
}
"""Looks of the players of the Shapley values, in the order of their rows; `decoder` is the SAE and the
linear part as one."""
FORM_LABELS = {"published": "SAE always kept", "canonical": "one decoder"}


def gain_curve(table: Frame) -> Figure:
    """Gain of every remedy over the SAE whose codes are cut, by k.

    Small: each seed; large: their mean with its interval. Columns: k, published (the published values
    of k that it stands for), model, seed (empty: the mean), gain, low, high.
    """
    figure, axes = new_figure(COLUMN, 2.9)
    axis: Axes = axes[0, 0]
    ks = sorted(table["k"].unique().tolist())
    axis.axhline(0, color=GREY, linewidth=0.6, linestyle="--")
    for number, (model, look) in enumerate(MODEL_LOOKS.items()):
        shift = (number - (len(MODEL_LOOKS) - 1) / 2) * MODEL_STEP
        rows = table[table["model"] == model].sort_values("k", kind="stable")
        _line(axis, rows.assign(x=[ks.index(k) + shift for k in rows["k"]]), look)
    axis.set_xticks(range(len(ks)), [_k_label(k, table) for k in ks])
    axis.set_xlabel("k of the codes (last: as trained)")
    axis.set_ylabel("gain over the cut SAE\n(share of its error)")
    axis.yaxis.set_major_formatter(PLAIN)
    light_grid(axis, "y")
    handles = [
        Line2D([], [], color=colour, marker=marker, ls=line, ms=3.5, label=label)
        for colour, marker, line, label in MODEL_LOOKS.values()
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=1)
    return figure


def _line(axis: Axes, rows: Frame, look: tuple[str, str, str, str]) -> None:
    colour, marker, line, _ = look
    means, each = rows[rows["seed"].isna()], rows[rows["seed"].notna()]
    axis.vlines(means["x"], means["low"], means["high"], color=colour, linewidth=0.8)
    axis.plot(means["x"], means["gain"], color=colour, marker=marker, ls=line, ms=3.4, lw=0.9)
    axis.plot(each["x"], each["gain"], marker, color=colour, ms=1.5, mew=0, alpha=0.6)


def _k_label(k: int, table: Frame) -> str:
    published = table[table["k"] == k]["published"].iloc[0]
    return f"{k}\n({published})" if pd.notna(published) else str(k)


def arm_controls(table: Frame) -> Figure:
    """Gain of arms over each of their controls, in FVU and KL, as a forest plot.

    Small: each seed with its interval over documents; large: their mean with the interval over seeds.
    Columns: order, arm, control, metric, seed (empty: the mean), gain, low, high.
    """
    labels = table.drop_duplicates("order").sort_values("order").to_dict("records")
    seeds = sorted(table["seed"].dropna().unique().tolist())
    figure, axes = new_figure(TEXT, 0.75 + ROW_INCHES * len(labels), 1, 2, sharey=True)
    for axis, metric in zip(axes[0], GAIN_METRICS, strict=True):
        axis.axvline(0, color=INK, linewidth=0.6)
        for row in table[table["metric"] == metric].to_dict("records"):
            _gain(axis, row, seeds)
        axis.set_title(METRIC_LABELS[metric])
        axis.set_xlabel("gain over the control (share of its loss)")
        axis.xaxis.set_major_formatter(PLAIN)
        axis.tick_params(axis="y", length=0)
        light_grid(axis, "x")
    _bands(axes[0], labels)
    handles = [
        Line2D([], [], color=INK, marker="o", ms=3.4, lw=1.0, label="mean, interval over seeds"),
        Line2D([], [], color=BLUE, marker="o", ms=1.8, lw=0.5, label="a seed, over documents"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def _bands(axes: Any, labels: list[dict[str, Any]]) -> None:
    """Label controls on the left and their arm in bold on the right; shade every other arm."""
    for number, arm in enumerate(dict.fromkeys(row["arm"] for row in labels)):
        orders = [row["order"] for row in labels if row["arm"] == arm]
        if number % 2 == 0:
            for axis in axes:
                axis.axhspan(orders[0] - 0.5, orders[-1] + 0.5, color=PALE, alpha=0.35, lw=0)
        axes[-1].text(
            1.02, (orders[0] + orders[-1]) / 2, arm_label(arm), va="center", fontweight="bold",
            transform=axes[-1].get_yaxis_transform(),
        )  # fmt: skip
    names = [f"over {arm_label(row['control'])}" for row in labels]
    axes[0].set_yticks([row["order"] for row in labels], names)
    axes[0].set_ylim(len(labels) - 0.5, -0.5)


def _gain(axis: Axes, row: dict[str, Any], seeds: list[float]) -> None:
    place = row["order"] - 0.25
    if pd.isna(row["seed"]):
        axis.plot([row["low"], row["high"]], [place, place], color=INK, linewidth=1.0)
        axis.plot(row["gain"], place, "o", color=INK, ms=3.4, mew=0)
        return
    place += SEED_STEP * (1 + seeds.index(row["seed"]))
    axis.plot([row["low"], row["high"]], [place, place], color=BLUE, linewidth=0.5, alpha=0.5)
    axis.plot(row["gain"], place, "o", color=BLUE, ms=1.8, mew=0, alpha=0.7)


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
