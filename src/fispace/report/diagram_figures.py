"""Diagrams of the study and of its model, from a table of boxes and arrows (paper F1, F2).

Must not: know what the boxes mean; sizes and labels are cells of the table.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from fispace.plotting.style import (
    BLUE,
    COLUMN,
    GREY,
    INK,
    LOOKS,
    TEXT,
    Frame,
    new_figure,
)

FILLS = {"data": (GREY, 0.18), "step": (BLUE, 0.14)} | {
    part: look.fill for part, look in LOOKS.items()
}
"""Colour and opacity of a box by its kind; what the colour says is also its label."""


def pipeline(table: Frame) -> Figure:
    """The study from text to claims, one box a chapter (paper F1).

    Columns: shape (box, arrow, text), kind, x, y, width, height, label, detail.
    """
    return _diagram(table, TEXT)


def architecture(table: Frame) -> Figure:
    """The integrated model, one box a module with its sizes (paper F2). Columns as in `pipeline`."""
    return _diagram(table, COLUMN)


def _diagram(table: Frame, width: float) -> Figure:
    """Boxes, arrows and texts in inches, the origin at the lower left."""
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
    colour, alpha = FILLS[str(row["kind"])]
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
    """From (x, y), as far as width and height say."""
    x, y, width, height = (row[name] for name in ("x", "y", "width", "height"))
    look: dict[str, Any] = {
        "arrowstyle": "-|>",
        "mutation_scale": 6,
        "color": INK,
        "linewidth": 0.8,
    }
    end = (x + width, y + height)
    axis.add_patch(FancyArrowPatch((x, y), end, shrinkA=0, shrinkB=0, **look))
