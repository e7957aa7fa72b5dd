"""`fidelity differences`: arms against arms, reconstructions against matched errors, paired by document.

Must not: measure; it reads sums.
"""

from fispace.chapters.fidelity.difference_table import difference_table
from fispace.chapters.fidelity.document_tables import read_sums, resampled_documents
from fispace.chapters.fidelity.tables import DIFFERENCES
from fispace.store.tables import write_csv, write_table
from fispace.study.config.fidelity import FidelityDifferencesStep
from fispace.study.step import Reads, Writes, command


@command("fidelity", "differences")
@command("fidelity", "full-differences", sections=("fidelity.full",), target="full")
def compare(
    params: FidelityDifferencesStep, *, documents: list[Reads], bounds: Reads, differences: Writes,
    table: Writes,
) -> None:  # fmt: skip
    """Write differences and ratios of losses with their paired intervals, as Parquet and as CSV.

    Raises:
        ArtifactError: if a table is missing or damaged.
    """
    rows = read_sums(documents, bounds)
    drawn = resampled_documents(rows, params.root_seed, params.n_bootstrap)
    result = difference_table(rows, drawn, params.compared_with, params.confidence)
    write_table(differences, result, {"step": "fidelity differences", "params": params.plain()})
    write_csv(table, result, DIFFERENCES)
