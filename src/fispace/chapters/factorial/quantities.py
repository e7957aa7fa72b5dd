"""Named quantities from the factorial chapter: the tests on the confirm half, the secondary SAE.

Must not: know a claim, or choose a latent; rank 1 was chosen on the select half.
"""

from collections.abc import Iterator

from fispace.store.metric_registry import RESPONSE, unit_of
from fispace.store.quantities import NO_SEED, Frame, Quantity

FIRST_RANK = 1
KINDS = ("candidate", "insensitive", "random")
"""Kinds that claims ask for: named even where a seed has none."""

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
        seed, value, n = int(row["seed"]), float(row["value"]), int(row["n"])
        unit = unit_of(row["metric"])
        yield Quantity(f"{row['site']}.{row['metric']}", seed, value, unit, n)
        if row["metric"] == "fvu":
            yield Quantity(f"{row['site']}.variance_explained", seed, 1 - value, unit, n)


def _tests(first: Frame) -> Iterator[Quantity]:
    for row in first.to_dict("records"):
        stem = f"factorial.{row['kind']}.{row['family']}"
        if row["family"] in (PER_CLAMP, PER_QUANTILE):
            stem += f".{row['clamp']:g}"
        seed, n = int(row["seed"]), int(row["n"])
        yield Quantity(f"{stem}.{RESPONSE}", seed, float(row[RESPONSE]), str(row["unit"]), n)
        for column in COLUMNS:
            value = float(row.get(column, float("nan")))
            yield Quantity(f"{stem}.{column}", seed, value, unit_of(column), n)
        contrast_f = float(row["t"]) ** 2
        yield Quantity(f"{stem}.contrast_f", seed, contrast_f, unit_of("contrast_f"), n)
    clamped = first[first["family"] == PER_CLAMP]
    for (kind, seed), rows in clamped.groupby(["kind", "seed"]):
        name = f"factorial.{kind}.clamp.min_published_p"
        smallest = float(rows["published_p"].min())
        yield Quantity(name, int(seed), smallest, unit_of("min_published_p"), len(rows))


def _absent(found: list[Quantity], kinds: set[str]) -> Iterator[Quantity]:
    """Missing values for a kind of latent that no seed has, under the names it would have had."""
    for kind in set(KINDS) - kinds:
        for name, unit in sorted({(row.quantity, row.unit) for row in found}):
            if name.startswith(f"factorial.{KINDS[0]}."):
                absent = name.replace(f".{KINDS[0]}.", f".{kind}.", 1)
                yield Quantity(absent, NO_SEED, float("nan"), unit, 0)
