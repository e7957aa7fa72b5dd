"""`fidelity controls`: what arms gain over the controls declared for them.

Must not: measure; it reads sums.
"""

from fispace.chapters.fidelity.control_table import control_table
from fispace.chapters.fidelity.document_tables import read_sums, resampled_documents
from fispace.chapters.fidelity.tables import CONTROLS
from fispace.store.tables import write_csv, write_table
from fispace.study.config.fidelity import FidelityControlsStep
from fispace.study.step import Reads, Writes, command


@command("fidelity", "controls", sections=("fidelity.full",), target="full")
def compare_controls(
    params: FidelityControlsStep, *, documents: list[Reads], bounds: Reads, controls: Writes,
    table: Writes,
) -> None:  # fmt: skip
    """Write FVU and KL gains with paired intervals over documents and seeds, as Parquet and as CSV.

    Raises:
        ArtifactError: if a table is missing or damaged.
    """
    rows = read_sums(documents, bounds)
    drawn = resampled_documents(rows, params.root_seed, params.n_bootstrap)
    result = control_table(rows, drawn, params.controls_of, params.confidence)
    write_table(controls, result, {"step": "fidelity controls", "params": params.plain()})
    write_csv(table, result, CONTROLS)
