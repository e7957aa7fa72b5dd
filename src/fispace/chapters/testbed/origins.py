"""Which rows of its inputs each row of the chapter's tables was computed from, plotted tables included.

Must not: compute.
"""

from typing import Any

from fispace.store.origins import Inputs, Origin, Origins, Row, Rows, is_missing
from fispace.study.config.planted import FIRST_ORDER, ORACLE

HERE = "fispace.chapters.testbed.planted_summary"
AUC, NO_PAIRS = "auc_", 0.0


def _world_of(row: Row) -> dict[str, Any]:
    """The row's world; empty for a mean over worlds."""
    world = row.get("world", float("nan"))
    return {} if is_missing(world) else {"world": int(world)}


def of_planted(row: Row, _: Inputs) -> Origin:
    """The measured metric, or those from which a derived one is computed, of one world or of all."""
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
    return Origin(f"{HERE}:summarise_worlds", read)


def _of_excess(metric: str, gain: dict[str, Any]) -> dict[str, Rows]:
    """The gain and what is subtracted from it: the gain without pairs, the control's gain, or both."""
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
    """The row of the summary, over worlds or of one world."""
    place: dict[str, Any] = {name: row[name] for name in ("metric", "arm", "share")}
    read = {"mean": Rows("table", place | {"world": row["world"]}, "mean")}
    return Origin(f"{HERE}:write_planted_plots", read)


ORIGINS: Origins = {
    "summarise_worlds": {"summary": of_planted, "table": of_planted},
    "write_planted_plots": {"planted": of_planted_plot},
}
"""By the function of the command and the option that names the table."""

EQUATIONS = {
    "measure_world": (
        "fispace.testbed.planted:World", "fispace.stats.recovery:auc",
        "fispace.models.pair_scores:functional_scores", "fispace.models.pair_scores:factor_scores",
        "fispace.stats.recovery:captured_share",
    ),
    "write_corpus": ("fispace.testbed.grammar:Grammar",),
}  # fmt: skip
"""Functions and classes with the equations of a step, by the function of the command."""
