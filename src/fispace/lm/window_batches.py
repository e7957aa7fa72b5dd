"""Batches of stored windows for a second forward pass over exactly the extracted tokens.

Must not: tokenise; token ids come from the activation store.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from fispace.devices import CPU
from fispace.errors import ArtifactMismatchError
from fispace.lm.hooks import logits, logits_after, read_activations
from fispace.lm.load import load_lm, model_fingerprint
from fispace.lm.windows import padded
from fispace.store.activations import ActivationStore
from fispace.study.config.lm import LmConfig


class WindowBatch(NamedTuple):
    """Some windows of a split, padded on the right."""

    token_ids: Int[Tensor, "batch pos"]
    attention_mask: Int[Tensor, "batch pos"]
    is_token: Bool[Tensor, "batch pos"]
    """Tokens that are replaced and scored: neither padding nor special."""
    document_ids: Int[np.ndarray, " batch"]

    def to(self, device: torch.device) -> "WindowBatch":
        """The same with its tensors on another device."""
        ids, mask, is_token, documents = self
        return WindowBatch(ids.to(device), mask.to(device), is_token.to(device), documents)


def load_extracted_lm(
    lm: LmConfig, testbed_folder: Path | None, store: ActivationStore, device: torch.device = CPU
) -> tuple[Any, Any]:
    """The LM that the store was extracted from, on the device, and its tokenizer.

    Raises:
        ModelError: if the model cannot be loaded.
        ArtifactMismatchError: if its weights or its hook point are not those that the store records.
    """
    model, tokenizer = load_lm(lm, testbed_folder, device)
    require_extracted(lm, model_fingerprint(lm, testbed_folder, model), store)
    return model, tokenizer


def require_extracted(lm: LmConfig, fingerprint: dict[str, str], store: ActivationStore) -> None:
    """Refuse an LM, given by its `model_fingerprint`, that the store was not extracted from.

    Raises:
        ArtifactMismatchError: if its weights or its hook point are not those that the store records.
    """
    if fingerprint != store.manifest.get("model"):
        raise ArtifactMismatchError(
            f"The LM {lm.name} is not the one that {store.path} was extracted from: its weights "
            "differ. Give the same model, or run the rule extract_activations again."
        )
    if lm.hook_point != store.manifest.get("hook_point"):
        raise ArtifactMismatchError(
            f"{store.path} was extracted at hook point {store.manifest.get('hook_point')}, the study now "
            f"says {lm.hook_point}. Run the rule extract_activations again."
        )


def window_batches(
    store: ActivationStore, split: str, batch_windows: int, pad_id: int
) -> Iterator[WindowBatch]:
    """All windows of a split in stored order, `batch_windows` at a time."""
    tokens = store.tokens(split)
    columns = {name: tokens[name].to_numpy() for name in tokens.column_names}
    starts = np.flatnonzero(columns["position"] == 0)
    ends = np.append(starts[1:], len(columns["position"]))
    for first in range(0, len(starts), batch_windows):
        spans = list(
            zip(
                starts[first : first + batch_windows],
                ends[first : first + batch_windows],
                strict=True,
            )
        )
        ids, mask = padded([columns["token_id"][a:b] for a, b in spans], pad_id)
        special, _ = padded([columns["is_special"][a:b] for a, b in spans], 1)
        documents = columns["document_id"][starts[first : first + batch_windows]]
        yield WindowBatch(ids, mask, (mask == 1) & (special == 0), documents)


def hooked_pass(model: Any, hook_point: int | str, batch: WindowBatch) -> tuple[Tensor, Tensor]:
    """Activations at the hook point, and the logits of an undisturbed forward pass.

    The logits come from a pass of its own, not from the splice, so that splicing the model's own
    activations can be checked against them.
    """
    ids, mask = batch.token_ids, batch.attention_mask
    return read_activations(model, hook_point, ids, mask), logits(model, ids, mask)


def spliced_logits(
    model: Any, hook_point: int | str, batch: WindowBatch, x: Tensor, rows: Tensor
) -> Tensor:
    """Logits with `rows` at the hook point of the scored tokens, and `x` at all other positions."""
    activations = x.clone()
    activations[batch.is_token] = rows.to(x.dtype)
    return logits_after(model, hook_point, activations, batch.token_ids, batch.attention_mask)
