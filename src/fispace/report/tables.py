"""CSV tables of the chapter `report`, and which table each figure draws.

Must not: hold anything but declarations.
"""

from collections.abc import Mapping

from fispace.chapters.factorial import tables as factorial
from fispace.chapters.fidelity import tables as fidelity
from fispace.chapters.geometry import tables as geometry
from fispace.chapters.interactions import tables as interactions
from fispace.chapters.testbed import tables as testbed
from fispace.report.predicates import ANSWERS
from fispace.store.columns import BOOLEAN, COUNT, INTEGER, NUMBER, TEXT, Column, Table, optional

ENDS = ("mean", "low", "high")
"""Ends of the name of each column of an interval."""
CLAIM_KEY = ["id", "item"]
N_RUNS = "n_runs"
"""The column that bands have and a run's ledger has not."""
CLAIM_NUMBERS = [f"{answer}_{end}" for answer in ANSWERS for end in ENDS]


def _answer(name: str) -> dict[str, Column]:
    """Columns of one answer: its quantity, its intervals, and the ratio that a difference stands for."""
    columns = {
        f"{name}_quantity": optional(TEXT),
        f"{name}_unit": optional(TEXT),
        **_interval(name),
    }
    if name == "paper_sizes":
        return columns
    columns |= {f"{name}_documents_{end}": optional(NUMBER) for end in ("low", "high")}
    columns |= {f"{name}_ratio": optional(TEXT)}
    columns |= {f"{name}_ratio_{end}": optional(NUMBER) for end in ENDS}
    columns |= {f"{name}_same_as": optional(TEXT)}
    return columns | ({"controlled_against": optional(TEXT)} if name == "controlled" else {})


def _interval(name: str) -> dict[str, Column]:
    return {**{f"{name}_{end}": optional(NUMBER) for end in ENDS}, f"{name}_n": COUNT}


