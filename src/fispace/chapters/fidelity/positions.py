"""`fidelity positions`: KL and excess CE along the window, for all parts of every arm.

Must not: measure; it reads sums.
"""

import pandas as pd

from fispace.chapters.fidelity.document_tables import resampled_documents
from fispace.chapters.fidelity.position_table import position_table
from fispace.store.tables import read_table, write_table
from fispace.study.config.fidelity import FidelityTableStep
from fispace.study.step import Reads, Writes, command


@command("fidelity", "positions")
def position_curves(params: FidelityTableStep, *, positions: list[Reads], curves: Writes) -> None:
    """Write the curves of every arm, seed, split and condition as Parquet.

    Raises:
        ArtifactError: if a table is missing or damaged.
    """
    rows = pd.concat([read_table(path) for path in positions], ignore_index=True)
    drawn = resampled_documents(rows, params.root_seed, params.n_bootstrap)
    result = position_table(rows, drawn, params.confidence)
    write_table(curves, result, {"step": "fidelity positions", "params": params.plain()})
