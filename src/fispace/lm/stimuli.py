"""Activations of short texts at the hook point, one window per text.

Must not: know which half or cell a text belongs to.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from fispace.errors import StimuliError
from fispace.lm.batching import require_positions
from fispace.lm.hooks import read_activations
from fispace.lm.windows import Window, cut_windows, padded, require_embedded, special_tokens
from fispace.store.documents import Document
from fispace.store.shards import activation_table
from fispace.study.config.factorial import BatteryActivationsStep


def stimulus_table(
    params: BatteryActivationsStep, model: Any, tokenizer: Any, texts: Sequence[str]
) -> pa.Table:
    """One row per token: activation (float32), document_id (index of the text), position, is_special.

    Raises:
        StimuliError: if a text is longer than one window.
        ModelError: if a text holds a token that the model does not embed, or is longer than it has
            positions for.
    """
    documents = ((i, Document(text, {})) for i, text in enumerate(texts))
    special = special_tokens(tokenizer, params.special_tokens)
    windows = list(
        cut_windows(tokenizer, documents, params.window_tokens, 1, params.add_bos, special)
    )
    _require_one_window(windows, texts, params.window_tokens)
    for window, text in zip(windows, texts, strict=True):
        require_embedded(model, tokenizer, window.token_ids, f"The text {text!r} of the battery")
    longest = max(len(window.token_ids) for window in windows)
    require_positions(model, longest, f"a text of the battery has {longest} tokens")
    rows: list[np.ndarray] = []
    for start in range(0, len(windows), params.batch_windows):
        chosen = [window.token_ids for window in windows[start : start + params.batch_windows]]
        read = read_activations(model, params.lm.hook_point, *padded(chosen, 0))
        found = read.float().cpu().numpy()
        rows += [found[row, : len(ids)] for row, ids in enumerate(chosen)]
    lengths = [len(window.token_ids) for window in windows]
    columns = {
        "token_id": np.concatenate([window.token_ids for window in windows]).astype(np.int32),
        "document_id": np.repeat(np.arange(len(windows)), lengths),
        "position": np.concatenate([np.arange(n, dtype=np.int32) for n in lengths]),
        "is_special": np.concatenate([window.is_special for window in windows]),
    }
    return activation_table(np.concatenate(rows), columns, "float32")


def _require_one_window(windows: Sequence[Window], texts: Sequence[str], limit: int) -> None:
    for number, window in enumerate(windows):
        if window.document_id != number:
            raise StimuliError(
                f"The text {texts[windows[number - 1].document_id]!r} has more than {limit} "
                "tokens, the length of a window (extract.window_tokens). Shorten it, or lengthen "
                "the window."
            )
    if len(windows) != len(texts):
        raise StimuliError(
            f"The text {texts[-1]!r} has more than {limit} tokens, the length of a window "
            "(extract.window_tokens). Shorten it, or lengthen the window."
        )
