"""`report quantities`: every number that a claim can point to, by name and seed.

Must not: know the claims.
"""

from collections.abc import Iterator

from fispace.chapters.factorial.quantities import factorial_quantities
from fispace.chapters.factorial.tables import SECONDARY
from fispace.chapters.fidelity.curve_quantities import curve_quantities
from fispace.chapters.fidelity.quantities import fidelity_quantities
from fispace.chapters.geometry.quantities import geometry_quantities
from fispace.chapters.testbed.quantities import planted_pair_quantities
from fispace.report.paper_quantities import paper_quantities
from fispace.report.tables import QUANTITIES
from fispace.store.quantities import Quantity, quantity_frame
from fispace.store.tables import read_csv, read_recipe, read_table, write_csv, write_table
from fispace.study.config.report import QuantitiesStep
from fispace.study.step import Reads, Writes, command


@command("report", "quantities")
def write_quantities(
    params: QuantitiesStep, *, fidelity: Reads, geometry: Reads, family: Reads, secondary: Reads,
    curve: Reads | None, planted: Reads | None, quantities: Writes, table: Writes,
) -> None:  # fmt: skip
    """Write all quantities (quantity seed value unit n) as Parquet and as CSV.

    The gain curve and the planted pairs are given by the target `full` alone.

    Raises:
        ArtifactError: if a summary is missing or damaged.
    """

    def found() -> Iterator[Quantity]:
        yield from fidelity_quantities(read_table(fidelity))
        yield from geometry_quantities(read_table(geometry))
        yield from paper_quantities(params)
        yield from factorial_quantities(read_table(family), read_csv(secondary, SECONDARY))
        if curve is not None:
            yield from curve_quantities(read_table(curve))
        if planted is not None:
            yield from planted_pair_quantities(read_table(planted), read_recipe(planted)["alpha"])

    frame = quantity_frame(found())
    write_table(quantities, frame, {"step": "report quantities"})
    write_csv(table, frame, QUANTITIES)
