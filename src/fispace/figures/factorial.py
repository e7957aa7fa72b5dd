"""Figures of the factorial chapter: clamping, and secondary activations of one primary latent.

Must not: compute; every plotted number is a cell of the table.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fispace.figures.style import (
    BLUE,
    COLUMN,
    GREY,
    ORANGE,
    PLAIN,
    PURPLE,
    TEXT,
    VERMILION,
    Frame,
    light_grid,
    new_figure,
)

CELL_LOOKS = ((BLUE, "o"), (VERMILION, "s"), (PURPLE, "^"), (ORANGE, "D"))
KIND_LABELS = {"candidate": "first candidate", "random": "random latent"}


def clamping(table: Frame) -> Figure:
    """Change of log-probability of the words of each cell against the clamp (paper F4).

    Columns: seed, kind, latent, row (mean or item), cell, clamp, item, value, low, high, n.
    """
    kinds = [kind for kind in KIND_LABELS if kind in set(table["kind"])]
    seeds = sorted(table["seed"].unique())
    size = (TEXT, 0.6 + 1.55 * len(kinds))
    figure, axes = new_figure(*size, len(kinds), len(seeds), sharex=True, sharey=True)
    cells = sorted(table["cell"].unique())
    looks = dict(zip(cells, CELL_LOOKS, strict=False))
    for i, kind in enumerate(kinds):
        for j, seed in enumerate(seeds):
            own = table[(table["kind"] == kind) & (table["seed"] == seed)]
            _panel(axes[i, j], own, looks)
            latent = own["latent"].iloc[0] if len(own) else "none"
            axes[i, j].set_title(f"{KIND_LABELS[kind]} {latent}, seed {seed}")
        axes[i, 0].set_ylabel("Δ log-probability (nats)")
        axes[i, 0].yaxis.set_major_formatter(PLAIN)
    figure.supxlabel("multiplier of the secondary latent (1 leaves it as it is)", fontsize=7.5)
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=3.5, label=f"words: {cell}")
        for cell, (colour, marker) in looks.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    return figure


def _panel(axis: Axes, rows: Frame, looks: dict[str, tuple[str, str]]) -> None:
    axis.axhline(0, color=GREY, linewidth=0.6)
    for number, (cell, (colour, marker)) in enumerate(looks.items()):
        offset = (number - 1.5) * 0.12  # so that intervals of the cells do not hide each other
        own = rows[rows["cell"] == cell]
        items, means = own[own["row"] == "item"], own[own["row"] == "mean"].sort_values("clamp")
        axis.plot(items["clamp"] + offset, items["value"], ".", color=colour, ms=1.5, alpha=0.25)
        x = means["clamp"] + offset
        axis.vlines(x, means["low"], means["high"], color=colour, linewidth=1.0)
        axis.plot(x, means["value"], color=colour, marker=marker, ms=2.8, linewidth=0.9)
    light_grid(axis, "y")


def secondary_activations(table: Frame) -> Figure:
    """Secondary activations on tokens where the strongest primary latent is active (paper F3).

    Columns: arm, seed, primary_latent, bin_low, bin_high, count. Only active latents are counted;
    a latent that is alone adds nothing, since pooling sums over pairs.
    """
    seeds = sorted(table["seed"].unique())
    figure, axes = new_figure(COLUMN, 2.4)
    axis: Axes = axes[0, 0]
    for seed, (colour, _) in zip(seeds, CELL_LOOKS * len(seeds), strict=False):
        rows = table[table["seed"] == seed]
        edges = [*rows["bin_low"], rows["bin_high"].iloc[-1]]
        label = f"seed {seed}, primary latent {rows['primary_latent'].iloc[0]}"
        axis.stairs(rows["count"], edges, color=colour, label=label, linewidth=1.0)
    axis.set_yscale("symlog", linthresh=1)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("activation of a secondary latent")
    axis.set_ylabel("token-latent pairs")
    axis.set_title("with the token's other latents\n(alone, its pooling is exactly zero)")
    figure.legend(loc="outside upper center", ncols=1)
    light_grid(axis, "y")
    return figure
