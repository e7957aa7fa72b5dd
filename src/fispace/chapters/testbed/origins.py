"""What the rows of the chapter's tables, and of those that its figures show, are made of.

Must not: compute.
"""

from typing import Any

from fispace.store.origins import Inputs, Origin, Origins, Row, Rows, is_missing
from fispace.study.config.planted import FIRST_ORDER, ORACLE

SUMMARY = "fispace.chapters.testbed.planted_summary:summarise_worlds"
AUC, NO_PAIRS = "auc_", 0.0


def _world_of(row: Row) -> dict[str, Any]:
    """The row's world; nothing for a mean over all of them."""
    world = row.get("world", float("nan"))
    return {} if is_missing(world) else {"world": int(world)}


def of_planted(row: Row, _: Inputs) -> Origin:
    """The measured metric, or those that a derived one is made of, of one world or of all."""
    metric, share, arm = str(row["metric"]), row["share"], str(row["arm"])
    place = _world_of(row) | {"arm": arm, "share": share}
    if metric.startswith(("found_", "false_")):
        score = metric.partition("_")[2]
        read = {
            "scores": Rows("pairs", place, score),
            "null_scores": Rows("pairs", {"arm": arm, "share": NO_PAIRS}, score),
        }
    elif metric.startswith("of_oracle_"):
        auc = {"metric": AUC + metric.removeprefix("of_oracle_")}
        read = {
            "auc": Rows("metrics", place | auc, "value"),
            "auc_oracle": Rows("metrics", place | auc | {"arm": ORACLE}, "value"),
        }
    elif metric.startswith("excess"):
        read = _of_excess(metric, place | {"metric": "gain"})
    else:
        read = {metric: Rows("metrics", place | {"metric": metric}, "value")}
    return Origin(SUMMARY, read)


def _of_excess(metric: str, gain: dict[str, Any]) -> dict[str, Rows]:
    """The gain, and what is taken off: the gain without pairs, the control's, or both."""
    control = gain | {"arm": f"{gain['arm']}{FIRST_ORDER}"}
    nothing = {"share": NO_PAIRS}
    places = {"gain": gain}
    if metric != "excess_control":
        places["gain_without_pairs"] = gain | nothing
    if metric != "excess_null":
        places["control"] = control
    if metric == "excess":
        places["control_without_pairs"] = control | nothing
    return {name: Rows("metrics", place, "value") for name, place in places.items()}


def of_planted_plot(row: Row, _: Inputs) -> Origin:
    """The row of the summary over worlds, or of one world."""
    place: dict[str, Any] = {name: row[name] for name in ("metric", "arm", "share")}
    read = {"mean": Rows("table", place | {"world": row["world"]}, "mean")}
    return Origin("fispace.chapters.testbed.plots:write_planted_plots", read)


ORIGINS: Origins = {
    "summarise_worlds": {"summary": of_planted, "table": of_planted},
    "write_planted_plots": {"planted": of_planted_plot},
}
"""By the function of the command and the option that names the table."""

EQUATIONS = {
    "measure_world": (
        "fispace.testbed.planted:World", "fispace.models.pair_scores:functional_scores",
        "fispace.stats.recovery:captured_share",
    ),
    "write_corpus": ("fispace.testbed.grammar:Grammar",),
}  # fmt: skip
"""Functions and classes that hold a step's equations, by the function of the command."""
