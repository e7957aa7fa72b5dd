"""Named quantities from the geometry summary.

Must not: know a claim.
"""

from collections.abc import Iterator

from fispace.store.metric_registry import unit_of
from fispace.store.quantities import Frame, Quantity

NFM_PARTS = ("linear", "bias", "interaction")


def geometry_quantities(summary: Frame) -> Iterator[Quantity]:
    """`metric.arm.state` for every row, and `parameter_share.arm.part` of the trained arms."""
    for row in summary.to_dict("records"):
        name = f"{row['metric']}.{row['arm']}.{row['state']}"
        unit = unit_of(row["metric"])
        yield Quantity(name, int(row["seed"]), float(row["value"]), unit, int(row["n"]))
    yield from _parameter_shares(summary)


def _parameter_shares(summary: Frame) -> Iterator[Quantity]:
    is_count = summary["metric"].str.startswith("n_parameters_")
    for (arm, seed), rows in summary[is_count].groupby(["arm", "seed"]):
        counts = {
            str(metric).removeprefix("n_parameters_"): float(value)
            for metric, value in zip(rows["metric"], rows["value"], strict=True)
        }
        total = sum(counts.values())
        nfm = sum(counts.get(part, 0.0) for part in NFM_PARTS)
        shares = {part: count / total for part, count in counts.items()} | {"nfm": nfm / total}
        yield Quantity(f"n_parameters.{arm}", int(seed), total, unit_of("n_parameters"), 1)
        unit = unit_of("parameter_share")
        for part, share in shares.items():
            yield Quantity(f"parameter_share.{arm}.{part}", int(seed), share, unit, 1)
