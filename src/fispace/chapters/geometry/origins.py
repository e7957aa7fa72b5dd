"""What the rows of the chapter's tables, and of those that its figures show, are made of.

Must not: compute.
"""

from fispace.chapters.geometry.weight_table import (
    INITIAL,
    MARCHENKO_PASTUR,
    TRAINED,
)
from fispace.store.origins import Inputs, Origin, Origins, Row, Rows

PLOTS = "fispace.chapters.geometry.plots"
RATIO_ARM = "joint"


def of_summary(row: Row, _: Inputs) -> Origin:
    """The same row of the table of its arm and seed."""
    place = {name: row[name] for name in ("arm", "seed", "metric", "state")}
    read = {"value": Rows("documents", place, "value")}
    return Origin("fispace.chapters.geometry.summary:summarise", read)


def of_norm(row: Row, _: Inputs) -> Origin:
    """All latents of the arm, of every seed."""
    column = f"squared_norm_decoder_{row['state']}"
    read = {column: Rows("latents", {"arm": row["arm"]}, column)}
    if row["state"] == TRAINED:
        read["firings"] = Rows("latents", {"arm": row["arm"]}, "firings")
    return Origin(f"{PLOTS}:write_geometry_plots", read)


def of_norm_ratio(row: Row, _: Inputs) -> Origin:
    """The ratios of the latents of one norm group, of every seed."""
    column = f"ratio_{row['ratio']}_{row['state']}"
    place = {"arm": RATIO_ARM, "is_low": row["group"] == "low"}
    return Origin(f"{PLOTS}:write_geometry_plots", {column: Rows("latents", place, column)})


def of_scatter(row: Row, _: Inputs) -> Origin:
    """The latent of this number; the figure shows those of the first seed."""
    place = {"arm": RATIO_ARM, "latent": row["latent"]}
    norm = INITIAL if row["state"] == INITIAL else TRAINED
    columns = {"value": f"ratio_{row['ratio']}_{row['state']}"}
    columns["squared_norm"] = f"squared_norm_decoder_{norm}"
    read = {name: Rows("latents", place, column) for name, column in columns.items()}
    return Origin(f"{PLOTS}:write_geometry_plots", read)


def of_spectrum(row: Row, _: Inputs) -> Origin:
    """The component of every seed; a null is the same for every arm."""
    series = row["series"]
    is_null = series in (INITIAL, MARCHENKO_PASTUR)
    place = {"state": series} if is_null else {"state": TRAINED, "arm": series}
    place |= {"centred": row["centred"], "component": row["component"]}
    return Origin(f"{PLOTS}:write_geometry_plots", {"share": Rows("spectra", place, "share")})


ORIGINS: Origins = {
    "summarise": {"summary": of_summary, "table": of_summary},
    "write_geometry_plots": {
        "norms": of_norm, "norm_ratios": of_norm_ratio, "ratio_scatter": of_scatter,
        "spectrum": of_spectrum,
    },
}  # fmt: skip
"""By the function of the command and the option that names the table."""

EQUATIONS = {
    "measure_arm": (
        "fispace.stats.published:norm_shares", "fispace.stats.published:mean_output_shares",
        "fispace.models.leave_one_out:interaction_growth",
        "fispace.stats.directions:variance_spectrum",
    ),
}  # fmt: skip
"""Functions and classes that hold a measurement's equations, by the function of the command."""