LEDGER = Table(
    "report/claims.csv",
    {
        "id": TEXT, "item": TEXT, "target": TEXT, "statement": TEXT, "printed": optional(NUMBER),
        "unit": TEXT, "where": TEXT, "definition": TEXT,
        **{name: column for answer in ANSWERS for name, column in _answer(answer).items()},
        **_interval("excess"),
        "test": TEXT, "reference": optional(TEXT), "against": optional(TEXT),
        "judged_quantity": optional(TEXT), "judged_unit": optional(TEXT), **_interval("judged"),
        **{f"judged_documents_{end}": optional(NUMBER) for end in ("low", "high")},
        **{name: optional(NUMBER) for name in ("smallest_effect", "excluded_above", "detectable")},
        "seeds_to_decide": COUNT,
        "verdict": TEXT, "because": TEXT, "remark": optional(TEXT),
    },
    key=("id", "item"),
)  # fmt: skip
"""`reference` is a number or the name of a quantity. Numbers are missing where a claim has no such
answer, and ends where there is one seed."""
BANDS = Table(
    "bands",
    {
        "id": TEXT, "item": TEXT, "verdict": TEXT,
        **{f"{answer}_quantity": optional(TEXT) for answer in ANSWERS},
        **dict.fromkeys(CLAIM_NUMBERS, optional(NUMBER)),
        N_RUNS: INTEGER,
    },
    key=("id", "item"),
)  # fmt: skip
STATED = Table(
    "of a ledger, or of bands",
    {**BANDS.columns, **dict.fromkeys(("id", "item", "verdict"), optional(TEXT))},
    key=("id", "item"),
    may_lack=(N_RUNS,),
    others_ignored=True,
)
"""What a ledger and the bands of several runs have in common; only bands have the number of runs."""
QUANTITIES = Table(
    "report/quantities.csv",
    {"quantity": TEXT, "seed": INTEGER, "value": optional(NUMBER), "unit": TEXT, "n": INTEGER},
    key=("quantity", "seed"),
)
"""A value is missing where it is not defined in this run."""
DOCUMENTS = Table(
    "report/documents.csv",
    {
        "quantity": TEXT,
        **{name: optional(NUMBER) for name in ("low", "high", "few_low", "few_high")},
        "n_documents": INTEGER,
    },
    key=("quantity",),
)
YES, NO, NOT_TESTABLE = "yes", "no", "not testable"
"""Cells of `passed`; the last one is followed by a colon and the reason."""
HEALTH = Table(
    "report/health.csv",
    {
        "gate": TEXT, "metric": TEXT, "arm": optional(TEXT), "seed": optional(INTEGER),
        "n_seeds": optional(INTEGER), "value": optional(NUMBER), "unit": TEXT,
        **{name: optional(NUMBER) for name in ("at_least", "at_most")},
        "passed": TEXT, "source": optional(TEXT),
    },
    key=("gate", "arm"),
)  # fmt: skip
"""The value is that of the worst seed; it is missing where the gate is not testable, and `passed` says why.
A gate on the LM has no arm and no seeds. `n_seeds` counts the seeds that have a value."""
ARM_METRICS = {
    "fvu": "fvu.{}.full", "kl": "kl.{}.full", "excess_ce": "excess_ce.{}.full",
    "l0": "l0.{}.full", "n_parameters": "n_parameters.{}",
}  # fmt: skip
"""Metrics of the table, and the name of each arm's quantity."""
ARM_NUMBERS = Table(
    "report/arms.csv",
    {
        "arm": TEXT, "metric": TEXT, "unit": TEXT, **{end: optional(NUMBER) for end in ENDS},
        "n_seeds": INTEGER,
    },
    key=("arm", "metric"),
)  # fmt: skip
"""An end is missing where there is one seed."""
AUDIT = Table(
    "report/full/audit.csv",
    {
        "weakness": TEXT, "switch": TEXT, "what": TEXT, "number": TEXT, "unit": TEXT,
        **{
            f"{name}{end}": optional(NUMBER)
            for name in ("fair", "switched", "shift") for end in ("", "_low", "_high")
        },
        "n_seeds": INTEGER, "n_documents": COUNT,
    },
    key=("switch", "number"),
)  # fmt: skip
AUDIT_PLOT = Table(
    "report/figures/audit.csv",
    {
        "order": INTEGER, "label": TEXT, "number": TEXT,
        **{name: optional(NUMBER) for name in ("fair", "switched", "low", "high")},
        "is_moved": BOOLEAN, "text": optional(TEXT),
    },
    key=("label", "number"),
)  # fmt: skip
CLAIMS_PLOT = Table(
    "report/figures/claims.csv",
    {
        "order": INTEGER, "claim": TEXT, "printed": optional(NUMBER), "answer": TEXT,
        **{name: optional(NUMBER) for name in ("ratio", "low", "high")},
        "is_off": BOOLEAN, "limit": NUMBER, "verdict": TEXT,
    },
    key=("claim", "answer"),
)  # fmt: skip
DIAGRAM = Table(
    "report/figures/pipeline.csv",
    {
        "shape": TEXT, "kind": optional(TEXT),
        **{name: NUMBER for name in ("x", "y", "width", "height")},
        **{name: optional(TEXT) for name in ("label", "detail", "module")},
    },
    key=("shape", "label"),
)  # fmt: skip

OF_FIGURES: Mapping[str, Table] = {
    "claims": CLAIMS_PLOT,
    "pipeline": DIAGRAM,
    "architecture": DIAGRAM,
    "reconstruction": fidelity.RECONSTRUCTION_PLOT,
    "kl": fidelity.KL_PLOT,
    "controls": fidelity.MATCHED_ERRORS_PLOT,
    "shapley": fidelity.SHAPLEY_PLOT,
    "positions": fidelity.POSITIONS_PLOT,
    "norms": geometry.NORMS_PLOT,
    "norm_ratios": geometry.NORM_RATIOS_PLOT,
    "ratio_scatter": geometry.RATIO_SCATTER_PLOT,
    "spectrum": geometry.SPECTRUM_PLOT,
    "volcano": interactions.VOLCANO_PLOT,
    "clamping": factorial.CLAMPING_PLOT,
    "secondary_activations": factorial.HISTOGRAM,
    "interaction": factorial.INTERACTION_PLOT,
    "family": factorial.FAMILY_PLOT,
    "generations": factorial.GENERATIONS_PLOT,
    "calibration": factorial.CALIBRATION_PLOT,
    "planted": testbed.PLANTED_PAIRS_PLOT,
    "gain_curve": fidelity.GAIN_CURVE_PLOT,
    "arm_controls": fidelity.ARM_CONTROLS_PLOT,
    "claims_full": CLAIMS_PLOT,
    "audit": AUDIT_PLOT,
}
"""By the figure's name, which is its table's file name below report/figures/."""
