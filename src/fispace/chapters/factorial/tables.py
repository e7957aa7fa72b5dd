"""CSV tables of the chapter `factorial`, and of its figures.

Levels of factors are text, even if they look like numbers. Must not: hold anything but declarations.
"""

from fispace.store.columns import (
    BOOLEAN,
    COUNT,
    FACTORS,
    INTEGER,
    NUMBER,
    TEXT,
    Column,
    Table,
    optional,
)

KEYS = ("arm", "seed", "kind", "rank", "latent")
"""Columns that name a tested latent."""

ITEMS = Table(
    "factorial/items.csv",
    {"item": TEXT, "frame": TEXT, FACTORS: TEXT, "text": TEXT, "half": TEXT},
    key=("item",),
    may_lack=("frame",),
)
WORDS = Table(
    "factorial/words.csv",
    {"word": TEXT, FACTORS: TEXT, "contrast": NUMBER},
    key=("word",),
    may_lack=("contrast",),
)
CONTEXTS = Table(
    "factorial/contexts.csv",
    {"item": TEXT, FACTORS: optional(TEXT), "prompt": TEXT},
    key=("item",),
)
"""A neutral prompt belongs to no cell: its levels are missing."""

LATENT: dict[str, Column] = {
    "arm": TEXT, "seed": INTEGER, "kind": TEXT, "rank": INTEGER, "latent": INTEGER,
}  # fmt: skip
TEST: dict[str, Column] = {
    name: NUMBER for name in ("estimate", "low", "high", "t", "df", "p", "partial_eta2")
}
OF_TEST: dict[str, Column] = {
    "space": TEXT, "effect": TEXT, "latent": INTEGER, "mean_activation": NUMBER, **TEST, "q": NUMBER,
    "p_sign_flip": optional(NUMBER), "p_max": optional(NUMBER), "n_items": INTEGER,
    "is_significant": BOOLEAN,
}  # fmt: skip
"""Sign-flip p-values are missing for main effects, which are tested between items."""

DISCOVERY = Table("factorial/discovery", OF_TEST, key=("space", "effect", "latent"))
CANDIDATES = Table(
    "factorial/candidates.csv",
    {"kind": TEXT, "rank": INTEGER, **OF_TEST, "arm": TEXT, "seed": INTEGER},
    key=("seed", "kind", "rank", "latent"),
)
PAIRS = Table(
    "factorial/pairs.csv",
    {
        "kind": TEXT, "rank": INTEGER, "latent": INTEGER, "pair": INTEGER, "first": INTEGER,
        "second": INTEGER, "weight": optional(NUMBER), "mean_product": NUMBER,
        "contribution": optional(NUMBER),
        "share": optional(NUMBER), "constant": NUMBER, "n_pairs": INTEGER, "arm": TEXT,
        "seed": INTEGER,
    },
    key=("seed", "kind", "rank", "pair"),
)  # fmt: skip
GENERATION_COUNTS = Table(
    "factorial/generation_counts.csv",
    {
        "arm": TEXT, "seed": INTEGER, "kind": TEXT, "latent": INTEGER, "clamp": NUMBER,
        "decoding": TEXT, "n_texts": INTEGER, "n_changed": INTEGER, FACTORS: TEXT, "count": INTEGER,
    },
    key=("seed", "kind", "clamp", "decoding"),
)  # fmt: skip
SINGLES = Table(
    "factorial/singles.csv",
    {
        "metric": TEXT, "unit": TEXT, "value": NUMBER, "n": INTEGER, "arm": TEXT, "seed": INTEGER,
        "primary_latent": INTEGER,
    },
    key=("seed", "metric"),
)  # fmt: skip
FIRST_RANK = 1
"""Rank of the latent that figures and named quantities show of each kind."""

UNDECLARED = "none"
"""Hypothesis of a test that belongs to no declared family."""

