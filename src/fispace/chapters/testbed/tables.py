"""CSV tables of the chapter `testbed`.

Must not: hold anything but declarations.
"""

from fispace.store.columns import COUNT, FACTORS, NUMBER, TEXT, Table, optional

STIMULI = Table(
    "testbed/stimuli.csv",
    {"item": TEXT, "frame": TEXT, FACTORS: TEXT, "text": TEXT},
    key=("item",),
)
PLANTED_PAIRS = Table(
    "testbed/planted.csv",
    {
        "share": NUMBER, "arm": TEXT, "metric": TEXT, "mean": NUMBER,
        "low": optional(NUMBER), "high": optional(NUMBER), "n": COUNT,
    },
    key=("share", "arm", "metric"),
)  # fmt: skip
"""Means over worlds; the interval is missing if there is only one world."""
PLANTED_PAIRS_PLOT = Table(
    "report/figures/planted.csv",
    {
        "metric": TEXT, "arm": TEXT, "share": NUMBER, "world": optional(NUMBER), "mean": NUMBER,
        "low": optional(NUMBER), "high": optional(NUMBER), "n": optional(NUMBER),
    },
    key=("metric", "arm", "share", "world"),
)  # fmt: skip
"""Rows without a world are the means over worlds."""
