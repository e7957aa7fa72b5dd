"""The chapter `extract`: text to token windows, windows to sharded activations, and the standardiser.

Must not: know how a model is hooked, or keep activations of more than one shard in memory.
"""

import logging
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from fispace.chapters.extract.shortage import what_is_missing
from fispace.errors import CorpusError
from fispace.lm.batching import require_positions
from fispace.lm.hooks import read_activations, resolve_hook_point
from fispace.lm.load import load_lm, model_fingerprint
from fispace.lm.windows import (
    Window,
    cut_windows,
    pad_id_of,
    padded,
    require_embedded,
    special_tokens,
)
from fispace.seeds import stream_seed
from fispace.store.activations import ActivationStore
from fispace.store.documents import read_documents
from fispace.store.files import alone_in, fingerprint, read_json, sha256_of, write_json
from fispace.store.shards import activation_table, shard_name, write_shard
from fispace.store.standardiser import fit_moments
from fispace.study.config.extract import ExtractStep, StandardiserStep, TextConfig
from fispace.study.step import Reads, ReadsFolder, Scratch, Writes, WritesFolder, command

log = logging.getLogger(__name__)

UNIT_INTERVAL = 2.0**63
TRANSFER = "transfer"


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

    A shard is finished in `scratch` first, so a killed extraction continues after its last whole
    shard; all shards are moved to their final names at the end.

    Raises:
        CorpusError: if the text is missing, empty, or too short for the shards asked for.
        ModelError: if the model cannot be loaded, fails the self-test, has fewer positions than a window
            has tokens, or does not embed a token of the text.
        HookPointError: if the hook point does not exist, or does not serve.
        NonFiniteError: if an activation is not finite; the message names shard and row.
    """
    torch.set_num_threads(params.threads)
    model, tokenizer = load_lm(params.lm, lm_folder)
    require_positions(
        model, params.window_tokens, f"extract.window_tokens={params.window_tokens}"
    )  # fails before the text is tokenised
    special = special_tokens(tokenizer, params.special_tokens)
    splits = _windows_by_split(params, corpus, (model, tokenizer), special)
    recipe = _recipe(params, model, lm_folder, splits)
    listed = {text: token_id for token_id, text in special.items()}
    work = scratch / fingerprint(recipe | {"shards": params.shards.plain(), "special": listed})[:16]
    with alone_in(scratch):  # a killed workflow's job may still be at it
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


@command("extract", "standardiser")
def fit_standardiser(params: StandardiserStep, *, manifest: Reads, standardiser: Writes) -> None:
    """Write mean and population standard deviation of the non-special train tokens.

    Raises:
        ArtifactError: if a train shard is missing or altered.
        ParamsError: if a dimension never varies and `zero_variance` is "refuse".
    """
    store = ActivationStore(manifest)
    store.verify("train")
    fitted = fit_moments(store.groups("train"), params.zero_variance)
    record = params.plain() | {
        "step": "extract standardiser",
        "manifest": sha256_of(manifest),
        "n_tokens": store.n_tokens("train"),
    }
    fitted.save(standardiser, record)


def _windows_by_split(
    params: ExtractStep, corpus: Path | None, lm: tuple[Any, Any], special: Iterable[int]
) -> dict[str, list[Window]]:
    """Windows of every split, each split filled up to its number of tokens."""
    limits = {split: params.max_tokens.of(split) for split in params.splits}
    kept: dict[str, list[Window]] = {split: [] for split in limits}
    own = [split for split in limits if split != TRANSFER]
    for text, targets in ((params.text, own), (params.transfer, [TRANSFER])):
        if text is None:
            continue
        left = {split: limits[split] for split in targets}
        for window in _windows(params, text, corpus, lm, special):
            split = TRANSFER if TRANSFER in left else _split_of(params, window.document_id)
            if left[split] > 0:
                kept[split].append(window)
                left[split] -= int((~window.is_special).sum())
            elif max(left.values()) <= 0:
                break
    for split, windows in kept.items():
        _require_windows(params, corpus, split, windows)
    return kept


def _require_windows(
    params: ExtractStep, corpus: Path | None, split: str, windows: list[Window]
) -> None:
    n_shards = params.shards.of(split)
    log.info("%s: %d windows", split, len(windows))
    if windows and all(window.is_special.all() for window in windows):
        raise CorpusError(
            f"The text of the split {split!r} holds nothing but special tokens of this model, which "
            "are left out everywhere. Give a text without markup for the tokenizer."
        )
    if len(windows) < n_shards:
        text = params.transfer if split == TRANSFER and params.transfer else params.text
        own = [
            split in (TRANSFER, _split_of(params, number))
            for number, _ in enumerate(read_documents(text, corpus))
        ]
        raise CorpusError(
            f"The split {split!r} is empty or too short: the text gives it {len(windows)} windows, fewer "
            f"than its {n_shards} shards. {what_is_missing(params, text, own, len(windows))}"
        )


def _windows(
    params: ExtractStep, text: TextConfig, corpus: Path | None, lm: tuple[Any, Any],
    special: Iterable[int],
) -> Iterator[Window]:  # fmt: skip
    """Windows of a text, whose tokens the model all embeds."""
    model, tokenizer = lm
    for window in cut_windows(
        tokenizer, enumerate(read_documents(text, corpus)),
        params.window_tokens, params.min_window_tokens, params.add_bos, special,
    ):  # fmt: skip
        place = f"{text.path or corpus}: document {window.document_id} (the first is 0)"
        require_embedded(model, tokenizer, window.token_ids, place)
        yield window


def _split_of(params: ExtractStep, document_id: int) -> str:
    """Split of a document: by a hash of its number, so that more text moves no document."""
    unit = stream_seed(params.root_seed, "extract", "split", document_id) / UNIT_INTERVAL
    if unit < params.test_fraction:
        return "test"
    return "val" if unit < params.test_fraction + params.val_fraction else "train"


class _Extraction(NamedTuple):
    """One run of `extract_activations`: the model, and where finished shards wait."""

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
    """What the activations depend on, with fingerprints in place of paths and names."""
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
    """Manifest entries of a split, its windows dealt evenly to its shards."""
    count = job.params.shards.of(split)
    cuts = [number * len(windows) // count for number in range(count + 1)]
    return [
        _make_shard(job, windows[cuts[number - 1] : cuts[number]], shard_name(split, number, count))
        for number in range(1, count + 1)
    ]


def _make_shard(job: _Extraction, windows: list[Window], name: str) -> dict[str, Any]:
    """Manifest entry of one shard; computed unless a finished one waits in the scratch folder."""
    path = job.work / name
    sidecar = path.with_suffix(".json")
    if path.exists() and sidecar.exists():
        entry: Any = read_json(sidecar)
        if entry.get("file") == path.name and sha256_of(path) == entry.get("sha256"):
            log.info("%s: finished before, kept", name)
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
    """Activations of all tokens of the windows, in order; windows of like length share a batch."""
    by_length = sorted(range(len(windows)), key=lambda i: -len(windows[i].token_ids))
    rows: list[np.ndarray] = [np.empty(0)] * len(windows)
    size = job.params.batch_windows
    for start in tqdm(range(0, len(windows), size), desc=name, unit="batch", mininterval=5):
        chosen = by_length[start : start + size]
        ids, mask = padded([windows[i].token_ids for i in chosen], pad_id_of(job.tokenizer))
        found = read_activations(job.model, job.params.lm.hook_point, ids, mask).float().numpy()
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
