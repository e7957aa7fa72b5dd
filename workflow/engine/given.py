"""The files that a user's parameters name: a model folder, texts. Their content decides what is current.

They are no inputs of the rules, because Snakemake takes braces in an input's path for a wildcard; the
rules hold their digests instead. A digest is computed again when a file's size or time changes.
Must not: judge what a file holds.
"""

import contextlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from fispace.errors import ArtifactError
from fispace.provenance.verify import LOGS
from fispace.store.files import read_json, sha256_of, write_json

NOTED = "given.json"
"""Below logs/<run>/: size, time and digest of every file that was named."""


def digests_of(paths: Iterable[Path], run: str) -> list[str]:
    """SHA-256 of each file."""
    return [_digest_of(path, run) for path in paths]


@cache
def _digest_of(path: Path, run: str) -> str:
    note, stat = LOGS / run / NOTED, path.stat()
    known = _known(note)
    marks = [stat.st_size, stat.st_mtime_ns]
    name = str(path.absolute())
    if name not in known or known[name][:2] != marks:
        known[name] = [*marks, sha256_of(path)]
        with contextlib.suppress(OSError):  # a note that cannot be kept is made again
            note.parent.mkdir(parents=True, exist_ok=True)
            write_json(note, known)
    return known[name][2]


def _known(note: Path) -> dict[str, list[Any]]:
    """What was noted; nothing if the note is missing or damaged."""
    try:
        content: Any = read_json(note)
    except ArtifactError:
        return {}
    entries = content.items() if isinstance(content, dict) else ()
    return {name: e for name, e in entries if isinstance(e, list) and len(e) == 3}
