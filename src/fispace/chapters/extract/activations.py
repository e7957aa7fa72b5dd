"""`extract activations`: text to token windows, and windows to sharded activations.

Must not: know how a model is hooked, or keep the activations of more than one shard in memory.
"""

import logging
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from fispace.chapters.extract.splits import windows_by_split
from fispace.devices import prepare
from fispace.lm.batching import require_positions
from fispace.lm.hooks import read_activations, resolve_hook_point
from fispace.lm.load import load_lm, model_fingerprint
from fispace.lm.windows import Window, pad_id_of, padded, special_tokens
from fispace.store.files import alone_in, fingerprint, read_json, sha256_of, write_json
from fispace.store.shards import activation_table, shard_name, write_shard
from fispace.study.config.extract import ExtractStep
from fispace.study.step import Reads, ReadsFolder, Scratch, WritesFolder, command

log = logging.getLogger(__name__)


@command("extract", "activations")
def extract_activations(
    params: ExtractStep,
    *,
    lm_folder: ReadsFolder | None,
    corpus: Reads | None,
    scratch: Scratch,
    out: WritesFolder,
) -> None:
    """Write `out/{split}/shard-*.parquet` and `out/manifest.json`.

    Every shard is finished in `scratch` first, so a killed extraction continues after its last whole
    shard. At the end all shards are moved to their final names.

    Raises:
        CorpusError: if the text is missing, empty, or too short for the shards asked for.
        ModelError: if the model cannot be loaded, fails the self-test, has fewer positions than a window
            has tokens, or does not embed a token of the text.
        HookPointError: if the hook point does not exist, or cannot be read and replaced.
        NonFiniteError: if an activation is not finite; the message names shard and row.
    """
    device = prepare(params.threads, params.device)
    lm = load_lm(params.lm, lm_folder, device)
    write_activations(params, lm, lm_folder, corpus, scratch, out)


def write_activations(
    params: ExtractStep, lm: tuple[Any, Any], lm_folder: Path | None, corpus: Path | None,
    scratch: Path, out: Path,
) -> None:  # fmt: skip
    """`extract_activations` with a model and tokenizer that are loaded already."""
    model, tokenizer = lm
    require_positions(
        model, params.window_tokens, f"extract.window_tokens={params.window_tokens}"
    )  # fails before the text is tokenised
    special = special_tokens(tokenizer, params.special_tokens)
    splits = windows_by_split(params, corpus, (model, tokenizer), special)
    recipe = _recipe(params, model, lm_folder, splits)
    listed = {text: token_id for token_id, text in special.items()}
    work = scratch / fingerprint(recipe | {"shards": params.shards.plain(), "special": listed})[:16]
    with alone_in(scratch):  # the job of a killed workflow may still be running
        job = _Extraction(params, model, tokenizer, recipe, listed, work)
        _write_splits(job, splits, out)
        shutil.rmtree(scratch)


def _write_splits(job: "_Extraction", splits: dict[str, list[Window]], out: Path) -> None:
    """Make every shard in the scratch folder, then move all to their final names."""
    entries = {split: _make_split(job, split, windows) for split, windows in splits.items()}
    for split, shards in entries.items():
        (out / split).mkdir(parents=True, exist_ok=True)
        for shard in shards:
            (job.work / split / shard["file"]).replace(out / split / shard["file"])
    found = {
        "d_model": entries["train"][0]["d_model"], "special_tokens": job.special, "shards": entries,
    }  # fmt: skip
    write_json(out / "manifest.json", job.recipe | found)


class _Extraction(NamedTuple):
    """One run of `extract_activations`: the model, and the folder of finished shards."""

    params: ExtractStep
    model: Any
    tokenizer: Any
    recipe: dict[str, Any]
    special: dict[str, int]
    """Special tokens and their ids."""
    work: Path


def _recipe(
    params: ExtractStep, model: Any, lm_folder: Path | None, splits: dict[str, list[Window]]
) -> dict[str, Any]:
    """Everything the activations depend on, with fingerprints in place of paths and names."""
    return {
        "step": "extract activations",
        "model": model_fingerprint(params.lm, lm_folder, model),
        "data": {split: _data_fingerprint(windows) for split, windows in splits.items()},
        "dtype": params.lm.dtype,
        "hook_point": params.lm.hook_point,
        "hook_path": resolve_hook_point(model, params.lm.hook_point)[0],
        "add_bos": params.add_bos,
        "window_tokens": params.window_tokens,
        "store_dtype": params.store_dtype,
    }


def _data_fingerprint(windows: list[Window]) -> str:
    return fingerprint([[window.document_id, *window.token_ids.tolist()] for window in windows])


def _make_split(job: _Extraction, split: str, windows: list[Window]) -> list[dict[str, Any]]:
    """Manifest entries of a split, whose windows are divided evenly among its shards."""
    count = job.params.shards.of(split)
    cuts = [number * len(windows) // count for number in range(count + 1)]
    return [
        _make_shard(job, windows[cuts[number - 1] : cuts[number]], shard_name(split, number, count))
        for number in range(1, count + 1)
    ]


def _make_shard(job: _Extraction, windows: list[Window], name: str) -> dict[str, Any]:
    """Manifest entry of one shard, which is computed unless the scratch folder holds it finished."""
    path = job.work / name
    sidecar = path.with_suffix(".json")
    if path.exists() and sidecar.exists():
        entry: Any = read_json(sidecar)
        if entry.get("file") == path.name and sha256_of(path) == entry.get("sha256"):
            log.info("%s: already finished", name)
            return entry
    activations = _run(job, windows, name)
    columns = _token_columns(windows)
    table = activation_table(activations, columns, job.params.store_dtype)
    write_shard(path, table, job.params.row_group_tokens, job.recipe)
    entry = {
        "file": path.name,
        "d_model": activations.shape[1],
        "n_rows": len(activations),
        "n_special": int(columns["is_special"].sum()),
        "n_windows": len(windows),
        "sha256": sha256_of(path),
    }
    write_json(sidecar, entry)
    return entry


def _run(job: _Extraction, windows: list[Window], name: str) -> np.ndarray:
    """Activations of all tokens of the windows, in order; windows of similar length share a batch."""
    by_length = sorted(range(len(windows)), key=lambda i: -len(windows[i].token_ids))
    rows: list[np.ndarray] = [np.empty(0)] * len(windows)
    size = job.params.batch_windows
    for start in tqdm(range(0, len(windows), size), desc=name, unit="batch", mininterval=5):
        chosen = by_length[start : start + size]
        ids, mask = padded([windows[i].token_ids for i in chosen], pad_id_of(job.tokenizer))
        read = read_activations(job.model, job.params.lm.hook_point, ids, mask)
        found = read.float().cpu().numpy()
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
