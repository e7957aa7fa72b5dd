"""`fidelity shapley`: what each part of each arm contributes, as published and in canonical form.

Must not: measure; it reads sums.
"""

from fispace.chapters.fidelity.document_tables import read_sums, resampled_documents
from fispace.chapters.fidelity.shapley_table import shapley_table
from fispace.chapters.fidelity.tables import SHAPLEY
from fispace.store.tables import write_csv, write_table
from fispace.study.config.fidelity import FidelityTableStep
from fispace.study.step import Reads, Writes, command


@command("fidelity", "shapley")
def shapley_decomposition(
    params: FidelityTableStep,
    *,
    documents: list[Reads],
    bounds: Reads,
    shapley: Writes,
    table: Writes,
) -> None:
    """Write Shapley and leave-one-out values and shares of every arm and seed, as Parquet and as CSV.

    Raises:
        ArtifactError: if a table is missing or damaged.
    """
    rows = read_sums(documents, bounds)
    drawn = resampled_documents(rows, params.root_seed, params.n_bootstrap)
    result = shapley_table(rows, drawn, params.confidence)
    write_table(shapley, result, {"step": "fidelity shapley", "params": params.plain()})
    write_csv(table, result, SHAPLEY)
