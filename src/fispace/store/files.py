"""Atomic, deterministic writing and checked reading of JSON, and file hashes.

A final name only ever holds a complete file. Must not: know what the files mean.
"""

import errno
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fispace.errors import ArtifactError

HASH_CHUNK_BYTES = 1 << 20


@contextmanager
def atomic_path(final: Path) -> Iterator[Path]:
    """Temporary path beside `final`; renamed to `final` if the block succeeds, deleted if it fails.

    The temporary file has the suffix of `final` and is flushed to disk before it is renamed, so no
    half-written file ever has the final name.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=final.parent, prefix=".partial-", suffix=final.suffix)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        with partial.open("rb+") as written:
            os.fsync(written.fileno())
        partial.chmod(0o644)
        partial.replace(final)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process works in the folder; a killed process releases it.

    The lock is a hidden file beside the folder, so the block may delete the folder.
    """
    lock = folder.with_name(f".{folder.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with lock.open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if not _is_at(lock, stream.fileno()):
                continue  # its last holder deleted it
            try:
                yield
            finally:
                lock.unlink()
            return


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def canonical_json(value: Any) -> str:
    """`value` as sorted, indented JSON with a final newline; raises ValueError on NaN or infinity."""
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with Unix line ends, atomically."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write canonical JSON, atomically."""
    write_text(path, canonical_json(value))


def parse_json(text: str | bytes) -> Any:
    """Value of a JSON text.

    Raises:
        ValueError: if it is not JSON, is nested too deeply, or holds a key twice, NaN, an infinity or a
            number of thousands of digits.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_with_own_keys)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except ValueError as error:
        if "integer string conversion" not in str(error):
            raise
        raise ValueError("it holds a number of thousands of digits") from None


def require_memory(error: Exception) -> None:
    """Raise a library's error again if memory ran out, since then no file is at fault."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        raise error


def _with_own_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!a} is there twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def read_json(path: Path) -> Any:
    """Content of a JSON file.

    Raises:
        ArtifactError: if the file is missing or is not JSON.
    """
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist; run the rule that makes it.") from None
    except ValueError as error:  # not UTF-8, or not JSON
        raise ArtifactError(
            f"{path} is not readable as JSON ({error}). It is truncated or was edited; "
            "delete it and run the workflow again."
        ) from None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits.

    Raises:
        ArtifactError: if the file is missing.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(HASH_CHUNK_BYTES):
                digest.update(chunk)
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist; run the rule that makes it.") from None
    return digest.hexdigest()


def fingerprint(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form: the identity of a configuration."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
