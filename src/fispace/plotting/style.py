"""The look of all figures, and rendering that gives equal bytes for equal numbers.

Palette: Okabe & Ito (2008), distinguishable with the common colour-vision deficiencies. Marker, line style
or label always repeat what a colour shows. Must not: compute, or know a table.
"""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from fispace.study.config.parts import Part

Frame = Any  # pandas ships no types

COLUMN, TEXT = 3.4, 7.0
"""Widths in inches: one text column, and the full text width."""

INK, GREY, PALE = "#222222", "#8a8a8a", "#d9d9d9"
BLUE, ORANGE, GREEN, SKY, VERMILION, PURPLE = (
    "#0072B2", "#E69F00", "#009E73", "#56B4E9", "#D55E00", "#CC79A7"
)  # fmt: skip

PLAIN = FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−"))
"""Tick labels as plain numbers, without an exponent above the axis."""

ARM_LABELS = {
    "sae": "SAE",
    "sae_bias": "SAE with bias",
    "sequential": "sequential",
    "joint": "joint",
    "joint_no_interaction": "joint, no interaction",
    "joint_no_linear": "joint, no linear",
    "joint_second_order": "joint, second order",
    "sae_matched": "SAE, parameters of joint",
    "bias_only": "frozen SAE, bias",
    "linear_probe": "frozen SAE, linear, bias",
    "mlp_probe": "sequential, first order",
    "sequential_second_order": "sequential, second order",
    "sequential_shuffled": "sequential, shuffled",
    "joint_mlp_probe": "joint, first order",
    "joint_shuffled": "joint, shuffled",
    "residual_sae": "frozen SAE, second SAE",
}


class Look(NamedTuple):
    """The look of one part of a model in figures."""

    colour: str
    marker: str
    label: str
    fill: tuple[str, float]
    """Colour and opacity of the part's box in a diagram."""


LOOKS: dict[Part, Look] = {
    "sae": Look(SKY, "o", "SAE decoder", (BLUE, 0.22)),
    "linear": Look(BLUE, "s", "linear part", (ORANGE, 0.28)),
    "bias": Look(GREEN, "^", "bias", (GREEN, 0.25)),
    "interaction": Look(VERMILION, "D", "interaction part", (PURPLE, 0.30)),
    "residual_sae": Look(GREY, "v", "second SAE", (GREY, 0.18)),
}

RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so the same on every machine
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 7.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "lines.linewidth": 1.2,
    "text.color": INK,
    "figure.dpi": 150,
    "figure.constrained_layout.use": True,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "fispace",
    "pdf.fonttype": 42,
    "path.simplify": False,
}

TAG = re.compile(r"<[^<>]*>")
HASHED_ID = re.compile(r'(?<= id="|ef="#|url\(#)(?:[A-Za-z]\w*?)?[0-9a-f]{10}(?=[")])')
"""An id that matplotlib generates for a clip path, marker or path: its kind and a hash."""


@contextmanager
def house_style() -> Iterator[None]:
    """Use matplotlib's defaults, overridden by `RC`; a user's matplotlibrc has no effect on figures."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(RC)  # pyright: ignore[reportArgumentType, reportCallIssue]
        yield


def in_house_style(draw: Callable[[Frame], Figure]) -> Callable[[Frame], Figure]:
    """`draw` under the house style; text from the table is shown as written, without formulas."""

    @wraps(draw)
    def styled(table: Frame) -> Figure:
        with house_style():
            return draw(_without_markup(table))

    return styled


def _without_markup(table: Frame) -> Frame:
    """The table with dollar signs in text escaped, so that matplotlib does not read a formula."""
    texts = [name for name, column in table.items() if column.dtype.kind == "O"]
    return table.assign(**{name: table[name].map(_escaped) for name in texts})


def _escaped(cell: object) -> object:
    return cell.replace("$", r"\$") if isinstance(cell, str) else cell


def new_figure(
    width: float, height: float, n_rows: int = 1, n_columns: int = 1, **options: Any
) -> tuple[Figure, np.ndarray]:
    """A figure and its axes, always as a matrix n_rows x n_columns."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(n_rows, n_columns, squeeze=False, **options)


def rendered(figure: Figure, suffix: str) -> bytes:
    """The figure as the bytes of an `.svg` or `.pdf` file: vector text, no date, no version.

    Equal figures give equal bytes on every x86-64 processor.
    """
    metadata: dict[str, dict[str, None]] = {
        ".svg": {"Date": None, "Creator": None},
        ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
    with house_style(), io.BytesIO() as stream:
        figure.savefig(stream, format=suffix[1:], metadata=metadata[suffix])  # pyright: ignore[reportArgumentType]
        drawing = stream.getvalue()
    return _with_numbered_ids(drawing.decode()).encode() if suffix == ".svg" else drawing


def _with_numbered_ids(svg: str) -> str:
    """The SVG with hashed ids replaced by numbers in order of appearance.

    Matplotlib hashes coordinates in full precision, and the last digits of matrix products and logarithms
    differ between processors. The printed coordinates have only six decimals.
    """
    numbered: dict[str, str] = {}

    def number(name: re.Match[str]) -> str:
        kind = name[0][:-10]
        return numbered.setdefault(name[0], f"{kind}{len(numbered) + 1}")

    # only tags are changed: text content never matches, because `<` and `>` are escaped in it
    return TAG.sub(lambda tag: HASHED_ID.sub(number, tag[0]), svg)


def arm_label(arm: str) -> str:
    """Name of an arm in a figure."""
    return ARM_LABELS.get(arm, arm.replace("_", " "))


def light_grid(axes: Axes, axis: str) -> None:
    """Add pale grid lines along one axis."""
    axes.grid(visible=True, axis=axis, color=PALE, linewidth=0.5)  # pyright: ignore[reportArgumentType]


def log_scale(axes: Axes, which: str) -> None:
    """Make the x or y axis logarithmic, with plain numbers at 1, 2 and 5 of each decade."""
    if which == "x":
        axes.set_xscale("log")
    else:
        axes.set_yscale("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(PLAIN)
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
