"""Activations of texts, or given as an array: a store on disk with splits, and its standardiser.

Must not: train, or run a model other than through the steps of the study.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from fispace.chapters.extract.activations import write_activations
from fispace.chapters.extract.standardiser import fit_standardiser
from fispace.errors import ArtifactError, CorpusError, ParamsError
from fispace.library.given import given_texts, require_filled
from fispace.library.language_model import LanguageModel
from fispace.seeds import numpy_stream
from fispace.store.activations import ActivationStore
from fispace.store.files import sha256_of, write_json
from fispace.store.shards import activation_table, shard_name, write_shard
from fispace.store.standardiser import Standardiser, load_standardiser
from fispace.store.tables import frame_of
from fispace.study.config.extract import ExtractStep, PerSplit, StandardiserStep
from fispace.study.params import SOURCE_BY_SUFFIX

Rows = Float[np.ndarray, "tokens d_model"] | Float[Tensor, "tokens d_model"]
"""Activations in the language model's units, one row per token."""

MANIFEST, STANDARDISER = "manifest.json", "standardiser.safetensors"
BLANK_LINE = r"\n\s*\n"
ROW_GROUP_TOKENS = 8192
NO_LIMIT = 10**12
DEFAULT_SPLITS: Mapping[str, float] = {"val": 0.1, "test": 0.2}
"""Shares of the documents; the others are for training."""


class Activations:
    """Activations of one hook point, split by document into train, val and test, with their standardiser."""

    def __init__(self, folder: str | Path, kept: Any = None) -> None:
        """Open the folder of an earlier `fispace.activations`, or `results/<run>/extract` of a run.

        `kept` is an object that lasts as long as this one.

        Raises:
            ArtifactError: if a file is missing or damaged.
        """
        self.folder = Path(folder)
        self.store = ActivationStore(self.manifest)
        self.units: Standardiser = load_standardiser(self.standardiser)
        self._kept = kept

    @property
    def manifest(self) -> Path:
        """The file that lists the shards with their checksums."""
        return self.folder / MANIFEST

    @property
    def standardiser(self) -> Path:
        """The file with mean and deviation of each dimension over the train tokens."""
        return self.folder / STANDARDISER

    @property
    def d_model(self) -> int:
        """Width of the activations."""
        return self.store.d_model

    def array(self, split: str = "train") -> Float[np.ndarray, "tokens d_model"]:
        """All non-special tokens of a split in the order of the text, float32, in the LM's units.

        Raises:
            ArtifactError: if a shard is missing or altered, or there is no such split.
        """
        return np.concatenate(list(self.store.groups(split)))

    def tokens(self, split: str = "train") -> pd.DataFrame:
        """One row per row of `array`: token_id, document_id, window_id and position in the window."""
        frame = frame_of(self.store.tokens(split))
        return frame[~frame["is_special"]].drop(columns="is_special").reset_index(drop=True)


def activations(
    lm: LanguageModel,
    texts: Sequence[str] | Path,
    *,
    folder: str | Path | None = None,
    window_tokens: int = 128,
    min_window_tokens: int = 8,
    add_bos: bool | None = None,
    splits: Mapping[str, float] = DEFAULT_SPLITS,
    batch_windows: int = 32,
    seed: int = 0,
) -> Activations:
    """Activations of texts at the model's hook point, token by token.

    `texts` are documents, or a .txt (documents separated by blank lines), .jsonl or .parquet file (column
    `text`). A document is cut into windows of at most `window_tokens` tokens and belongs to one split as a
    whole. `add_bos` puts the tokenizer's BOS before each window; by default wherever there is one. Special
    tokens are stored, but are not rows of `Activations.array`.

    The store is written to the new `folder`, from which `Activations(folder)` opens it again. Without a
    folder, it lasts as long as the object.

    Raises:
        CorpusError: if a text is missing or empty, or a split is too short.
        ModelError: if the model has fewer positions than a window has tokens, or does not embed a token.
        ParamsError: if the folder exists, or an argument is out of range.
    """
    kept, place = _new_place(folder)
    with _removed_on_failure(place):
        source = texts if isinstance(texts, Path) else _written(texts, place / "texts.jsonl")
        if source.suffix not in SOURCE_BY_SUFFIX:
            raise CorpusError(
                f"{source}: the suffix must be one of {', '.join(SOURCE_BY_SUFFIX)}. Give such a file, or "
                "the documents as a list."
            )
        one_each = dict.fromkeys(PerSplit.model_fields, 1)
        params = ExtractStep.read(
            {
                "lm": lm.config.plain(),
                "text": {
                    "source": SOURCE_BY_SUFFIX[source.suffix], "path": str(source), "field": "text",
                    "delimiter": BLANK_LINE, "config": None, "split": None, "revision": None,
                },
                "transfer": None, "window_tokens": window_tokens,
                "min_window_tokens": min_window_tokens,
                "add_bos": lm.has_bos if add_bos is None else add_bos,
                "special_tokens": {"add": [], "exempt": []},
                "val_fraction": splits["val"], "test_fraction": splits["test"],
                "max_tokens": dict.fromkeys(PerSplit.model_fields, NO_LIMIT), "shards": one_each,
                "store_dtype": "float32", "row_group_tokens": ROW_GROUP_TOKENS,
                "batch_windows": batch_windows, "root_seed": seed,
                "threads": torch.get_num_threads(), "device": "cpu",
            },
            "extract",
        )  # fmt: skip
        write_activations(params, (lm.model, lm.tokenizer), None, None, place / ".scratch", place)
        return _opened(place, kept)


