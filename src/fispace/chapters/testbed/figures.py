"""Figure of the planted pairs: recovery, captured variance and gain against their strength.

Must not: compute; every plotted number is a cell of the table.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fispace.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PLAIN,
    SKY,
    TEXT,
    VERMILION,
    Frame,
    light_grid,
    new_figure,
)

ARM_LOOKS = {
    "oracle": (GREEN, "D", "-", "oracle: true codes"),
    "sae": (GREY, "v", "-", "SAE, no interaction"),
    "sequential": (BLUE, "o", "-", "sequential"),
    "sequential_first_order": (SKY, "o", ":", "sequential, first order"),
    "joint": (VERMILION, "s", "-", "joint"),
    "joint_first_order": (ORANGE, "s", ":", "joint, first order"),
}
FOUND, FALSE_PAIRS = "found_functional", "false_functional"
PANELS = (
    ("auc_factor", "planted pairs: factor vectors", "AUC over all pairs"),
    ("auc_functional", "… double differences", "AUC over all pairs"),
    (FOUND, "pairs found (none: false ones)", "share of planted, or of all"),
    ("captured_interaction", "captured by the interaction part", "share of planted variance"),
    ("captured_all", "… by the whole reconstruction", "share of planted variance"),
    ("gain", "gain over a linear readout", "share of its error"),
)
CHANCE = {"auc_factor": 0.5, "auc_functional": 0.5, "gain": 0.0, "captured_interaction": 0.0}
ARM_STEP = 0.13
"""Distance of neighbouring arms, in steps of the share on the axis."""


def planted_pairs(table: Frame) -> Figure:
    """Recovery of planted pairs by their share of the non-linear variance, for every arm.

    Small: each world; large: their mean with its interval. Columns: metric, arm, share, world
    (empty: the mean over worlds), mean, low, high, n.
    """
    figure, axes = new_figure(TEXT, 4.3, 2, 3, sharex=True)
    shares = sorted(table["share"].unique())
    for axis, (metric, title, label) in zip(axes.flat, PANELS, strict=True):
        _panel(axis, table[table["metric"] == metric], shares)
        if metric == FOUND:  # no line joins them, because the false ones are a share of other pairs
            _panel(axis, table[table["metric"] == FALSE_PAIRS], shares)
        if metric in CHANCE:
            axis.axhline(CHANCE[metric], color=GREY, linewidth=0.6, linestyle="--")
        axis.set_title(title)
        axis.set_ylabel(label)
        light_grid(axis, "y")
        axis.yaxis.set_major_formatter(PLAIN)
    labels = ["none" if share == 0 else f"{share:g}" for share in shares]
    axes[0, 0].set_xticks(range(len(shares)), labels)
    figure.supxlabel(
        "share of the planted pairs in the variance that a regression on the features leaves",
        fontsize=7.5,
    )
    handles = [
        Line2D([], [], color=colour, marker=marker, ls=line, ms=3.5, label=label)
        for colour, marker, line, label in ARM_LOOKS.values()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _panel(axis: Axes, rows: Frame, shares: list[float]) -> None:
    for number, (arm, (colour, marker, line, _)) in enumerate(ARM_LOOKS.items()):
        own = rows[rows["arm"] == arm].sort_values("share", kind="stable")
        shift = (number - (len(ARM_LOOKS) - 1) / 2) * ARM_STEP
        means, each = own[own["world"].isna()], own[own["world"].notna()]
        x = [shares.index(share) + shift for share in means["share"]]
        axis.vlines(x, means["low"], means["high"], color=colour, linewidth=0.8)
        axis.plot(x, means["mean"], color=colour, marker=marker, ls=line, ms=3.2, lw=0.8)
        x = [shares.index(share) + shift for share in each["share"]]
        axis.plot(x, each["mean"], marker, color=colour, ms=1.5, mew=0, alpha=0.6)
