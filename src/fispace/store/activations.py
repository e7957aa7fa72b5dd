"""The activation store: Parquet shards, one manifest, checked reading, token-shuffled batches.

Must not: run a model, standardise, or hold more than a few row groups in memory.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Float, Int

from fispace.errors import ArtifactError, ArtifactMismatchError, NonFiniteError
from fispace.seeds import numpy_stream
from fispace.store.batches import Pools
from fispace.store.files import read_json, require_memory, sha256_of
from fispace.store.shards import matrix_of
from fispace.store.tables import read_arrow

EachGroup = Callable[[Float[np.ndarray, "_ d_model"]], Float[np.ndarray, "_ d_model"]]

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Shard:
    """One entry of the manifest."""

    path: Path
    n_rows: int
    n_special: int
    sha256: str


class ActivationStore:
    """A manifest and the shards that it lists with their checksums."""

    def __init__(self, manifest: Path, each_group: EachGroup | None = None) -> None:
        """Open a store; each shard is checked when it is read.

        `each_group` is applied to the activations of every row group that is read.

        Raises:
            ArtifactError: if the manifest is missing or damaged.
        """
        self.path, self._each_group = manifest, each_group
        self.manifest: dict[str, Any] = read_json(manifest)
        try:
            self.d_model: int = self.manifest["d_model"]
            self.shards = {
                split: [_shard(manifest.parent, split, entry) for entry in entries]
                for split, entries in self.manifest["shards"].items()
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(
                f"{manifest} is not an activation manifest ({error!r}); "
                "delete it and run the rule extract_activations again."
            ) from None

    def n_tokens(self, split: str) -> int:
        """Non-special tokens of a split."""
        return sum(shard.n_rows - shard.n_special for shard in self._of(split))

    def verify(self, split: str) -> None:
        """Check every shard of a split against its checksum.

        Raises:
            ArtifactError: if a shard is missing, truncated or altered; the message names it.
        """
        for shard in self._of(split):
            if sha256_of(shard.path) != shard.sha256:
                raise ArtifactError(
                    f"{shard.path} does not have the checksum that {self.path} records: it is "
                    "truncated or was altered. Delete it and run the rule extract_activations again."
                )

    def tokens(self, split: str) -> pa.Table:
        """Every column of a split but the activations."""
        tables = []
        for shard in self._of(split):
            with _reading(shard.path):
                names = [name for name in pq.read_schema(shard.path).names if name != "activation"]
                tables.append(read_arrow(shard.path, names))
        return pa.concat_tables(tables).replace_schema_metadata(None)

    def groups(
        self, split: str, n_tokens: int | None = None
    ) -> Iterator[Float[np.ndarray, "_ d_model"]]:
        """Activations of the non-special tokens in stored order, one row group at a time, as float32.

        With `n_tokens`, only as many row groups, evenly spaced, as hold that many tokens.
        """
        for shard, group in self._spaced_groups(split, n_tokens):
            yield self._read_group(shard, group)

    def groups_of(
        self, split: str, is_token: Bool[np.ndarray, " rows"], n_tokens: int | None = None
    ) -> Iterator[tuple[Int[np.ndarray, " _"], Float[np.ndarray, "_ d_model"]]]:
        """The activations of `groups`, each with the numbers of its tokens among the rows of the split.

        `is_token` says of every row whether it has an activation, that is, is not special.
        """
        sizes = [size for shard in self._of(split) for size in _group_rows(shard)]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        places = {key: number for number, key in enumerate(self._group_list(split))}
        for key in self._spaced_groups(split, n_tokens):
            begin, end = starts[places[key]], starts[places[key] + 1]
            yield begin + np.flatnonzero(is_token[begin:end]), self._read_group(*key)

    def _spaced_groups(self, split: str, n_tokens: int | None) -> Iterator[tuple[Shard, int]]:
        groups = self._group_list(split)
        share = 1.0 if n_tokens is None else min(1.0, n_tokens / self.n_tokens(split))
        for place in np.linspace(0, len(groups) - 1, math.ceil(share * len(groups))).round():
            yield groups[int(place)]

    def shuffled_batches(
        self, split: str, batch_tokens: int, pool_groups: int, stream: Sequence[str | int],
        start: int = 0,
    ) -> Iterator[Float[np.ndarray, "batch d_model"]]:  # fmt: skip
        """Endless token-shuffled batches in bounded memory, from the batch numbered `start`.

        An epoch visits the row groups in random order, `pool_groups` at a time, and shuffles the
        tokens of each such pool. An incomplete batch is carried into the next pool. `stream` is the
        root seed and the names of the random stream, so equal streams give equal batches. The stream
        is recorded even if no batch is taken, as by a training that was killed at its end.

        Raises:
            ArtifactError: if the split holds no non-special token, or fewer than a batch.
        """
        if self.n_tokens(split) < 1:
            raise ArtifactError(
                f"The shards of split {split!r} in {self.path} hold no token to train on: they are "
                "empty, or special tokens only. Give extract more text, and run it again."
            )
        if self.n_tokens(split) < batch_tokens:
            raise ArtifactError(
                f"The split {split!r} in {self.path} holds {self.n_tokens(split)} tokens, fewer than one "
                f"batch of {batch_tokens}. Set train.batch_tokens to less, or give extract more text."
            )
        root, *names = stream
        rng = numpy_stream(int(root), *names)
        return self._batches(split, batch_tokens, pool_groups, rng, start)

    def _batches(
        self, split: str, batch_tokens: int, pool_groups: int, rng: np.random.Generator, start: int
    ) -> Iterator[Float[np.ndarray, "batch d_model"]]:
        groups = self._group_list(split)
        pools = Pools(len(groups), pool_groups, rng)

        def read(number: int) -> np.ndarray:
            return self._read_group(*groups[number])

        pool = np.empty((0, self.d_model), np.float32)
        if start:
            pool = pools.after(start, batch_tokens, self._group_sizes(split), read)
        while True:
            n_full = len(pool) // batch_tokens * batch_tokens
            yield from np.split(pool[:n_full], n_full // batch_tokens) if n_full else ()
            pool = pools.following(pool[n_full:], read)

    def _of(self, split: str) -> list[Shard]:
        if split not in self.shards:
            raise ArtifactMismatchError(
                f"{self.path} has no split {split!r}; it has {', '.join(sorted(self.shards))}."
            )
        return self.shards[split]

    def _group_list(self, split: str) -> list[tuple[Shard, int]]:
        return [
            (shard, group)
            for shard in self._of(split)
            for group in range(_row_groups(shard, self.path))
        ]

    def _group_sizes(self, split: str) -> list[int]:
        """Non-special tokens of every row group, in the order of `_group_list`."""
        sizes: list[int] = []
        for shard in self._of(split):
            with _reading(shard.path), pq.ParquetFile(shard.path) as file:
                for group in range(file.metadata.num_row_groups):
                    column = _read_columns(file, group, ["is_special"])["is_special"]
                    sizes.append(int((~column.to_numpy()).sum()))
        return sizes

    def _read_group(self, shard: Shard, group: int) -> np.ndarray:
        with _reading(shard.path):
            with pq.ParquetFile(shard.path) as file:
                table = _read_columns(file, group, ["activation", "is_special"])
            keep = ~table["is_special"].to_numpy()
            values = matrix_of(table["activation"])[keep].astype(np.float32)
        if values.shape[1] != self.d_model:
            raise ArtifactMismatchError(
                f"{shard.path} holds vectors of {values.shape[1]} dimensions, its manifest says "
                f"d_model={self.d_model}. Run the rule extract_activations again."
            )
        _require_finite_rows(values, shard.path, group)
        return values if self._each_group is None else self._each_group(values)


def _read_columns(file: pq.ParquetFile, group: int, columns: list[str]) -> pa.Table:
    return file.read_row_group(group, columns=columns, use_threads=False)  # as `read_arrow`


def _group_rows(shard: Shard) -> list[int]:
    """Rows of every row group of a shard."""
    with _reading(shard.path):
        metadata = pq.read_metadata(shard.path)
    return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]


def _row_groups(shard: Shard, manifest: Path) -> int:
    """Number of row groups of a shard; the shard must hold as many rows as its manifest says."""
    with _reading(shard.path):
        metadata = pq.read_metadata(shard.path)
    if metadata.num_rows != shard.n_rows or shard.n_rows < 1:
        raise ArtifactError(
            f"{shard.path} holds {metadata.num_rows} rows; {manifest} says {shard.n_rows}, and a shard "
            "holds at least one. Delete it and run the rule extract_activations again."
        )
    return metadata.num_row_groups


def _require_finite_rows(values: np.ndarray, path: Path, group: int) -> None:
    is_finite = np.isfinite(values).all(axis=1)
    if not is_finite.all():
        row = int(is_finite.argmin())
        raise NonFiniteError(
            f"{path} holds an activation that is not finite: row group {group}, non-special row "
            f"{row}. The extraction refuses such values, so the file was not made by it; delete it "
            "and run the rule extract_activations again."
        )


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn the library's errors about a damaged shard into one that names the shard."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        require_memory(error)
        said = " ".join(str(error).split())
        raise ArtifactError(
            f"{path} is not readable ({said:.200}): it is truncated or was altered. Delete it and "
            "run the rule extract_activations again."
        ) from None


def _shard(folder: Path, split: str, entry: dict[str, Any]) -> Shard:
    for name in (split, entry["file"]):  # a manifest cannot point out of its folder
        if not PLAIN_NAME.fullmatch(name):
            raise ArtifactError(
                f"The manifest in {folder} names {name!r:.80}: not a plain file name. It was altered; "
                "delete it and run the rule extract_activations again."
            )
    counts, sha256 = (entry["n_rows"], entry["n_special"]), entry["sha256"]
    if not all(type(n) is int and n >= 0 for n in counts) or not isinstance(sha256, str):
        raise TypeError(f"{entry['file']}: {counts}")
    return Shard(folder / split / entry["file"], *counts, sha256)
