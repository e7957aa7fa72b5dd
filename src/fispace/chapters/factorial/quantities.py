"""Named quantities of the factorial chapter: tests on the confirm half, and quality of the secondary SAE.

Must not: know a claim, or choose a latent; rank 1 was chosen on the select half.
"""

from collections.abc import Iterator
from typing import Any

from fispace.chapters.factorial.tables import FIRST_RANK
from fispace.store.metric_registry import RESPONSE, unit_of
from fispace.store.origins import Cell, Rows, derive, unchanged
from fispace.store.quantities import NO_SEED, Frame, Quantity, quantity

KINDS = ("candidate", "insensitive", "random")
"""Kinds that claims refer to: their quantities exist, with missing values, even if no seed has one."""

PER_CLAMP, PER_QUANTILE = "clamp", "set"
COLUMNS = ("t", "p", "p_sign_flip", "p_max", "q", "p_equivalence", "partial_eta2")
COLUMNS += ("published_f", "published_p", "two_way_f", "two_way_p")
"""Metrics of the test."""


def factorial_quantities(family: Frame, secondary: Frame) -> Iterator[Quantity]:
    """Tests of the first latent of each kind, and the secondary SAE's quality.

    factorial.kind.family.column          column of the test's row; kind: candidate, insensitive, random,
                                          primary, main, residual, direction,
                                          primary_direction, linear
    factorial.kind.clamp.M.column         the same for the single multiplier M
    factorial.kind.set.Q.column           the same for the latent set to its quantile Q
    factorial.kind.clamp.min_published_p  smallest published p over the multipliers
    factorial.kind.family.contrast_f      t squared of the item-level contrast: its F(1, n - 1)
    site.metric                           SAE of a site (secondary, residual) on the test split; `clamp`:
                                          the identity's cost, and shares of contexts a latent is active in
    """
    first = family[family["rank"] == FIRST_RANK]
    found = list(_tests(first))
    yield from found
    yield from _absent(found, set(first["kind"]))
    for row in secondary.to_dict("records"):
        seed, n, unit = int(row["seed"]), int(row["n"]), unit_of(row["metric"])
        place = {name: row[name] for name in ("arm", "seed", "site", "metric")}
        cell = Cell(float(row["value"]), Rows("secondary", place, "value"))
        value = derive(unchanged, value=cell)
        yield quantity(f"{row['site']}.{row['metric']}", seed, value, unit, n)
        if row["metric"] == "fvu":
            explained = derive(explained_share, fvu=cell)
            yield quantity(f"{row['site']}.variance_explained", seed, explained, unit, n)


def explained_share(fvu: float) -> float:
    """Share of the variance that a reconstruction explains: 1 - fvu."""
    return 1 - fvu


def squared(t: float) -> float:
    """F(1, n - 1) of a contrast over n items: t^2."""
    return t**2


def smallest(values: Frame) -> float:
    """Smallest of the values, missing ones left out."""
    return values.min()


def missing_kind(rows: Any) -> float:
    """NaN: no latent of this kind was found."""
    del rows
    return float("nan")


def _tests(first: Frame) -> Iterator[Quantity]:
    for row in first.to_dict("records"):
        stem = f"factorial.{row['kind']}.{row['family']}"
        if row["family"] in (PER_CLAMP, PER_QUANTILE):
            stem += f".{row['clamp']:g}"
        seed, n = int(row["seed"]), int(row["n"])
        cells = {column: _cell(row, column) for column in (RESPONSE, *COLUMNS)}
        for column, cell in cells.items():
            unit = str(row["unit"]) if column == RESPONSE else unit_of(column)
            yield quantity(f"{stem}.{column}", seed, derive(unchanged, value=cell), unit, n)
        contrast_f = derive(squared, t=cells["t"])
        yield quantity(f"{stem}.contrast_f", seed, contrast_f, unit_of("contrast_f"), n)
    clamped = first[first["family"] == PER_CLAMP]
    for (kind, seed), rows in clamped.groupby(["kind", "seed"]):
        name = f"factorial.{kind}.clamp.min_published_p"
        place = {"kind": kind, "seed": seed, "family": PER_CLAMP, "rank": FIRST_RANK}
        cell = Cell(rows["published_p"], Rows("family", place, "published_p"))
        least, unit = derive(smallest, values=cell), unit_of("min_published_p")
        yield quantity(name, int(seed), least, unit, len(rows))


def _cell(row: dict[Any, Any], column: str) -> Cell:
    place = {name: row[name] for name in ("kind", "seed", "rank", "family", "clamp")}
    return Cell(float(row.get(column, float("nan"))), Rows("family", place, column))


def _absent(found: list[Quantity], kinds: set[str]) -> Iterator[Quantity]:
    """Missing values for each kind that no seed has, under the names that its quantities would have."""
    for kind in set(KINDS) - kinds:
        place = Rows("family", {"kind": kind, "rank": FIRST_RANK})
        none = derive(missing_kind, rows=Cell(None, place))
        for name, unit in sorted({(row.quantity, row.unit) for row in found}):
            if name.startswith(f"factorial.{KINDS[0]}."):
                absent = name.replace(f".{KINDS[0]}.", f".{kind}.", 1)
                yield quantity(absent, NO_SEED, none, unit, 0)
