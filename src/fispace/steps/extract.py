"""The chapter `extract`: text to token windows, windows to sharded activations, and the standardiser.

Must not: know how a model is hooked, or keep activations of more than one shard in memory.
"""

import logging
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from fispace.config.extract import ExtractStep, StandardiserStep, TextConfig
from fispace.errors import CorpusError
from fispace.lm.hooks import read_activations, resolve_hook_point
from fispace.lm.load import load_lm, model_fingerprint
from fispace.lm.windows import Window, cut_windows, padded
from fispace.seeds import stream_seed
from fispace.store.activations import (
    ActivationStore,
    activation_table,
    shard_name,
    write_shard,
)
from fispace.store.documents import read_documents
from fispace.store.files import fingerprint, read_json, sha256_of, write_json
from fispace.store.standardiser import fit_moments

log = logging.getLogger(__name__)

UNIT_INTERVAL = 2.0**63
TRANSFER = "transfer"


def extract_activations(
    params: ExtractStep, *, lm_folder: Path | None, corpus: Path | None, scratch: Path, out: Path
) -> None:
    """Write `out/{split}/shard-*.parquet` and `out/manifest.json`.

    A shard is finished in `scratch` first, so a killed extraction continues after its last whole
    shard; all shards are moved to their final names at the end.

    Raises:
        CorpusError: if the text is missing, empty, or too short for the shards asked for.
        ModelError, HookPointError: if the model or its hook point does not exist.
        NonFiniteError: if an activation is not finite; the message names shard and row.
    """
    torch.set_num_threads(params.threads)
    model, tokenizer = load_lm(params.lm, lm_folder)
    hook_path, _ = resolve_hook_point(model, params.lm.hook_point)
    splits = _windows_by_split(params, corpus, tokenizer)
    recipe = {
        "step": "extract activations",
        "model": model_fingerprint(params.lm, lm_folder, model),
        "dtype": params.lm.dtype,
        "hook_path": hook_path,
        "add_bos": params.add_bos,
        "window_tokens": params.window_tokens,
        "store_dtype": params.store_dtype,
    }
    data = {split: _data_fingerprint(windows) for split, windows in splits.items()}
    work = scratch / fingerprint({"recipe": recipe, "data": data, "shards": params.shards})[:16]
    shards: dict[str, list[dict[str, Any]]] = {}
    for split, windows in splits.items():
        count = params.shards[split]
        parts = [windows[i * len(windows) // count : (i + 1) * len(windows) // count] for i in range(count)]
        shards[split] = [
            _make_shard(params, model, tokenizer, part, work / shard_name(split, i, count), recipe)
            for i, part in enumerate(parts, start=1)
        ]
    for split, entries in shards.items():
        (out / split).mkdir(parents=True, exist_ok=True)
        for entry in entries:
            (work / split / entry["file"]).replace(out / split / entry["file"])
    manifest = recipe | {"d_model": _width(out, shards), "data": data, "shards": shards}
    write_json(out / "manifest.json", manifest)
    shutil.rmtree(scratch)


def fit_standardiser(params: StandardiserStep, *, manifest: Path, standardiser: Path) -> None:
    """Write mean and population standard deviation of the non-special train tokens.

    Raises:
        ArtifactError: if a train shard is missing or altered.
        ParamsError: if a dimension never varies and `zero_variance` is "refuse".
    """
    store = ActivationStore(manifest)
    store.verify("train")
    fitted = fit_moments(store.groups("train"), params.zero_variance)
    record = asdict(params) | {
        "step": "extract standardiser",
        "manifest": sha256_of(manifest),
        "n_tokens": store.n_tokens("train"),
    }
    fitted.save(standardiser, record)


def _windows_by_split(
    params: ExtractStep, corpus: Path | None, tokenizer: Any
) -> dict[str, list[Window]]:
    """Windows of every split, each split filled up to its number of tokens."""
    limits = {split: params.max_tokens[split] for split in params.splits}
    kept: dict[str, list[Window]] = {split: [] for split in limits}
    own = [split for split in limits if split != TRANSFER]
    for text, targets in ((params.text, own), (params.transfer, [TRANSFER])):
        left = {split: limits[split] for split in targets}
        for window in _windows(params, text, corpus, tokenizer) if text else ():
            split = TRANSFER if TRANSFER in left else _split_of(params, window.document_id)
            if left[split] > 0:
                kept[split].append(window)
                left[split] -= int((~window.is_special).sum())
            elif max(left.values()) <= 0:
                break
    for split, windows in kept.items():
        _require_windows(split, len(windows), params.shards[split])
    return kept


def _require_windows(split: str, n_windows: int, n_shards: int) -> None:
    log.info("%s: %d windows", split, n_windows)
    if n_windows < n_shards:
        raise CorpusError(
            f"The text gives {n_windows} windows for the split {split!r}, fewer than its {n_shards} "
            "shards: it is empty or too short. Give more text, a smaller extract.min_window_tokens, "
            "or fewer extract.shards."
        )


def _windows(
    params: ExtractStep, text: TextConfig, corpus: Path | None, tokenizer: Any
) -> Iterator[Window]:
    return cut_windows(
        tokenizer, enumerate(read_documents(text, corpus)),
        params.window_tokens, params.min_window_tokens, params.add_bos,
    )  # fmt: skip


def _split_of(params: ExtractStep, document_id: int) -> str:
    """Split of a document: by a hash of its number, so that more text moves no document."""
    unit = stream_seed(params.root_seed, "extract", "split", document_id) / UNIT_INTERVAL
    if unit < params.test_fraction:
        return "test"
    return "val" if unit < params.test_fraction + params.val_fraction else "train"


def _data_fingerprint(windows: list[Window]) -> str:
    return fingerprint([[window.document_id, *window.token_ids.tolist()] for window in windows])


def _make_shard(
    params: ExtractStep, model: Any, tokenizer: Any, windows: list[Window], path: Path,
    recipe: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Manifest entry of one shard; computed unless a finished one lies in the scratch folder."""
    sidecar = path.with_suffix(".json")
    if path.exists() and sidecar.exists():
        entry = read_json(sidecar)
        if sha256_of(path) == entry["sha256"]:
            log.info("%s: finished before, kept", path.name)
            return entry
    activations = _run(params, model, tokenizer, windows, path.stem)
    columns = _token_columns(windows)
    write_shard(
        path, activation_table(activations, columns, params.store_dtype), params.row_group_tokens, recipe
    )
    entry = {
        "file": path.name,
        "n_rows": len(activations),
        "n_special": int(columns["is_special"].sum()),
        "n_windows": len(windows),
        "sha256": sha256_of(path),
    }
    write_json(sidecar, entry)
    return entry


def _run(
    params: ExtractStep, model: Any, tokenizer: Any, windows: list[Window], name: str
) -> np.ndarray:
    """Activations of all tokens of the windows, in order; windows of like length share a batch."""
    pad_id = tokenizer.pad_token_id or 0
    by_length = sorted(range(len(windows)), key=lambda i: -len(windows[i].token_ids))
    rows: list[np.ndarray] = [np.empty(0)] * len(windows)
    starts = range(0, len(windows), params.batch_windows)
    for start in tqdm(starts, desc=name, unit="batch", mininterval=5):
        chosen = by_length[start : start + params.batch_windows]
        ids, mask = padded([windows[i].token_ids for i in chosen], pad_id)
        found = read_activations(model, params.lm.hook_point, ids, mask).float().numpy()
        for row, i in enumerate(chosen):
            rows[i] = found[row, : len(windows[i].token_ids)]
    return np.concatenate(rows)


def _token_columns(windows: list[Window]) -> dict[str, np.ndarray]:
    lengths = [len(window.token_ids) for window in windows]
    columns = {
        "token_id": np.concatenate([window.token_ids for window in windows]),
        "document_id": np.repeat([window.document_id for window in windows], lengths),
        "window_id": np.repeat([window.number for window in windows], lengths),
        "position": np.concatenate([np.arange(length) for length in lengths]),
        "is_special": np.concatenate([window.is_special for window in windows]),
    }
    dtypes = {"document_id": np.int64, "window_id": np.int64, "is_special": np.bool_}
    columns = {name: array.astype(dtypes.get(name, np.int32)) for name, array in columns.items()}
    for name in windows[0].labels:
        columns[name] = np.concatenate([window.labels[name] for window in windows])
    return columns


def _width(out: Path, shards: dict[str, list[dict[str, Any]]]) -> int:
    import pyarrow.parquet as pq

    entry = shards["train"][0]
    return pq.read_schema(out / "train" / entry["file"]).field("activation").type.list_size
