"""Which rows of its inputs each row of the chapter's tables was computed from, plotted tables included.

Must not: compute.
"""

from fispace.chapters.geometry.tables import RATIO_ARM
from fispace.chapters.geometry.weight_table import INITIAL, MARCHENKO_PASTUR, TRAINED
from fispace.store.origins import Inputs, Origin, Origins, Row, Rows

PLOTS = "fispace.chapters.geometry.plots"


def of_arm_metric(row: Row, _: Inputs) -> Origin:
    """The same row in the table of its arm and seed."""
    place = {name: row[name] for name in ("arm", "seed", "metric", "state")}
    read = {"value": Rows("documents", place, "value")}
    return Origin("fispace.chapters.geometry.summary:summarise_geometry", read)


def of_head(row: Row, _: Inputs) -> Origin:
    """The weights of the arm and seed."""
    read = {"weights": Rows("weights", {name: row[name] for name in ("arm", "seed")})}
    return Origin("fispace.chapters.geometry.heads:live_share", read)


def of_norm(row: Row, _: Inputs) -> Origin:
    """All latents of the arm, in every seed."""
    column = f"squared_norm_decoder_{row['state']}"
    read = {column: Rows("latents", {"arm": row["arm"]}, column)}
    if row["state"] == TRAINED:
        read["firings"] = Rows("latents", {"arm": row["arm"]}, "firings")
    return Origin(f"{PLOTS}:write_geometry_plots", read)


def of_norm_ratio(row: Row, _: Inputs) -> Origin:
    """The ratios of the latents of one norm group, in every seed."""
    column = f"ratio_{row['ratio']}_{row['state']}"
    place = {"arm": RATIO_ARM, "is_low": row["group"] == "low"}
    return Origin(f"{PLOTS}:write_geometry_plots", {column: Rows("latents", place, column)})


def of_scatter(row: Row, _: Inputs) -> Origin:
    """The latent with this number; the figure shows latents of the first seed."""
    place = {"arm": RATIO_ARM, "latent": row["latent"]}
    norm = INITIAL if row["state"] == INITIAL else TRAINED
    columns = {"value": f"ratio_{row['ratio']}_{row['state']}"}
    columns["squared_norm"] = f"squared_norm_decoder_{norm}"
    read = {name: Rows("latents", place, column) for name, column in columns.items()}
    return Origin(f"{PLOTS}:write_geometry_plots", read)


def of_spectrum(row: Row, _: Inputs) -> Origin:
    """The component in every seed; a null is the same for every arm."""
    series = row["series"]
    is_null = series in (INITIAL, MARCHENKO_PASTUR)
    place = {"state": series} if is_null else {"state": TRAINED, "arm": series}
    place |= {"centred": row["centred"], "component": row["component"]}
    return Origin(f"{PLOTS}:write_geometry_plots", {"share": Rows("spectra", place, "share")})


ORIGINS: Origins = {
    "measure_heads": {"table": of_head},
    "summarise_geometry": {"summary": of_arm_metric, "table": of_arm_metric},
    "write_geometry_plots": {
        "norms": of_norm, "norm_ratios": of_norm_ratio, "ratio_scatter": of_scatter,
        "spectrum": of_spectrum,
    },
}  # fmt: skip
"""By the function of the command and the option that names the table."""

EQUATIONS = {
    "measure_geometry": (
        "fispace.stats.paper_formulas:norm_shares", "fispace.stats.paper_formulas:mean_output_shares",
        "fispace.models.leave_one_out:interaction_growth",
        "fispace.stats.directions:variance_spectrum",
    ),
}  # fmt: skip
"""Functions and classes with the equations of a measurement, by the function of the command."""
