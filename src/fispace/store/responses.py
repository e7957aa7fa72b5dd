"""Mean latent activations of stimulus texts, one row per text, as Parquet with fixed-size lists.

Must not: compute them, or know which factor levels there are.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from fispace.errors import ArtifactError
from fispace.store.files import atomic_path, canonical_json
from fispace.store.tables import COMPRESSION, frame_of, read_arrow, read_recipe

SPACES = ("primary", "secondary", "residual")


@dataclass(frozen=True)
class Responses:
    """Texts with their factor levels, and the mean activation of every latent of every SAE on them."""

    texts: pd.DataFrame
    """Columns: item, and one per factor; one row per row of the activations."""
    activations: dict[str, Float[np.ndarray, "texts latents"]]
    """By space: `primary`, `secondary` and the control `residual`."""
    recipe: dict[str, Any]
    """Arm and seed of the model, and which half of the items."""


def write_responses(path: Path, responses: Responses) -> None:
    """Write responses atomically, activations as float32."""
    table = pa.Table.from_pandas(responses.texts, preserve_index=False)
    for space in SPACES:
        values = responses.activations[space].astype(np.float32)
        flat = pa.array(values.reshape(-1))
        rows = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
        table = table.append_column(space, rows)
    table = table.replace_schema_metadata({b"fispace": canonical_json(responses.recipe).encode()})
    with atomic_path(path) as partial:
        pq.write_table(table, partial, compression=COMPRESSION)


def read_responses(path: Path) -> Responses:
    """Responses written by `write_responses`; activations as float64.

    Raises:
        ArtifactError: if the file is missing, damaged, or does not hold responses.
    """
    recipe = read_recipe(path)
    table = read_arrow(path)
    if not set(SPACES) <= set(table.column_names):
        raise ArtifactError(f"{path} holds no responses; delete it and run the workflow again.")
    activations = {space: _matrix(table.column(space)) for space in SPACES}
    return Responses(frame_of(table.drop_columns(list(SPACES))), activations, recipe)


def _matrix(column: pa.ChunkedArray) -> np.ndarray:
    array = column.combine_chunks()
    flat = array.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(array), -1).astype(np.float64)
