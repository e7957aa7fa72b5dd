"""What every table of the chapter starts from: all sums beside the study's bounds, and the resamples.

Must not: compute a metric.
"""

from pathlib import Path

import pandas as pd

from fispace.chapters.fidelity.document_sums import Resampled, resampled, with_references
from fispace.seeds import numpy_stream
from fispace.store.tables import read_table


def read_sums(documents: list[Path], bounds: Path) -> pd.DataFrame:
    """Sums of all arms and seeds, and the bounds, each row beside its references.

    Raises:
        ArtifactError: if a table is missing or damaged.
    """
    sums = pd.concat([read_table(path) for path in documents], ignore_index=True)
    return with_references(sums, read_table(bounds))


def resampled_documents(
    rows: pd.DataFrame, root_seed: int, n_bootstrap: int
) -> dict[str, Resampled]:
    """Resamples of each split's documents: the same in every table of a study."""
    streams = {
        str(split): numpy_stream(root_seed, "fidelity", "bootstrap", str(split))
        for split in rows["split"].unique()
    }
    return resampled(rows, n_bootstrap, streams)