HISTOGRAM = Table(
    "factorial/singles_histogram.csv",
    {
        "bin_low": NUMBER, "bin_high": NUMBER, "count": INTEGER, "arm": TEXT, "seed": INTEGER,
        "primary_latent": INTEGER,
    },
    key=("seed", "bin_low"),
)  # fmt: skip
BESIDE = (
    *(f"published_{name}" for name in ("f", "p", "df_error", "partial_eta2")),
    *(f"two_way_{name}" for name in ("f", "p", "df_error", "partial_eta2")),
)
MIXED = tuple(f"mixed_{name}" for name in ("value", "low", "high", "p", "converged"))
FAMILY = Table(
    "factorial/infer.csv",
    {
        **LATENT, "family": TEXT, "clamp": optional(NUMBER), "metric": TEXT, "unit": TEXT,
        "active_share": optional(NUMBER), "hypothesis": TEXT, "expected": TEXT, "value": NUMBER,
        "low": NUMBER, "high": NUMBER, "t": NUMBER, "df": NUMBER, "p": NUMBER,
        "partial_eta2": NUMBER, "n": INTEGER, "alpha": NUMBER, "excluded": TEXT, "bound": NUMBER,
        "p_equivalence": NUMBER,
        **{name: COUNT if name.endswith("df_error") else optional(NUMBER) for name in BESIDE},
        "p_sign_flip": NUMBER, "p_max": optional(NUMBER), "q": optional(NUMBER), "n_family": INTEGER,
        "is_significant": BOOLEAN, "is_significant_max": BOOLEAN, "is_equivalent": BOOLEAN,
        **{name: optional(NUMBER) for name in MIXED},
    },
    key=("hypothesis", "family", "kind", "seed", "rank", "latent", "clamp"),
    may_lack=(*BESIDE, *MIXED),
)  # fmt: skip
"""Missing values: corrected p-values of excluded rows; published, two-way and mixed analyses of responses
without replicates; intervals of a mixed model without a standard error."""
HYPOTHESES = Table(
    "factorial/hypotheses.csv",
    {
        "hypothesis": TEXT, "response": TEXT, "kinds": TEXT, "expected": TEXT, "null": TEXT,
        "alpha": NUMBER, "n_permutations": INTEGER, "equivalence_bound": NUMBER,
        "min_active_share": NUMBER,
    },
    key=("hypothesis",),
)  # fmt: skip
CELL: dict[str, Column] = {"unit": TEXT, "value": NUMBER, "low": NUMBER, "high": NUMBER}
ACTIVATION_CELLS = Table(
    "factorial/activation_cells.csv",
    {**LATENT, FACTORS: TEXT, **CELL, "n": INTEGER},
    key=tuple(LATENT),
)
CLAMP_CELLS = Table(
    "factorial/clamp_cells.csv",
    {**LATENT, "mode": TEXT, "clamp": NUMBER, FACTORS: TEXT, **CELL, "n": INTEGER},
    key=(*LATENT, "mode", "clamp"),
)
CLAMP_ITEMS = Table(
    "factorial/clamp_items.csv",
    {**LATENT, "clamp": NUMBER, FACTORS: TEXT, "item": TEXT, "value": NUMBER, "unit": TEXT},
    key=(*LATENT, "clamp", "item"),
)
CLAMP_FITS = Table(
    "factorial/clamp_fits.csv",
    {
        **LATENT, FACTORS: TEXT, "clamp": NUMBER, "unit": TEXT, "value": NUMBER,
        "low": optional(NUMBER), "high": optional(NUMBER), "p": optional(NUMBER),
        "converged": BOOLEAN,
    },
    key=(*LATENT, "clamp"),
)  # fmt: skip
SECONDARY = Table(
    "factorial/secondary.csv",
    {
        "arm": TEXT, "seed": INTEGER, "site": TEXT, "split": TEXT, "metric": TEXT, "unit": TEXT,
        "value": NUMBER, "n": INTEGER,
    },
    key=("arm", "seed", "site", "metric"),
)  # fmt: skip
TRUTH = Table(
    "factorial/truth.csv",
    {
        "question": TEXT, "subject": TEXT, "value": optional(NUMBER), "low": optional(NUMBER),
        "high": optional(NUMBER), "p": optional(NUMBER), "unit": TEXT, "n": INTEGER,
        "answer": optional(TEXT),
    },
    key=("question", "subject"),
)  # fmt: skip
RATE: dict[str, Column] = {
    "rate": optional(NUMBER), "low": optional(NUMBER), "high": optional(NUMBER), "n": INTEGER,
}  # fmt: skip
"""Missing if no data set gave a p-value."""
BAND: dict[str, Column] = {
    "band_low": optional(NUMBER), "band_high": optional(NUMBER), "in_band": optional(TEXT),
}  # fmt: skip
"""Missing for procedures without a required range."""
CALIBRATION = Table(
    "factorial/calibration.csv",
    {
        "procedure": TEXT, "test": TEXT, "what": TEXT, **RATE, "alpha": NUMBER, **BAND, "null": TEXT,
    },
    key=("procedure", "null"),
)  # fmt: skip
POWER = Table(
    "factorial/power.csv", {"size": NUMBER, "criterion": TEXT, **RATE}, key=("size", "criterion")
)

CLAMPING_PLOT = Table(
    "report/figures/clamping.csv",
    {
        "seed": INTEGER, "kind": TEXT, "latent": INTEGER, "row": TEXT, "cell": TEXT, "clamp": NUMBER,
        "item": optional(TEXT), "value": NUMBER, "low": optional(NUMBER), "high": optional(NUMBER),
        "n": optional(NUMBER),
    },
    key=("seed", "kind", "row", "cell", "clamp", "item"),
)  # fmt: skip
INTERACTION_PLOT = Table(
    "report/figures/interaction.csv",
    {
        "seed": INTEGER, "kind": TEXT, "latent": INTEGER, "first": TEXT, "second": TEXT,
        "value": NUMBER, "low": NUMBER, "high": NUMBER, "n": INTEGER,
    },
    key=("seed", "kind", "first", "second"),
)  # fmt: skip
FAMILY_PLOT = Table(
    "report/figures/family.csv",
    {
        "hypothesis": TEXT, "expected": TEXT, "family": TEXT, "kind": TEXT, "rank": INTEGER,
        "latent": INTEGER, "seed": INTEGER, "value": NUMBER, "low": NUMBER, "high": NUMBER,
        "mixed_low": optional(NUMBER), "mixed_high": optional(NUMBER), "p_max": optional(NUMBER),
        "q": optional(NUMBER), "is_significant_max": BOOLEAN, "is_equivalent": BOOLEAN,
        "excluded": TEXT, "n": INTEGER,
    },
    key=("hypothesis", "family", "kind", "rank", "seed"),
)  # fmt: skip
GENERATIONS_PLOT = Table(
    "report/figures/generations.csv",
    {
        "kind": TEXT, "clamp": NUMBER, "decoding": TEXT, "cell": TEXT, "count": INTEGER,
        "n_texts": INTEGER, "n_changed": INTEGER, "words_per_100": NUMBER, "changed_per_100": NUMBER,
    },
    key=("kind", "clamp", "decoding", "cell"),
)  # fmt: skip
CALIBRATION_PLOT = Table(
    "report/figures/calibration.csv",
    {
        "table": TEXT,
        **{name: optional(TEXT) for name in ("null", "test", "procedure", "what")},
        "size": optional(NUMBER), "criterion": optional(TEXT), **RATE, **BAND,
    },
    key=("table", "procedure", "null", "size", "criterion"),
)  # fmt: skip
