"""Named quantities from the geometry summary.

Must not: know a claim.
"""

from collections.abc import Iterator, Sequence

from fispace.store.metric_registry import unit_of
from fispace.store.origins import Cell, Rows, derive, unchanged
from fispace.store.quantities import Frame, Quantity, quantity

NFM_PARTS = ("linear", "bias", "interaction")
PARAMETER_COUNT = "n_parameters_"


def geometry_quantities(summary: Frame) -> Iterator[Quantity]:
    """`metric.arm.state` for every row, and `parameter_share.arm.part` of the trained arms."""
    for row in summary.to_dict("records"):
        name = f"{row['metric']}.{row['arm']}.{row['state']}"
        place = {key: row[key] for key in ("arm", "seed", "metric", "state")}
        value = derive(unchanged, value=Cell(row["value"], Rows("geometry", place, "value")))
        unit = unit_of(row["metric"])
        yield quantity(name, int(row["seed"]), value, unit, int(row["n"]))
    yield from _parameter_shares(summary)


def total(counts: Sequence[float]) -> float:
    """Sum of the parameter counts of all parts."""
    return sum(counts)


def parameter_share(parts: Sequence[float], counts: Sequence[float]) -> float:
    """Parameters of some parts as a share of all: sum(parts) / sum(counts)."""
    return sum(parts) / sum(counts)


def _parameter_shares(summary: Frame) -> Iterator[Quantity]:
    counts = summary[summary["metric"].str.startswith(PARAMETER_COUNT)]
    for (arm, seed), rows in counts.groupby(["arm", "seed"]):
        every = _counts(rows)
        number = derive(total, counts=every)
        yield quantity(f"n_parameters.{arm}", int(seed), number, unit_of("n_parameters"), 1)
        parts = {part: [part] for part in rows["metric"].str.removeprefix(PARAMETER_COUNT)}
        for name, chosen in (parts | {"nfm": NFM_PARTS}).items():
            own = _counts(
                rows[rows["metric"].isin([f"{PARAMETER_COUNT}{part}" for part in chosen])]
            )
            share = derive(parameter_share, parts=own, counts=every)
            unit = unit_of("parameter_share")
            yield quantity(f"parameter_share.{arm}.{name}", int(seed), share, unit, 1)


def _counts(rows: Frame) -> Cell:
    """Parameter counts of one arm and seed."""
    first = rows[["arm", "seed"]].iloc[:1].to_dict("records")
    place = (first[0] if first else {}) | {"metric": tuple(rows["metric"])}
    return Cell([float(value) for value in rows["value"]], Rows("geometry", place, "value"))
