"""Figures of the factorial chapter's inference: declared families, calibration, and generated texts.

Must not: compute; every plotted number is a cell of the table.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fispace.chapters.factorial.figures import CELL_LOOKS
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
    light_grid,
    new_figure,
)

RESPONSES = {
    "activation": "activation",
    "clamp_slope": "clamping: words",
    "planted_slope": "clamping: planted",
}
SEED_MARKERS = ("o", "s", "^", "D", "v")
CRITERIA = {
    "known": ("latent known, t test", GREY, "D"),
    "selected": ("selected", ORANGE, "s"),
    "found": ("selected and confirmed", BLUE, "o"),
}


def family(table: Frame) -> Figure:
    """Forest plot of every declared hypothesis, in units of its equivalence bound (dashed lines).

    Thick lines are intervals over items; thin lines those of the mixed model, if there is one. A filled
    marker has a max-F p of at most alpha; a grey one is excluded. Columns: family, kind, rank, seed, value,
    low, high, mixed_low, mixed_high, is_significant_max, excluded.
    """
    shown = [name for name in RESPONSES if name in set(table["family"])]
    rows = table.groupby("family")[["kind", "rank"]].apply(lambda own: own.drop_duplicates())
    height = 0.9 + 0.17 * max(len(rows.loc[name]) for name in shown)
    figure, axes = new_figure(TEXT, height, 1, len(shown))
    for axis, name in zip(axes[0], shown, strict=True):
        _forest(axis, table[table["family"] == name])
        axis.set_title(RESPONSES[name])
    figure.supxlabel("interaction contrast / equivalence bound", fontsize=7.5)
    handles = [
        Line2D([], [], color=INK, marker=marker, ls="", ms=3, label=f"seed {seed}")
        for seed, marker in zip(sorted(table["seed"].unique()), SEED_MARKERS, strict=False)
    ]
    handles += [
        Line2D([], [], color=INK, marker="o", ls="", ms=3, mfc="white", label="max-F p > α"),
        Line2D([], [], color=GREY, marker="o", ls="", ms=3, label="excluded"),
        Line2D([], [], color=INK, lw=0.5, label="mixed model"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _forest(axis: Axes, table: Frame) -> None:
    labels = list(dict.fromkeys(zip(table["kind"], table["rank"], strict=True)))
    seeds = sorted(table["seed"].unique())
    for at in (-1, 0, 1):
        axis.axvline(at, color=GREY, linewidth=0.6, linestyle="--" if at else "-")
    for row in table.to_dict("records"):
        shift = (seeds.index(row["seed"]) - (len(seeds) - 1) / 2) * 0.22
        y = -labels.index((row["kind"], row["rank"])) - shift
        colour = INK if row["excluded"] == "no" else GREY
        axis.hlines(y, row["mixed_low"], row["mixed_high"], color=colour, linewidth=0.4)
        axis.hlines(y, row["low"], row["high"], color=colour, linewidth=1.2)
        face = colour if row["is_significant_max"] else "white"
        marker = SEED_MARKERS[seeds.index(row["seed"]) % len(SEED_MARKERS)]
        axis.plot(row["value"], y, marker, color=colour, mfc=face, ms=2.6, mew=0.6)
    texts = [f"{_named(kind)} {rank}" for kind, rank in labels]
    axis.set_yticks([-i for i in range(len(labels))], texts)
    axis.set_xscale("symlog", linthresh=1)
    axis.xaxis.set_major_formatter(PLAIN)
    light_grid(axis, "x")


def _named(kind: str) -> str:
    """Name of a kind of latent or control in a figure."""
    return {"primary_direction": "direction (prim.)", "linear": "linear part"}.get(kind, kind)


def calibration(table: Frame) -> Figure:
    """False-positive rates of every procedure with their permitted range, and power.

    Columns: table (calibration or power), null, test, what, size, criterion, rate, low, high, n.
    """
    rates, power = (table[table["table"] == name] for name in ("calibration", "power"))
    figure, axes = new_figure(TEXT, 0.8 + 0.13 * len(rates), 1, 2)
    _rates(axes[0, 0], rates)
    _power(axes[0, 1], power)
    return figure


def _rates(axis: Axes, rates: Frame) -> None:
    band = rates[rates["test"] == "max-F"]
    axis.axvspan(band["band_low"].iloc[0], band["band_high"].iloc[0], color=PALE, linewidth=0)
    labels: list[str] = []
    for y, row in enumerate(rates.to_dict("records")):
        colour = {"yes": GREEN, "no": VERMILION}.get(str(row["in_band"]), INK)
        axis.hlines(-y, row["low"], row["high"], color=colour, linewidth=1.0)
        axis.plot(row["rate"], -y, "o", color=colour, ms=2.8)
        labels.append(f"{row['null']}: {row['what']}")
    axis.set_yticks([-y for y in range(len(labels))], labels, fontsize=5)
    axis.set_xlim(-0.02, 1.02)
    axis.xaxis.set_major_formatter(PLAIN)
    axis.set_title("without an interaction")
    axis.set_xlabel("share with p ≤ α (band shaded)")
    light_grid(axis, "x")


def _power(axis: Axes, power: Frame) -> None:
    for name, (label, colour, marker) in CRITERIA.items():
        own = power[power["criterion"] == name].sort_values("size", kind="stable")
        axis.fill_between(own["size"], own["low"], own["high"], color=colour, alpha=0.15, lw=0)
        axis.plot(own["size"], own["rate"], color=colour, marker=marker, ms=3, label=label)
    axis.set_ylim(-0.02, 1.02)
    axis.yaxis.set_major_formatter(PLAIN)
    axis.set_title("with one planted")
    axis.set_xlabel("contrast / SD between items")
    axis.set_ylabel("share of data sets")
    axis.legend(loc="lower right")
    light_grid(axis, "y")


def generations(table: Frame) -> Figure:
    """Response words of each cell in continuations, and number of texts that a clamp changes.

    Columns: kind, clamp, decoding, cell, words_per_100, changed_per_100, n_texts.
    """
    decodings = list(dict.fromkeys(table["decoding"]))
    rows = list(dict.fromkeys(zip(table["kind"], table["clamp"], strict=True)))
    size = (TEXT, 0.9 + 0.16 * len(rows) * len(decodings))
    figure, axes = new_figure(*size, len(decodings), 2, sharex="col", sharey=True)
    cells = list(dict.fromkeys(table["cell"]))
    for i, decoding in enumerate(decodings):
        own = table[table["decoding"] == decoding]
        _counts(axes[i, 0], own, rows, cells)
        y = [-rows.index((row["kind"], row["clamp"])) for row in own.to_dict("records")]
        axes[i, 1].plot(own["changed_per_100"], y, "o", color=INK, ms=3)
        axes[i, 1].set_title(f"{decoding}: texts changed")
        axes[i, 0].set_title(f"{decoding}: response words")
        for axis in axes[i]:
            light_grid(axis, "x")
    axes[-1, 0].set_xlabel("words per 100 texts")
    axes[-1, 1].set_xlabel("changed texts per 100")
    axes[-1, 1].set_xlim(-3, 103)
    handles = [
        Line2D([], [], color=colour, marker=marker, ls="", ms=3.5, label=cell)
        for cell, (colour, marker) in zip(cells, CELL_LOOKS, strict=False)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure


def _counts(axis: Axes, own: Frame, rows: list[tuple[str, float]], cells: list[str]) -> None:
    for cell, (colour, marker) in zip(cells, CELL_LOOKS, strict=False):
        part = own[own["cell"] == cell]
        y = [-rows.index((row["kind"], row["clamp"])) for row in part.to_dict("records")]
        axis.plot(part["words_per_100"], y, marker, color=colour, ms=3, alpha=0.8)
    labels = [kind if kind == "unmoved" else f"{_named(kind)} ×{clamp:g}" for kind, clamp in rows]
    axis.set_yticks([-y for y in range(len(rows))], [text.replace("-", "−") for text in labels])
