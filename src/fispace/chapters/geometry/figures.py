"""Figures of the geometry chapter: norm histograms, contribution ratios, spectra, with their nulls.

Must not: compute; every plotted number is a cell of the table.
"""

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator

from fispace.plotting.style import (
    BLUE,
    COLUMN,
    GREY,
    INK,
    LOOKS,
    ORANGE,
    SKY,
    TEXT,
    Frame,
    arm_label,
    light_grid,
    log_scale,
    new_figure,
)

RATIO_LABELS = {
    "total": "both NFM parts",
    "linear": LOOKS["linear"].label,
    "interaction": "factor vectors",
    "decoder": LOOKS["sae"].label,
}
STATE_LABELS = {
    "trained": "trained",
    "decoder_trained": "null: only the decoder's norms trained",
    "initial": "null: initial weights",
    "marchenko_pastur": "null: random matrix (Marchenko–Pastur)",
}
GROUP_PLACES = {"low": 0.0, "high": 1.0}
HALF_WIDTH = 0.42
HEADROOM = 1.8
"""Height of the norm histograms / the highest trained bin; the narrow initial peak is cut off."""
SQUARED_NORM = "squared norm of the decoder row"


def norms(table: Frame) -> Figure:
    """Histograms of the squared decoder norms, trained and initial, above firing rates (F6, F7).

    Columns: arm, state, bin_low, bin_high, bin_middle, share, never_fired, firing_rate, mean, n_seeds.
    """
    arms = list(dict.fromkeys(table["arm"]))
    figure, axes = new_figure(
        COLUMN,
        1.95 * len(arms) + 0.6,
        2 * len(arms),
        1,
        sharex=True,
        height_ratios=[2, 1] * len(arms),
    )
    for number, arm in enumerate(arms):
        of_arm = table[table["arm"] == arm]
        upper, lower = axes[2 * number : 2 * number + 2, 0]
        _norm_histogram(upper, of_arm)
        upper.set_title(arm_label(arm))
        _firing_rates(lower, of_arm[of_arm["state"] == "trained"])
        upper.set_ylim(0, HEADROOM * table.loc[table["state"] == "trained", "share"].max())
    log_scale(axes[0, 0], "x")
    axes[-1, 0].set_xlabel(f"{SQUARED_NORM} (log scale)")
    handles: list[Artist] = [
        Patch(color=BLUE, alpha=0.85, label="trained, fired on test tokens"),
        Patch(color=ORANGE, alpha=0.9, label="trained, never fired"),
        Line2D([], [], color=GREY, linewidth=1.2, label=STATE_LABELS["initial"]),
        Line2D([], [], color=INK, linestyle="--", linewidth=0.9, label="mean, trained"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure


def _norm_histogram(axis: Axes, of_arm: Frame) -> None:
    """Trained latents stacked by whether they fired; initial norms as an outline."""
    trained, initial = (of_arm[of_arm["state"] == name] for name in ("trained", "initial"))
    edges = [*trained["bin_low"], trained["bin_high"].iloc[-1]]
    axis.stairs(trained["share"], edges, fill=True, color=BLUE, alpha=0.85, linewidth=0)
    axis.stairs(trained["never_fired"], edges, fill=True, color=ORANGE, linewidth=0)
    axis.stairs(initial["share"], edges, color=GREY, linewidth=1.2)
    peak = initial.loc[initial["share"].idxmax()]
    axis.annotate(
        f"up to {peak['share']:.2f}", (peak["bin_high"], 0.98), (4, 0), color=GREY, fontsize=6,
        va="top", xycoords=axis.get_xaxis_transform(), textcoords="offset points",
    )  # fmt: skip
    axis.axvline(trained["mean"].iloc[0], color=INK, linewidth=0.9, linestyle="--")
    axis.set_ylabel("share of latents")
    light_grid(axis, "y")


def _firing_rates(axis: Axes, trained: Frame) -> None:
    shown = trained[trained["firing_rate"] > 0]
    axis.plot(shown["bin_middle"], shown["firing_rate"], "o", color=BLUE, markersize=2.4, mew=0)
    log_scale(axis, "y")
    axis.yaxis.set_major_locator(LogLocator())
    axis.set_ylabel("mean\nfiring rate")
    light_grid(axis, "y")


def norm_ratios(table: Frame) -> Figure:
    """Violins of the four published ratios by norm group, beside a null (paper F8).

    Columns: state, ratio, group, n, position, density, quartile_1, median, quartile_3.
    """
    figure, axes = new_figure(TEXT, 2.3, 1, len(RATIO_LABELS), sharey=True)
    for axis, ratio in zip(axes[0], RATIO_LABELS, strict=True):
        of_ratio = table[table["ratio"] == ratio]
        for (state, group), rows in of_ratio.groupby(["state", "group"]):
            _half_violin(axis, rows, GROUP_PLACES[str(group)], is_left=state == "trained")
        axis.set_title(RATIO_LABELS[ratio])
        axis.set_xticks(list(GROUP_PLACES.values()), [f"{name} norm" for name in GROUP_PLACES])
        axis.set_xlim(-0.6, 1.6)
        axis.set_ylim(0, 1)
        light_grid(axis, "y")
        _note_missing(axis, set(of_ratio["group"]))
    axes[0, 0].set_ylabel("share of the summed norms")
    handles: list[Artist] = [
        Patch(color=BLUE, alpha=0.8, label=STATE_LABELS["trained"]),
        Patch(color=GREY, alpha=0.6, label=STATE_LABELS["decoder_trained"]),
        Line2D([], [], color=INK, lw=1.8, marker="o", ms=3, mfc="white", label="quartiles, median"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


def _half_violin(axis: Axes, rows: Frame, place: float, *, is_left: bool) -> None:
    """Outline to one side of the place; its width is the density relative to its own maximum."""
    side, colour, alpha = (-1, BLUE, 0.8) if is_left else (1, GREY, 0.6)
    width = rows["density"] * (HALF_WIDTH / rows["density"].max())
    axis.fill_betweenx(
        rows["position"], place, place + side * width, color=colour, alpha=alpha, linewidth=0
    )
    first, middle = rows.iloc[0], place + side * 0.05
    axis.vlines(middle, first["quartile_1"], first["quartile_3"], color=INK, linewidth=1.8)
    axis.plot(middle, first["median"], "o", color="white", markersize=2.4, mec=INK, mew=0.6)


def _note_missing(axis: Axes, groups: set[str]) -> None:
    for group, place in GROUP_PLACES.items():
        if group not in groups:
            axis.text(place, 0.5, "no latent", ha="center", va="center", color=GREY, rotation=90)


def ratio_scatter(table: Frame) -> Figure:
    """Each latent's four ratios against its squared decoder norm, with both nulls (paper F9).

    Columns: state, ratio, latent, squared_norm, value.
    """
    figure, axes = new_figure(TEXT, 2.3, 1, len(RATIO_LABELS), sharey=True, sharex=True)
    looks = {"decoder_trained": (GREY, "s"), "trained": (BLUE, "o"), "initial": (ORANGE, "^")}
    for axis, ratio in zip(axes[0], RATIO_LABELS, strict=True):
        for state, (colour, marker) in looks.items():
            rows = table[(table["ratio"] == ratio) & (table["state"] == state)]
            axis.plot(
                rows["squared_norm"], rows["value"], marker, color=colour, markersize=1.8,
                markeredgewidth=0, alpha=0.55,
            )  # fmt: skip
        axis.set_title(RATIO_LABELS[ratio])
        axis.set_ylim(0, 1)
        light_grid(axis, "y")
    log_scale(axes[0, 0], "x")
    axes[0, 0].set_ylabel("share of the summed norms")
    figure.supxlabel(f"{SQUARED_NORM} (log scale)", fontsize=7.5)
    handles = [
        Line2D([], [], marker=marker, ls="", ms=4, color=colour, label=STATE_LABELS[state])
        for state, (colour, marker) in looks.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3)
    return figure


def spectrum(table: Frame) -> Figure:
    """Variance share of the decoder's first components, as published and centred (paper F5).

    Columns: series (an arm or a null), centred, component, share.
    """
    figure, axes = new_figure(TEXT, 2.3, 1, 2, sharey=True)
    looks = {
        "sae": (SKY, "-"), "joint": (BLUE, "-"), "initial": (ORANGE, "--"),
        "marchenko_pastur": (GREY, ":"),
    }  # fmt: skip
    titles = {False: "uncentred, as published", True: "centred"}
    for axis, (is_centred, title) in zip(axes[0], titles.items(), strict=True):
        for series, (colour, style) in looks.items():
            rows = table[(table["centred"] == is_centred) & (table["series"] == series)]
            label = STATE_LABELS.get(series, arm_label(series))
            axis.plot(rows["component"], rows["share"], style, color=colour, label=label)
        axis.set_title(title)
        axis.set_xlabel("component")
        axis.set_xlim(left=1)
        light_grid(axis, "y")
    log_scale(axes[0, 0], "y")
    axes[0, 0].set_ylabel("share of variance (log scale)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4)
    return figure
