"""Named quantities from the geometry summary.

Must not: know a claim.
"""

from collections.abc import Iterator, Sequence

from fispace.store.origins import Cell, Rows, derive, unchanged
from fispace.store.quantities import Frame, Quantity, quantity

NFM_PARTS = ("linear", "bias", "interaction")
COUNT = "n_parameters_"


def geometry_quantities(summary: Frame) -> Iterator[Quantity]:
    """`metric.arm.state` for every row, and `parameter_share.arm.part` of the trained arms."""
    for row in summary.to_dict("records"):
        name = f"{row['metric']}.{row['arm']}.{row['state']}"
        place = {key: row[key] for key in ("arm", "seed", "metric", "state")}
        cell = Cell(row["value"], Rows("geometry", place, "value"))
        value = derive(unchanged, value=cell)
        yield quantity(name, int(row["seed"]), value, str(row["unit"]), int(row["n"]))
    yield from _parameter_shares(summary)


def total(counts: Sequence[float]) -> float:
    """Sum of the parameter counts of all parts."""
    return sum(counts)


def parameter_share(parts: Sequence[float], counts: Sequence[float]) -> float:
    """Parameters of some parts as a share of those of all parts: sum(parts) / sum(counts)."""
    return sum(parts) / sum(counts)


def _parameter_shares(summary: Frame) -> Iterator[Quantity]:
    counts = summary[summary["metric"].str.startswith(COUNT)]
    for (arm, seed), rows in counts.groupby(["arm", "seed"]):
        every = _counts(rows)
        parts = {part: [part] for part in rows["metric"].str.removeprefix(COUNT)}
        number = derive(total, counts=every)
        yield quantity(f"n_parameters.{arm}", int(seed), number, "parameters", 1)
        for name, chosen in (parts | {"nfm": NFM_PARTS}).items():
            own = _counts(rows[rows["metric"].isin([f"{COUNT}{part}" for part in chosen])])
            share = derive(parameter_share, parts=own, counts=every)
            yield quantity(f"parameter_share.{arm}.{name}", int(seed), share, "fraction", 1)


def _counts(rows: Frame) -> Cell:
    """Parameter counts of one arm and seed."""
    first = rows[["arm", "seed"]].iloc[:1].to_dict("records")
    place = (first[0] if first else {}) | {"metric": tuple(rows["metric"])}
    return Cell([float(value) for value in rows["value"]], Rows("geometry", place, "value"))
