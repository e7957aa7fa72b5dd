"""Checks that a file is of the half, or of the model, that a step may read.

Must not: read a file.
"""

from pathlib import Path
from typing import Any

from fispace.errors import ArtifactMismatchError


def require_same(path: Path, key: str, found: Any, expected: Any) -> None:
    """Check that `path` belongs here; the leak between the halves stops at this line.

    Raises:
        ArtifactMismatchError: if what the file records is not what is expected.
    """
    if found != expected:
        raise ArtifactMismatchError(
            f"{path} does not match its use: {key} is {found!r} in the file and {expected!r} here. "
            "Run the rule that makes it again."
        )
