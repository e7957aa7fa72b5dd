"""Writing activation shards: Parquet, one row per token, finite numbers only.

Must not: know the sizes of splits, or run a model.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from fispace.errors import NonFiniteError
from fispace.store.files import atomic_path, canonical_json
from fispace.store.tables import RECIPE_KEY

LABEL_PREFIX = "label_"
ARROW_DTYPES = {"float16": pa.float16(), "float32": pa.float32()}


def shard_name(split: str, number: int, count: int) -> str:
    """Path of a shard inside the store; shards are numbered from 1."""
    return f"{split}/shard-{number}-of-{count}.parquet"


def activation_table(
    activations: Float[np.ndarray, "tokens d_model"], columns: dict[str, np.ndarray], dtype: str
) -> pa.Table:
    """Arrow table of one shard: the activation as a fixed-size list, and the token columns."""
    flat = pa.array(activations.astype(dtype).reshape(-1), type=ARROW_DTYPES[dtype])
    arrays: dict[str, Any] = {
        "activation": pa.FixedSizeListArray.from_arrays(flat, activations.shape[1])
    }
    arrays |= {name: pa.array(values) for name, values in columns.items()}
    return pa.table(arrays)


def write_shard(path: Path, table: pa.Table, row_group_tokens: int, recipe: dict[str, Any]) -> None:
    """Write one shard atomically; activations are stored uncompressed and without dictionaries.

    Raises:
        NonFiniteError: if an activation is NaN or infinite, or overflows the stored type.
    """
    _require_finite(table, path)
    table = table.replace_schema_metadata({RECIPE_KEY: canonical_json(recipe).encode()})
    columns = [name for name in table.column_names if name != "activation"]
    layout: dict[str, Any] = {
        "row_group_size": row_group_tokens,
        "use_dictionary": columns,
        "compression": dict.fromkeys(columns, "zstd"),
        "write_statistics": False,
    }
    with atomic_path(path) as partial:
        pq.write_table(table, partial, **layout)


def _require_finite(table: pa.Table, path: Path) -> None:
    values = matrix_of(table.column("activation"))
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        row, dtype = int(bad[0]), values.dtype
        where = f"document {table['document_id'][row]}, position {table['position'][row]}"
        raise NonFiniteError(
            f"Activation is not finite in shard {path.name}, row {row} ({where}); {len(bad)} rows in "
            f"all, stored as {dtype}. Either the model is broken at the hook point, or the values "
            "overflow float16: set extract.store_dtype to float32 (or lm.dtype, if the "
            "forward pass overflows)."
        )


def matrix_of(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Rows of a fixed-size-list column as a matrix, without a copy where Arrow allows."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return array.flatten().to_numpy(zero_copy_only=False).reshape(len(array), array.type.list_size)
