"""CSV tables of the chapter `interactions`, and of its figure.

Must not: hold anything but declarations.
"""

from fispace.store.columns import BOOLEAN, COUNT, INTEGER, NUMBER, TEXT, Table, optional

PAIRS = Table(
    "interactions/pairs.csv",
    {
        "arm": TEXT, "seed": INTEGER, "first": INTEGER, "second": INTEGER,
        "group_first": INTEGER, "group_second": INTEGER, "verdict": TEXT, "p": optional(NUMBER),
        "q": optional(NUMBER), "p_either": optional(NUMBER), "stands_out": BOOLEAN,
        "conjunction": optional(INTEGER), "conjunction_p": optional(NUMBER),
        "conjunction_q": optional(NUMBER), "conjunction_lift": optional(NUMBER),
        "conjunction_share": optional(NUMBER),
        "statistic": optional(NUMBER), "scale": optional(NUMBER), "cofirings": INTEGER,
        "effect": optional(NUMBER),
        "share_of_residual": optional(NUMBER), "share_of_total": optional(NUMBER),
        "dose_t": optional(NUMBER), "dose_p": optional(NUMBER), "dose_q": optional(NUMBER),
        "dose_ratio": optional(NUMBER), "dose_error": optional(NUMBER),
        "overlap": optional(NUMBER), "cosine": optional(NUMBER), "reliability": optional(NUMBER),
        "p_flips": optional(NUMBER), "statistic_with_own_terms": optional(NUMBER),
        "n_other_seeds": INTEGER, "n_found_again": INTEGER,
    },
    key=("seed", "first", "second"),
)  # fmt: skip
SUMMARY = Table(
    "interactions/summary.csv",
    {"arm": TEXT, "seed": INTEGER, "metric": TEXT, "unit": TEXT, "value": NUMBER},
    key=("arm", "seed", "metric"),
)
RECOVERY = Table(
    "interactions/recovery.csv",
    {
        "share": NUMBER, "metric": TEXT, "mean": NUMBER, "low": optional(NUMBER),
        "high": optional(NUMBER), "n": COUNT,
    },
    key=("share", "metric"),
)  # fmt: skip
POWER = Table(
    "interactions/power.csv",
    {
        "share": optional(NUMBER), "metric": TEXT, "value": optional(NUMBER), "low": optional(NUMBER),
        "high": optional(NUMBER), "n": COUNT,
    },
    key=("share", "metric"),
)  # fmt: skip
LATENTS = Table(
    "interactions/latents.csv",
    {
        "seed": INTEGER, "latent": INTEGER, "rank": INTEGER, "token_id": INTEGER, "token": TEXT,
        "share": NUMBER,
    },
    key=("seed", "latent", "rank"),
)  # fmt: skip
CONTEXTS = Table(
    "interactions/contexts.csv",
    {
        "seed": INTEGER, "first": INTEGER, "second": INTEGER, "fires": TEXT, "rank": INTEGER,
        "document": INTEGER, "row": INTEGER, "magnitude_first": NUMBER,
        "magnitude_second": NUMBER, "before": TEXT, "token": TEXT, "after": TEXT,
    },
    key=("seed", "first", "second", "fires", "rank"),
)  # fmt: skip
VOLCANO_PLOT = Table(
    "report/figures/volcano.csv",
    {
        "seed": INTEGER, "first": INTEGER, "second": INTEGER, "verdict": TEXT,
        "share_of_residual": NUMBER, "minus_log10_p": NUMBER, "label": optional(TEXT),
    },
    key=("seed", "first", "second"),
)  # fmt: skip