def stored(rows: Any, seed: int = 0) -> Activations:
    """Given activations as a temporary store; rows are divided into the splits at random.

    Raises:
        ParamsError: if they are not a matrix of at least three rows.
        NonFiniteError: if a number is not finite.
    """
    x = np.asarray(rows, dtype=np.float32)
    if x.ndim != 2 or len(x) < len(DEFAULT_SPLITS) + 1:
        raise ParamsError(
            f"The activations have the shape {x.shape}; expected one row per token, [tokens d_model], and "
            "at least three tokens."
        )
    kept, place = _new_place(None)
    order = numpy_stream(seed, "library", "split").permutation(len(x))
    sizes = {name: max(1, int(share * len(x))) for name, share in DEFAULT_SPLITS.items()}
    cuts = np.cumsum(list(sizes.values()))
    parts = dict(zip((*sizes, "train"), np.split(order, cuts), strict=True))
    shards = {split: [_shard(place, split, x, np.sort(own))] for split, own in parts.items()}
    write_json(place / MANIFEST, {"d_model": x.shape[1], "shards": shards})
    return _opened(place, kept)


def _shard(place: Path, split: str, x: np.ndarray, own: np.ndarray) -> dict[str, Any]:
    """Writes one split's shard; returns its entry of the manifest."""
    path = place / shard_name(split, 1, 1)
    columns = {
        "document_id": own, "position": np.zeros(len(own), np.int32),
        "is_special": np.zeros(len(own), bool),
    }  # fmt: skip
    write_shard(path, activation_table(x[own], columns, "float32"), ROW_GROUP_TOKENS, {})
    return {"file": path.name, "n_rows": len(own), "n_special": 0, "sha256": sha256_of(path)}


def _opened(place: Path, kept: Any) -> Activations:
    """The store at `place` with its standardiser, which is fitted here."""
    fit_standardiser(
        StandardiserStep(zero_variance="keep"),
        manifest=place / MANIFEST, standardiser=place / STANDARDISER,
    )  # fmt: skip
    return Activations(place, kept)


def _new_place(folder: str | Path | None) -> tuple[Any, Path]:
    """A temporary folder and its path, or the given folder, which must not exist."""
    if folder is None:
        kept = tempfile.TemporaryDirectory(prefix="fispace-")
        return kept, Path(kept.name)
    place = Path(folder)
    if place.exists():
        raise ParamsError(
            f"{place} exists already. Give a new folder, or open this one with Activations({str(place)!r})."
        )
    place.mkdir(parents=True)
    return None, place


class _removed_on_failure:
    """Deletes a folder if the block fails, so that nothing half-written is left."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is not None:
            shutil.rmtree(self.place, ignore_errors=True)


def _written(texts: Any, path: Path) -> Path:
    found = given_texts(texts, "texts")
    require_filled(
        found, "texts"
    )  # files leave blank documents out, which would renumber the others
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in found), encoding="utf-8")
    return path


def rows_of(x: Rows | Activations, split: str = "test") -> Float[Tensor, "tokens d_model"]:
    """Activations as a float32 tensor: of an array or tensor itself, of a store one of its splits.

    Raises:
        ArtifactError: if they are not a matrix.
    """
    values = x.array(split) if isinstance(x, Activations) else x
    found = torch.as_tensor(np.asarray(values), dtype=torch.float32)
    if found.dim() != 2:
        raise ArtifactError(
            f"The activations have the shape {tuple(found.shape)}; expected [tokens d_model]."
        )
    return found
