"""Figures of the factorial chapter's data: clamping, activations by cell, and secondary activations.

Must not: compute; every plotted number is a cell of the table.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fispace.plotting.style import (
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
KIND_LABELS = {
    "candidate": "candidate",
    "random": "random latent",
    "direction": "direction beside",
    "insensitive": "insensitive",
    "primary": "primary",
    "residual": "residual SAE",
}


def clamping(table: Frame) -> Figure:
    """Change of log-probability of the words of each cell against the clamp (paper F4).

    Markers are means with their interval over items, dots are items, lines are fits of the mixed model
    (items and words crossed) with intervals. Each seed has its own scale: its latents are compared with
    their own controls, and effects differ between seeds by orders of magnitude.

    Columns: seed, kind, latent, row (mean, item or fit), cell, clamp, item, value, low, high, n.
    """
    kinds = [kind for kind in KIND_LABELS if kind in set(table["kind"])]
    seeds = sorted(table["seed"].unique())
    size = (TEXT, 0.6 + 1.55 * len(kinds))
    figure, axes = new_figure(*size, len(kinds), len(seeds), sharex=True, sharey="col")
    cells = sorted(table["cell"].unique())
    looks = dict(zip(cells, CELL_LOOKS, strict=False))
    for i, kind in enumerate(kinds):
        for j, seed in enumerate(seeds):
            own = table[(table["kind"] == kind) & (table["seed"] == seed)]
            _panel(axes[i, j], own, looks)
            latent = own["latent"].iloc[0] if len(own) else "none"
            axes[i, j].set_title(f"{KIND_LABELS[kind]} {latent}, seed {seed}")
            axes[i, j].yaxis.set_major_formatter(PLAIN)
        axes[i, 0].set_ylabel("Δ log-probability (nats)")
    axes[0, 0].set_xticks(sorted(table["clamp"].unique()))
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
        own = rows[rows["cell"] == cell].sort_values("clamp", kind="stable")
        items, means, fit = (own[own["row"] == row] for row in ("item", "mean", "fit"))
        axis.plot(items["clamp"] + offset, items["value"], ".", color=colour, ms=1.5, alpha=0.25)
        x = means["clamp"] + offset
        axis.vlines(x, means["low"], means["high"], color=colour, linewidth=1.0)
        axis.plot(x, means["value"], marker, color=colour, ms=2.8)
        axis.plot(fit["clamp"], fit["value"], color=colour, linewidth=0.9)
        axis.fill_between(
            fit["clamp"], fit["low"], fit["high"], color=colour, alpha=0.12, linewidth=0
        )
    light_grid(axis, "y")


def interaction(table: Frame) -> Figure:
    """Mean activation in the four cells of the confirm items; parallel lines mean no interaction.

    Columns: seed, kind, latent, first, second, value, low, high, n. Intervals within items.
    """
    kinds = [kind for kind in KIND_LABELS if kind in set(table["kind"])]
    seeds = sorted(table["seed"].unique())
    figure, axes = new_figure(TEXT, 0.6 + 1.3 * len(kinds), len(kinds), len(seeds), sharex=True)
    for i, kind in enumerate(kinds):
        for j, seed in enumerate(seeds):
            own = table[(table["kind"] == kind) & (table["seed"] == seed)]
            _cell_lines(axes[i, j], own)
            latent = own["latent"].iloc[0] if len(own) else "none"
            axes[i, j].set_title(f"{KIND_LABELS[kind]} {latent}, seed {seed}")
        axes[i, 0].set_ylabel("mean activation")
    levels = list(dict.fromkeys(table["second"]))
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=3.5, label=level)
        for level, (colour, marker) in zip(levels, CELL_LOOKS, strict=False)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _cell_lines(axis: Axes, rows: Frame) -> None:
    levels = list(dict.fromkeys(rows["first"]))
    for second, (colour, marker) in zip(dict.fromkeys(rows["second"]), CELL_LOOKS, strict=False):
        own = rows[rows["second"] == second]
        axis.vlines(range(len(own)), own["low"], own["high"], color=colour, linewidth=1.0)
        axis.plot(range(len(own)), own["value"], color=colour, marker=marker, ms=3)
    axis.set_xticks(range(len(levels)), levels)
    axis.margins(x=0.2)
    light_grid(axis, "y")


def secondary_activations(table: Frame) -> Figure:
    """Secondary activations on tokens where the strongest primary latent is active (paper F3).

    Columns: arm, seed, primary_latent, bin_low, bin_high, count. Only active secondary latents are
    counted. A primary latent alone would add nothing, because pooling is a sum over pairs.
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
