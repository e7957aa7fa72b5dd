"""Figures of the report: the ledger, the audit, and diagrams of the study and its model (paper F1, F2).

Must not: compute or judge; every number, verdict, size and label is a cell of the table.
"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

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
    new_figure,
)

CLAIM_INCHES, SWITCH_INCHES = 0.122, 0.24
"""Height of a row of the ledger, and of the audit."""
ANSWER_LOOKS = {
    "published": (BLUE, "o", "ours, as published", -0.2),
    "controlled": (ORANGE, "D", "ours, controlled", 0.2),
    "on a null": (GREY, "s", "ours, null", 0.0),
    "paper's sizes": (INK, "v", "the paper's sizes alone", 0.1),
}
"""Colour, marker, label and shift of each answer."""
VERDICT_LOOKS = {
    "reproduced": (GREEN, "o", "full"),
    "reproduced, explained by the null": (ORANGE, "o", "left"),
    "not reproduced": (VERMILION, "o", "none"),
    "undecided": (BLUE, "o", "none"),
    "underpowered": (GREY, "o", "none"),
    "not testable at this scale": (GREY, "_", "none"),
}
"""Colour, marker and fill of each verdict."""
RATIO_TICKS = (-100, -10, -1, 0, 1, 10, 100)
GAIN_PANELS = (("mse_gain", "gain in mean squared error"), ("kl_gain", "gain in KL"))
GAIN_TICKS = (-100, -10, -1, -0.5, 0, 0.5, 1)
LINEAR_UP_TO = 1.0
"""Gains are drawn on a linear scale up to here, and on a logarithmic one beyond."""
BOX_FILLS = {"data": (GREY, 0.18), "step": (BLUE, 0.14)} | {
    part: look.fill for part, look in LOOKS.items()
}
"""Colour and opacity of a box by its kind; what the colour says is also its label."""


def claims(table: Frame) -> Figure:
    """Our number over the printed one for each answer, with intervals over seeds, and the verdict.

    Columns: order, claim, printed, answer, ratio, low, high, is_off, limit, verdict.
    """
    rows = table.drop_duplicates("order").sort_values("order").to_dict("records")
    figure, axes = new_figure(TEXT, 0.75 + CLAIM_INCHES * len(rows))
    axis: Axes = axes[0, 0]
    limit = float(table["limit"].iloc[0])
    axis.set_xscale("symlog", linthresh=1, linscale=1.2)
    axis.set_xlim(-limit, limit)
    axis.xaxis.set_major_locator(FixedLocator(list(RATIO_TICKS)))
    axis.xaxis.set_major_formatter(PLAIN)
    axis.xaxis.set_minor_locator(NullLocator())
    axis.axvline(0, color=PALE, linewidth=0.8)
    axis.axvline(1, color=INK, linewidth=0.8)
    _rows(axis, rows)
    for row in table.to_dict("records"):
        if pd.notna(row["ratio"]):
            _answer(axis, row)
    axis.set_xlabel("our number / printed number (symmetric log scale)")
    figure.legend(handles=_handles(), loc="outside upper center", ncols=3)
    return figure


def _rows(axis: Axes, rows: list[dict[str, Any]]) -> None:
    """Labels on the left, verdicts on the right, a band behind every other claim."""
    axis.set_yticks([row["order"] for row in rows], [row["claim"] for row in rows], fontsize=5.5)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    numbers = list(dict.fromkeys(row["claim"].split()[0] for row in rows))
    for row in rows:
        if numbers.index(row["claim"].split()[0]) % 2 == 0:
            axis.axhspan(row["order"] - 0.5, row["order"] + 0.5, color=PALE, alpha=0.35, lw=0)
        colour, marker, fill = VERDICT_LOOKS[row["verdict"]]
        axis.plot(
            1.02, row["order"], marker, color=colour, fillstyle=fill, markersize=4, mew=0.9,
            clip_on=False, transform=axis.get_yaxis_transform(), markerfacecoloralt="white",
        )  # fmt: skip
        axis.text(
            1.04, row["order"], row["verdict"], va="center", fontsize=5.5,
            transform=axis.get_yaxis_transform(),
        )  # fmt: skip


def _answer(axis: Axes, row: dict[str, Any]) -> None:
    colour, marker, _, shift = ANSWER_LOOKS[row["answer"]]
    place = row["order"] + shift
    if row["is_off"]:
        marker = ">" if row["ratio"] > 0 else "<"
    if pd.notna(row["low"]):
        axis.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=0.8)
    axis.plot(row["ratio"], place, marker, color=colour, markersize=2.8, mew=0, clip_on=False)


def _handles() -> list[Line2D]:
    dot: dict[str, Any] = {"linestyle": "", "markersize": 3.5}
    found = [
        Line2D([], [], color=colour, marker=marker, label=label, **dot)
        for colour, marker, label, _ in ANSWER_LOOKS.values()
    ]
    return [*found, Line2D([], [], color=INK, linewidth=0.8, label="printed")]


def audit(table: Frame) -> Figure:
    """Gain of the headline arm over its baseline, in this study and with one weakness, by weakness.

    Filled markers: the interval of the shift, paired by seed, excludes zero. Columns: order, label,
    number, fair, switched, low, high, is_moved, text.
    """
    rows = table.drop_duplicates("order").sort_values("order")
    figure, axes = new_figure(TEXT, 0.95 + SWITCH_INCHES * len(rows), 1, 2, sharey=True)
    for axis, (number, title) in zip(axes.flat, GAIN_PANELS, strict=True):
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
    dot: dict[str, Any] = {"linestyle": "", "markersize": 3.5}
    weak: dict[str, Any] = {"color": VERMILION, "marker": "D", **dot}
    handles = [
        Line2D([], [], color=BLUE, marker="o", label="in this study", **dot),
        Line2D([], [], label="with the weakness: moved", **weak),
        Line2D([], [], mfc="white", label="not shown to move", **weak),
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
    ticks = [tick for tick in GAIN_TICKS if tick >= lowest * 1.3]
    axis.xaxis.set_major_locator(FixedLocator(ticks))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def pipeline(table: Frame) -> Figure:
    """The study from text to claims, one box a chapter (paper F1).

    Columns: shape (box, arrow, text), kind, x, y, width, height, label, detail.
    """
    return _diagram(table, TEXT)


def architecture(table: Frame) -> Figure:
    """The integrated model, one box a module with its sizes (paper F2). Columns as in `pipeline`."""
    return _diagram(table, COLUMN)


def _diagram(table: Frame, width: float) -> Figure:
    """Boxes, arrows and texts; lengths in inches from the lower left corner."""
    height = float((table["y"] + table["height"].where(table["shape"] == "box", 0)).max()) + 0.05
    figure, axes = new_figure(width, height)
    axis: Axes = axes[0, 0]
    axis.set_xlim(0, width)
    axis.set_ylim(0, height)
    axis.set_axis_off()
    for row in table.to_dict("records"):
        if row["shape"] == "box":
            _box(axis, row)
        elif row["shape"] == "arrow":
            _arrow(axis, row)
        else:
            axis.text(row["x"], row["y"], row["label"], ha="center", va="center", fontsize=6)
    return figure


def _box(axis: Axes, row: dict[str, Any]) -> None:
    x, y, width, height = (row[name] for name in ("x", "y", "width", "height"))
    colour, alpha = BOX_FILLS[str(row["kind"])]
    look: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.05", "linewidth": 0}
    axis.add_patch(FancyBboxPatch((x, y), width, height, facecolor=colour, alpha=alpha, **look))
    has_detail = isinstance(row["detail"], str)
    middle, centre = x + width / 2, y + height / 2
    name = str(row["label"])
    shift = 0.5 * min(0.2, height / 2.6) if has_detail else 0.0
    axis.text(middle, centre + shift, name, ha="center", va="center", fontsize=6.5, weight="bold")
    if has_detail:
        axis.text(
            middle, centre - shift, str(row["detail"]), ha="center", va="center", fontsize=5.5
        )


def _arrow(axis: Axes, row: dict[str, Any]) -> None:
    """From (x, y) to (x + width, y + height)."""
    x, y, width, height = (row[name] for name in ("x", "y", "width", "height"))
    look: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 6, "shrinkA": 0, "shrinkB": 0}
    end = (x + width, y + height)
    axis.add_patch(FancyArrowPatch((x, y), end, color=INK, linewidth=0.8, **look))
