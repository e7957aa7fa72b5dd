"""`fidelity summary`: every metric of every condition, with its document interval.

Must not: measure; it reads sums.
"""

import pandas as pd

from fispace.chapters.fidelity.document_tables import read_sums, resampled_documents
from fispace.chapters.fidelity.summary_table import fidelity_table
from fispace.chapters.fidelity.tables import SUMMARY
from fispace.store.tables import read_table, write_csv, write_table
from fispace.study.config.fidelity import FidelityTableStep
from fispace.study.step import Reads, Writes, command


@command("fidelity", "summary")
def summarise(
    params: FidelityTableStep, *, documents: list[Reads], latents: list[Reads], bounds: Reads,
    summary: Writes, table: Writes,
) -> None:  # fmt: skip
    """Write every metric of every (arm, parts, seed, split, special_tokens, condition).

    Raises:
        ArtifactError: if a table is missing or damaged.
    """
    rows = read_sums(documents, bounds)
    fired = pd.concat([read_table(path) for path in latents], ignore_index=True)
    drawn = resampled_documents(rows, params.root_seed, params.n_bootstrap)
    result = fidelity_table(rows, fired, drawn, params.confidence)
    write_table(summary, result, {"step": "fidelity summary", "params": params.plain()})
    write_csv(table, result, SUMMARY)
