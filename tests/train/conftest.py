from pathlib import Path

import pytest
from train.small_training import write_store


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of sparse non-negative combinations with a pairwise term, one shard per split."""
    return write_store(tmp_path)
