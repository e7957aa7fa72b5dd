"""CSV tables of the chapter `fidelity`, and of its figures.

Must not: hold anything but declarations.
"""

from fispace.store.columns import BOOLEAN, INTEGER, NUMBER, TEXT, Column, Table, optional

INTERVAL: dict[str, Column] = {name: optional(NUMBER) for name in ("value", "low", "high")}
"""An estimate with its interval. A cell is missing if there is nothing to resample, or if the
denominator is not positive."""
SIZES: dict[str, Column] = {"n_documents": INTEGER, "n_tokens": INTEGER}
OVER_DOCUMENTS, OVER_SEEDS = "documents", "seeds"
"""What an interval is over: resampled documents of one seed, or the seeds themselves."""
PUBLISHED, CANONICAL = "published", "canonical"
"""The two forms of a decomposition by parts, as `fidelity shapley` defines them."""
SHARED_METRICS = ("fvu", "kl", "excess_ce")
"""Losses that are divided between the parts, and drawn so."""
GAIN_METRICS = ("fvu", "kl")
"""Losses of which gains over controls are computed and drawn."""
CONDITION: dict[str, Column] = {
    "arm": TEXT, "parts": TEXT, "seed": INTEGER, "split": TEXT, "special_tokens": TEXT,
}  # fmt: skip

SUMMARY = Table(
    "fidelity/summary.csv",
    {**CONDITION, "condition": TEXT, "metric": TEXT, "unit": TEXT, **INTERVAL, **SIZES},
    key=(*CONDITION, "condition", "metric"),
)
DIFFERENCES = Table(
    "fidelity/differences.csv",
    {
        **CONDITION, "than_arm": TEXT, "than_parts": TEXT, "than_condition": TEXT, "metric": TEXT,
        "contrast": TEXT, "unit": TEXT, **INTERVAL, **SIZES,
    },
    key=(*CONDITION, "than_arm", "than_parts", "than_condition", "metric", "contrast"),
)  # fmt: skip
CONTROLS = Table(
    "fidelity/full/controls.csv",
    {
        "arm": TEXT, "control": TEXT, "split": TEXT, "metric": TEXT, "contrast": TEXT, "unit": TEXT,
        "interval_over": TEXT, "seed": INTEGER, "n_seeds": INTEGER, **INTERVAL, **SIZES,
    },
    key=("arm", "control", "split", "metric", "contrast", "seed"),
)  # fmt: skip
GAIN_CURVE = Table(
    "fidelity/full/gain_curve.csv",
    {
        "split": TEXT, "k": INTEGER, "model": TEXT, "metric": TEXT, "unit": TEXT, "seed": INTEGER,
        **INTERVAL, "n_seeds": INTEGER, "n_tokens": INTEGER,
    },
    key=("split", "k", "model", "metric", "seed"),
)  # fmt: skip
SHAPLEY = Table(
    "fidelity/shapley.csv",
    {
        "arm": TEXT, "seed": INTEGER, "split": TEXT, "metric": TEXT, "form": TEXT, "part": TEXT,
        "measure": TEXT, "unit": TEXT, **INTERVAL, **SIZES,
    },
    key=("arm", "seed", "split", "metric", "form", "part", "measure"),
)  # fmt: skip

RECONSTRUCTION_PLOT = Table(
    "report/figures/reconstruction.csv",
    {
        "order": INTEGER, "arm": TEXT, "parts": TEXT, "is_full": BOOLEAN, "seed": optional(INTEGER),
        "fvu": NUMBER, "control_fvu": optional(NUMBER),
    },
    key=("arm", "parts", "seed"),
)  # fmt: skip
"""Rows without a seed are the means over seeds. The control is missing if the study lacks its arm."""
KL_PLOT = Table(
    "report/figures/kl.csv",
    {
        "order": INTEGER, "arm": TEXT, "parts": TEXT, "is_full": BOOLEAN, "condition": TEXT,
        "seed": INTEGER, "kl": NUMBER, "low": NUMBER, "high": NUMBER, "control_kl": optional(NUMBER),
    },
    key=("arm", "parts", "condition", "seed"),
)  # fmt: skip
MATCHED_ERRORS_PLOT = Table(
    "report/figures/controls.csv",
    {
        "order": INTEGER, "arm": TEXT, "parts": TEXT, "condition": TEXT, "seed": INTEGER,
        "kl": NUMBER, "low": NUMBER, "high": NUMBER, "n_documents": INTEGER,
    },
    key=("arm", "parts", "condition", "seed"),
)  # fmt: skip
SHAPLEY_PLOT = Table(
    "report/figures/shapley.csv",
    {
        "order": INTEGER, "arm": TEXT, "form": TEXT, "part": TEXT, "metric": TEXT, "measure": TEXT,
        "seed": optional(INTEGER), "share": optional(NUMBER), "low": optional(NUMBER),
        "high": optional(NUMBER), "n_documents": optional(NUMBER),
    },
    key=("arm", "form", "part", "metric", "measure", "seed"),
)  # fmt: skip
POSITIONS_PLOT = Table(
    "report/figures/positions.csv",
    {
        "special_tokens": TEXT, "arm": TEXT, "condition": TEXT, "position": INTEGER, "kl": NUMBER,
        "n_seeds": INTEGER, "n_documents": INTEGER,
    },
    key=("special_tokens", "arm", "condition", "position"),
)  # fmt: skip
GAIN_CURVE_PLOT = Table(
    "report/figures/gain_curve.csv",
    {
        "k": INTEGER, "published": optional(TEXT), "model": TEXT, "seed": optional(INTEGER),
        "gain": optional(NUMBER), "low": optional(NUMBER), "high": optional(NUMBER), "n_seeds": INTEGER,
        "n_tokens": INTEGER,
    },
    key=("k", "model", "seed"),
)  # fmt: skip
ARM_CONTROLS_PLOT = Table(
    "report/figures/arm_controls.csv",
    {
        "order": INTEGER, "arm": TEXT, "control": TEXT, "metric": TEXT, "seed": optional(INTEGER),
        "gain": optional(NUMBER), "low": optional(NUMBER), "high": optional(NUMBER),
        "n_seeds": INTEGER, "n_documents": INTEGER,
    },
    key=("arm", "control", "metric", "seed"),
)  # fmt: skip
