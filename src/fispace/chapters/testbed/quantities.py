"""Named quantities from the planted pairs: without planted pairs, and at their largest share.

Must not: know a claim, or measure.
"""

from collections.abc import Iterator

from fispace.store.metric_registry import unit_of
from fispace.store.origins import Cell, Derived, Origin, Rows, derive, made_by, unchanged
from fispace.store.quantities import NO_SEED, Frame, Quantity, quantity

NONE, STRONGEST = "none", "strongest"
PREFIX = "planted_"


def planted_pair_quantities(planted: Frame, alpha: float) -> Iterator[Quantity]:
    """Every metric of every world; the number of the world takes the place of the seed.

    planted_metric.arm.none        no pair is planted
    planted_metric.arm.strongest   the pairs have the largest share of the study
    planted_alpha                  share of the pairs that may count as found where none is planted
    """
    share = Derived(alpha, made_by(planted_pair_quantities))
    yield quantity("planted_alpha", NO_SEED, share, unit_of("alpha"), 1)
    each = planted[planted["world"].notna()]
    places = {0.0: NONE, each["share"].max(): STRONGEST} if each["share"].any() else {0.0: NONE}
    for row in each[each["share"].isin(places)].to_dict("records"):
        name = f"{PREFIX}{row['metric']}.{row['arm']}.{places[row['share']]}"
        place = {key: row[key] for key in ("world", "share", "arm", "metric")}
        value = derive(unchanged, value=Cell(row["mean"], Rows("planted", place, "mean")))
        yield quantity(name, int(row["world"]), value, unit_of(row["metric"]), 1)


def means_behind(name: str, planted: Frame) -> Origin:
    """Origin of a world's quantity where only the means over worlds are kept: the row of these means."""
    metric, arm, place = name.removeprefix(PREFIX).split(".")
    share = 0.0 if place == NONE else float(planted["share"].max())
    row = {"share": share, "arm": arm, "metric": metric}
    return made_by(unchanged, value=Rows("planted", row, "mean"))
