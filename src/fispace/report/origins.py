"""What the rows of the report's own tables are made of: quantities, ledger, audit and their figures.

Must not: compute; a quantity's origin comes out of the computation of the quantity.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from fispace.chapters.fidelity.document_sums import MASKED, RECONSTRUCTION
from fispace.chapters.fidelity.quantities import LOSSES, SPLIT, Levels, named_quantities
from fispace.chapters.geometry.weight_table import TRAINED
from fispace.chapters.testbed.quantities import PREFIX as PLANTED
from fispace.chapters.testbed.quantities import means_behind
from fispace.errors import ArtifactError
from fispace.report.ledger import ANSWER_LABELS
from fispace.report.paper_quantities import paper_origin
from fispace.report.predicates import ANSWERS
from fispace.report.quantities import OF_TABLES
from fispace.store.origins import Cell, Inputs, Origin, Origins, Row, Rows, is_missing
from fispace.store.quantities import Quantity
from fispace.study.config.arms import BASELINE_ARM
from fispace.study.config.audit import (
    ABLATED_BASELINE,
    LINEAR_POOLING,
    NO_SWITCH,
    TOKEN_TEST,
    UNTRAINED_NORMS,
)

QUANTITY, RATIO, OF_PAPER = "quantity", "ratio", "paper."
LINE, FIRST_LINE = "line", 2
"""`LINE` stands in place of a column: the line of a row in a CSV, whose header is line 1."""


def of_quantity(row: Row, inputs: Inputs) -> Origin:
    """Cells and function of the quantity, as the computation of the quantity states them.

    Raises:
        ArtifactError: if the table behind the quantity is not there.
    """
    name, seed = str(row["quantity"]), int(row["seed"])
    if name.startswith(OF_PAPER):
        return paper_origin(name)
    known = inputs.memo
    for option in OF_TABLES:
        if (name, seed) in known:
            break
        if option not in known:
            known[option] = True
            known |= {(one.quantity, one.seed): one.origin for one in _computed(option, inputs)}
    if (name, seed) in known:
        return known[name, seed]
    if name.startswith(PLANTED) and _holds_only_means(inputs):
        return means_behind(name, inputs.table("planted"))
    raise ArtifactError(f"the tables that {name} was computed from are not there")


def _computed(option: str, inputs: Inputs) -> Iterator[Quantity]:
    """Quantities of one input table; none if the table is not there, or holds only means over worlds."""
    if option == "planted" and _holds_only_means(inputs):
        return
    with contextlib.suppress(ArtifactError):  # not given to a ledger of the target all
        yield from OF_TABLES[option](inputs.table, float("nan"))


def _holds_only_means(inputs: Inputs) -> bool:
    """Whether the table of planted pairs is the CSV of a reference, which keeps the means over worlds alone."""
    try:
        return "world" not in inputs.table("planted")
    except ArtifactError:
        return False


def of_gate(row: Row, _: Inputs) -> Origin:
    """The cells of the arm in the seed that is shown; for a late gain, the validations of that training.

    Without a value, it is the table that lists the arm.
    """
    training = {name: row[name] for name in ("arm", "seed") if not is_missing(row[name])}
    if row["gate"] == "lm_gap":
        reads = {} if is_missing(row["value"]) else {"gap": Rows("floor", {})}
        return Origin("fispace.report.health:judged", reads)
    if is_missing(row["value"]):
        return Origin("fispace.report.health:judged", {"arms": Rows("fidelity", training, "arm")})
    if row["gate"] == "late_gain":
        columns = {"steps": "step", "val_fvu": "val_fvu"}
        reads = {name: Rows("curves", training, column) for name, column in columns.items()}
        return Origin("fispace.report.health:late_gain", reads)
    place = training | {"metric": row["metric"]}
    if row["gate"] == "live_units":
        return Origin(
            "fispace.report.health:judged",
            {"value": Rows("heads", place | {"state": TRAINED}, "value")},
        )
    place |= {"split": SPLIT, "special_tokens": MASKED, "condition": RECONSTRUCTION}
    if row["gate"] != "dead_latents":
        place |= {"parts": BASELINE_ARM}
    return Origin("fispace.report.health:judged", {"value": Rows("fidelity", place, "value")})


def of_document_interval(row: Row, inputs: Inputs) -> Origin:
    """Sums by document of each arm whose loss enters the quantity."""
    levels: Levels = {}
    for name in inputs.table("table")["quantity"]:
        metric, *condition = str(name).split(".")
        if metric in LOSSES and len(condition) == 2:
            cell = Cell(float("nan"), Rows("sums", {"arm": condition[0]}))
            levels.setdefault(metric, {})[condition[0], condition[1]] = cell
    found = dict(named_quantities(levels, levels))
    return found[str(row["quantity"])].origin


def of_claim(row: Row, _: Inputs) -> Origin:
    """The quantities that answer the claim, on every seed, and their intervals over documents."""
    read: dict[str, Rows] = {}
    taken: set[str] = set()
    for column in row:
        answer, _sep, what = column.rpartition("_")
        name = str(row[column])
        if what not in (QUANTITY, RATIO) or is_missing(row[column]) or name in taken:
            continue
        taken.add(name)
        read[answer if what == QUANTITY else column] = Rows(
            "quantities", {"quantity": name}, "value"
        )
        if what == QUANTITY and not is_missing(row.get(f"{answer}_documents_low")):
            read[f"{answer}_documents"] = Rows("documents", {"quantity": name}, "low")
    read["declared"] = Rows("claims", {"id": row["id"], "item": row["item"]})
    return Origin("fispace.stats.intervals:t_interval", read)


def of_claims_plot(row: Row, inputs: Inputs) -> Origin:
    """The ledger's row of the same order; for a difference, the ratio that it stands for."""
    labels = list(ANSWER_LABELS.values())
    order, answer = int(row["order"]), ANSWERS[labels.index(row["answer"])]
    stated = inputs.table("ledger").iloc[order].get(f"{answer}_{RATIO}")
    place = {LINE: order + FIRST_LINE}
    column = f"{answer}_mean" if is_missing(stated) else f"{answer}_{RATIO}_mean"
    read = {"ratio": Rows("ledger", place, column), "printed": Rows("ledger", place, "printed")}
    return Origin("fispace.report.ledger:write_claims_plot", read)


