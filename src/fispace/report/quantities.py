"""`report quantities`: every number that a claim can point to, by name and seed.

Must not: know the claims.
"""

from collections.abc import Callable, Iterator

from fispace.chapters.factorial.quantities import factorial_quantities
from fispace.chapters.factorial.tables import SECONDARY
from fispace.chapters.fidelity.curve_quantities import curve_quantities
from fispace.chapters.fidelity.quantities import (
    fidelity_quantities,
)
from fispace.chapters.geometry.quantities import geometry_quantities
from fispace.chapters.testbed.quantities import planted_pair_quantities
from fispace.report.paper_quantities import paper_quantities
from fispace.report.tables import QUANTITIES
from fispace.store.quantities import Frame, Quantity, quantity_frame
from fispace.store.tables import read_csv, read_recipe, read_table, write_csv, write_table
from fispace.study.config.report import QuantitiesStep
from fispace.study.step import Reads, Writes, command

TableOf = Callable[[str], Frame]
"""Reads the table that was given under an option."""
OF_TABLES: dict[str, Callable[[TableOf, float], Iterator[Quantity]]] = {
    "fidelity": lambda read, _: fidelity_quantities(read("fidelity")),
    "geometry": lambda read, _: geometry_quantities(read("geometry")),
    "family": lambda read, _: factorial_quantities(read("family"), read("secondary")),
    "curve": lambda read, _: curve_quantities(read("curve")),
    "planted": lambda read, alpha: planted_pair_quantities(read("planted"), alpha),
}
"""Quantities by the option whose table they are computed from; planted pairs also need their alpha."""


@command("report", "quantities")
def write_quantities(
    params: QuantitiesStep, *, fidelity: Reads, geometry: Reads, family: Reads, secondary: Reads,
    curve: Reads | None, planted: Reads | None, quantities: Writes, table: Writes,
) -> None:  # fmt: skip
    """Write all quantities (quantity, seed, value, unit, n) as Parquet and as CSV.

    Only the target `full` gives the gain curve and the planted pairs.

    Raises:
        ArtifactError: if a summary is missing or damaged.
    """
    given = {
        "fidelity": fidelity, "geometry": geometry, "family": family, "secondary": secondary,
        "curve": curve, "planted": planted,
    }  # fmt: skip
    alpha = float("nan") if planted is None else read_recipe(planted)["alpha"]

    def read(option: str) -> Frame:
        path = given[option]
        assert path is not None
        return read_csv(path, SECONDARY) if option == "secondary" else read_table(path)

    def found() -> Iterator[Quantity]:
        for option, quantities_of in OF_TABLES.items():
            if given[option] is not None:
                yield from quantities_of(read, alpha)
        yield from paper_quantities(params)

    frame = quantity_frame(found())
    write_table(quantities, frame, {"step": "report quantities"})
    write_csv(table, frame, QUANTITIES)
