"""Figure of the ledger: printed numbers beside ours, and the verdict, one row a claim.

Must not: compute or judge; every plotted number and verdict is a cell of the table.
"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from fispace.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    PLAIN,
    TEXT,
    VERMILION,
    Frame,
    new_figure,
)

ROW_INCHES = 0.122
ANSWERS = {
    "published": (BLUE, "o", "ours, as published", -0.2),
    "controlled": (ORANGE, "D", "ours, controlled", 0.2),
    "on a null": (GREY, "s", "ours, null", 0.0),
    "paper's sizes": (INK, "v", "the paper's sizes alone", 0.1),
}
"""Colour, marker, label and shift of each answer."""
VERDICTS = {
    "reproduced": (GREEN, "o", "full"),
    "reproduced, explained by the null": (ORANGE, "o", "left"),
    "not reproduced": (VERMILION, "o", "none"),
    "not testable at this scale": (GREY, "_", "none"),
}
TICKS = (-100, -10, -1, 0, 1, 10, 100)


def claims(table: Frame) -> Figure:
    """Ours over the printed number, by definition, with intervals over seeds; the verdict beside it.

    Columns: order, claim, printed, answer, ratio, low, high, is_off, limit, verdict.
    """
    rows = table.drop_duplicates("order").sort_values("order").to_dict("records")
    figure, axes = new_figure(TEXT, 0.75 + ROW_INCHES * len(rows))
    axis: Axes = axes[0, 0]
    limit = float(table["limit"].iloc[0])
    axis.set_xscale("symlog", linthresh=1, linscale=1.2)
    axis.set_xlim(-limit, limit)
    axis.xaxis.set_major_locator(FixedLocator(list(TICKS)))
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
        colour, marker, fill = VERDICTS[row["verdict"]]
        axis.plot(
            1.02, row["order"], marker, color=colour, fillstyle=fill, markersize=4, mew=0.9,
            clip_on=False, transform=axis.get_yaxis_transform(), markerfacecoloralt="white",
        )  # fmt: skip
        axis.text(
            1.04, row["order"], row["verdict"], va="center", fontsize=5.5,
            transform=axis.get_yaxis_transform(),
        )  # fmt: skip


def _answer(axis: Axes, row: dict[str, Any]) -> None:
    colour, marker, _, shift = ANSWERS[row["answer"]]
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
        for colour, marker, label, _ in ANSWERS.values()
    ]
    return [*found, Line2D([], [], color=INK, linewidth=0.8, label="printed")]
