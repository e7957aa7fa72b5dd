"""CSV tables of the chapter `geometry`, and of its figures.

Must not: hold anything but declarations.
"""

from fispace.store.columns import BOOLEAN, INTEGER, NUMBER, TEXT, Table, optional

LONG = {
    "arm": TEXT, "seed": INTEGER, "state": TEXT, "metric": TEXT, "unit": TEXT,
    "value": optional(NUMBER), "n": INTEGER,
}  # fmt: skip
"""A value is missing if it is not defined, such as a mean over no latents."""
SUMMARY = Table("geometry/summary.csv", LONG, key=("arm", "seed", "state", "metric"))
HEADS = Table("geometry/full/heads.csv", LONG, key=("arm", "seed", "state", "metric"))
HISTORY = Table("geometry/history.csv", LONG, key=("arm", "seed", "state", "metric"))
LIVE_UNITS = "interaction_live_units"
"""Metric of `SUMMARY` and `HEADS`: share of the interaction's hidden units that are live."""
RATIO_ARM = "joint"
"""Arm whose contribution ratios the figures show."""
NORMS_PLOT = Table(
    "report/figures/norms.csv",
    {
        "bin_low": NUMBER, "bin_high": NUMBER, "bin_middle": NUMBER, "share": NUMBER,
        "never_fired": optional(NUMBER), "firing_rate": optional(NUMBER), "arm": TEXT, "state": TEXT,
        "mean": NUMBER, "n_seeds": INTEGER,
    },
    key=("arm", "state", "bin_low"),
)  # fmt: skip
NORM_RATIOS_PLOT = Table(
    "report/figures/norm_ratios.csv",
    {
        "state": TEXT, "ratio": TEXT, "group": TEXT, "n": INTEGER, "position": NUMBER,
        "density": NUMBER, "quartile_1": NUMBER, "median": NUMBER, "quartile_3": NUMBER,
    },
    key=("state", "ratio", "group"),
)  # fmt: skip
RATIO_SCATTER_PLOT = Table(
    "report/figures/ratio_scatter.csv",
    {
        "state": TEXT, "ratio": TEXT, "latent": INTEGER, "squared_norm": NUMBER,
        "value": optional(NUMBER),
    },
    key=("state", "ratio", "latent"),
)  # fmt: skip
SPECTRUM_PLOT = Table(
    "report/figures/spectrum.csv",
    {"series": TEXT, "centred": BOOLEAN, "component": INTEGER, "share": NUMBER},
    key=("series", "centred", "component"),
)