def of_audit(row: Row, inputs: Inputs) -> Origin:
    """Sums by document with and without the switch, on every seed; for N16 the correlations."""
    switch = row["switch"]
    if switch == UNTRAINED_NORMS:
        states, arm = ("trained", "decoder_trained"), inputs.params["audit"]["arm"]
        read = {
            state: Rows("quantities", {"quantity": f"ratio_total_spearman.{arm}.{state}"}, "value")
            for state in states
        }
        return Origin("fispace.report.audit:write_audit", read)
    switched = NO_SWITCH if switch in (ABLATED_BASELINE, TOKEN_TEST) else switch
    places = {"fair": {"switch": NO_SWITCH}, "switched": {"switch": switched}}
    if switch == LINEAR_POOLING:
        places["switched"] = {"switch": (switched, NO_SWITCH)}
    column = "error" if row["number"] == "mse_gain" else "kl"
    read = {name: Rows("documents", place, column) for name, place in places.items()}
    return Origin("fispace.report.audit:audit_table", read)


def of_audit_plot(row: Row, _: Inputs) -> Origin:
    """The audit's row of the same switch and number."""
    words = str(row["label"]).split(" ", 1)
    place: dict[str, Any] = {"switch": words[1].replace(" ", "_"), "number": row["number"]}
    columns = ("fair", "switched")
    read = {column: Rows("table", place, column) for column in columns}
    return Origin("fispace.report.audit:write_audit_plots", read)


ORIGINS: Origins = {
    "write_health": {"health": of_gate},
    "write_quantities": {"quantities": of_quantity, "table": of_quantity},
    "write_documents": {"table": of_document_interval},
    "write_claims": {"ledger": of_claim},
    "write_claims_plot": {"claims": of_claims_plot},
    "write_audit": {"audit": of_audit, "table": of_audit},
    "write_audit_plots": {"audit": of_audit_plot},
}
"""By the function of the command and the option that names the table."""

EQUATIONS = {
    "write_documents": ("fispace.stats.bootstrap:resample_counts",),
}
"""Functions that hold a step's equations, by the function of the command."""
