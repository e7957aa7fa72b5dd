"""Which rows of its inputs each row of the chapter's tables was computed from, plotted tables included.

Must not: compute.
"""

from fispace.store.origins import Inputs, Origin, Origins, Row, Rows

HERE = "fispace.chapters.interactions"


def of_listed_pair(row: Row, _: Inputs) -> Origin:
    """The same pair in the table of its seed."""
    place = {name: row[name] for name in ("seed", "first", "second")}
    return Origin(f"{HERE}.table:tabulate_pairs", {"p": Rows("pairs", place, "p")})


def of_summary(row: Row, _: Inputs) -> Origin:
    """The same metric in the summary of its seed."""
    place = {name: row[name] for name in ("arm", "seed", "metric")}
    return Origin(f"{HERE}.table:tabulate_pairs", {"value": Rows("summaries", place, "value")})


def of_volcano(row: Row, _: Inputs) -> Origin:
    """The listed pair, and, if it is labelled, the first tokens of its two latents."""
    place = {name: row[name] for name in ("seed", "first", "second")}
    read = {
        "share_of_residual": Rows("table", place, "share_of_residual"),
        "p": Rows("table", place, "p"),
    }
    if isinstance(row["label"], str) and row["label"]:
        tokens = {"seed": row["seed"], "latent": (row["first"], row["second"]), "rank": 0}
        read["label"] = Rows("latents", tokens, "token")
    return Origin(f"{HERE}.plots:volcano_rows", read)


def of_recovery(row: Row, _: Inputs) -> Origin:
    """The metric in every world that has the share."""
    place = {name: row[name] for name in ("share", "metric")}
    return Origin(f"{HERE}.recovery:summarise_recovery", {"value": Rows("metrics", place, "value")})


ORIGINS: Origins = {
    "tabulate_pairs": {"table": of_listed_pair, "summary": of_summary},
    "summarise_recovery": {"table": of_recovery},
    "write_interaction_plots": {"volcano": of_volcano},
}
"""By the function of the command and the option that names the table."""

EQUATIONS = {
    "measure_recovery": ("fispace.chapters.interactions.verdicts:judged", "fispace.stats.recovery:auc"),
    "measure_pairs": (
        "fispace.stats.own_terms:without_own_terms", "fispace.stats.sign_flips:vector_test",
        "fispace.stats.empirical_null:tail_p_values",
        "fispace.stats.dose_response:dose_response", "fispace.chapters.interactions.verdicts:judged",
    ),
}  # fmt: skip
"""Functions and classes with the equations of a measurement, by the function of the command."""
