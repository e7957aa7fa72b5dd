"""Whether two runs of a step wrote the same numbers within rounding."""

from pathlib import Path

import numpy as np
import pandas as pd

from fispace.store.tables import read_table
from fispace.store.tensors import load_tensors


def require_same_numbers(found: Path, expected: Path, rtol: float, atol: float) -> None:
    """Compare two tables (.parquet, .csv) or files of tensors, column by column."""
    if expected.suffix == ".safetensors":
        a, b = (load_tensors(path)[0] for path in (found, expected))
        assert a.keys() == b.keys()
        for name, tensor in b.items():
            _require_close(a[name].numpy(), tensor.numpy(), rtol, atol, f"{found}: {name}")
        return
    read = read_table if expected.suffix == ".parquet" else pd.read_csv
    a, b = read(found), read(expected)
    assert list(a.columns) == list(b.columns)
    for column in b.columns:
        where = f"{found}: {column}"
        if pd.api.types.is_float_dtype(b[column]):
            _require_close(a[column].to_numpy(), b[column].to_numpy(), rtol, atol, where)
        elif isinstance(b[column].iloc[0], np.ndarray):
            _require_close(np.stack(a[column]), np.stack(b[column]), rtol, atol, where)
        else:
            assert a[column].tolist() == b[column].tolist(), where


def _require_close(
    found: np.ndarray, expected: np.ndarray, rtol: float, atol: float, where: str
) -> None:
    assert found.shape == expected.shape, where
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol, err_msg=where)
