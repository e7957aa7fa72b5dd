"""One job with a stop-watch on the guarantees: `python -m faults.timed_job FILE CHAPTER VERB ...`.

Writes to FILE, as JSON, the seconds spent in hashes, records, fsync and checkpoints. Must not: change
what the job does.
"""

import functools
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HASHES, RECORDS, FSYNC, CHECKPOINTS = "hashes", "records", "fsync", "checkpoints"


class StopWatch:
    """Seconds by kind; what runs inside another guarantee counts as that one."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys((HASHES, RECORDS, FSYNC, CHECKPOINTS), 0.0)
        self._is_running = False

    def on(self, owner: Any, name: str, kind: str) -> None:
        """Time every call of the owner's function."""
        setattr(owner, name, self._timed(getattr(owner, name), kind))

    def _timed(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            if self._is_running:
                return function(*args, **kwargs)
            self._is_running, begin = True, time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._is_running = False
                self.seconds[kind] += time.perf_counter() - begin

        return call


def watched(watch: StopWatch) -> Callable[[list[str]], int]:
    """The command line with the stop-watch on; to be called before the package is imported."""
    watch.on(os, "fsync", FSYNC)
    files = importlib.import_module("fispace.store.files")
    watch.on(files, "sha256_of", HASHES)
    cli = importlib.import_module("fispace.cli")
    for name in ("hashed_inputs", "state_of", "write_record"):
        watch.on(cli, name, RECORDS)
    import_module = importlib.import_module

    def import_and_watch(name: str, package: str | None = None) -> Any:
        found = import_module(name, package)
        resume = sys.modules.get("fispace.models.training_state")
        if resume is not None and not hasattr(resume.Checkpoints.offer, "__wrapped__"):
            for method in ("__init__", "offer", "resume", "remove"):
                watch.on(resume.Checkpoints, method, CHECKPOINTS)
        return found

    importlib.import_module = import_and_watch
    return cli.main


def main() -> int:
    """Run the job; returns its exit code."""
    watch = StopWatch()
    code = watched(watch)(sys.argv[2:])
    Path(sys.argv[1]).write_text(json.dumps(watch.seconds), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
