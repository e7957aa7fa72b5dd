"""A split as windows: which rows are tokens with an activation, and which rows stand around them.

Must not: decode a token, or read an activation.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from fispace.store.activations import ActivationStore


@dataclass(frozen=True)
class SplitText:
    """Windows of a split in stored order. A row is a token, special ones included."""

    split: str
    token_ids: Int[np.ndarray, " rows"]
    is_special: Bool[np.ndarray, " rows"]
    document_ids: Int[np.ndarray, " windows"]
    starts: Int[np.ndarray, " windows_and_end"]
    """First row of each window, and the number of rows."""
    rows: Int[np.ndarray, " tokens"]
    """Row of each token that has an activation: those that are not special."""
    windows: Int[np.ndarray, " rows"]
    """Window of each row."""
    tokens: Int[np.ndarray, " rows"]
    """Number of each row among the tokens; -1 for special ones."""

    @property
    def n_windows(self) -> int:
        """Number of windows."""
        return len(self.document_ids)

    def window(self, number: int) -> slice:
        """Rows of a window."""
        return slice(int(self.starts[number]), int(self.starts[number + 1]))

    def around(self, row: int, width: int) -> tuple[slice, int]:
        """Rows at most `width` before and after a row in its window, and the row's place among them."""
        whole = self.window(int(self.windows[row]))
        near = slice(max(whole.start, row - width), min(whole.stop, row + width + 1))
        return near, row - near.start


def read_text(store: ActivationStore, split: str) -> SplitText:
    """The token columns of a split; its activations are read by `whole_windows`.

    Raises:
        ArtifactError: if a shard is missing or damaged.
    """
    table = store.tokens(split)
    columns = {name: table[name].to_numpy() for name in ("token_id", "document_id", "position")}
    is_special = table["is_special"].to_numpy(zero_copy_only=False).astype(bool)
    starts = np.flatnonzero(columns["position"] == 0)
    rows = np.flatnonzero(~is_special)
    tokens = np.full(len(is_special), -1)
    tokens[rows] = np.arange(len(rows))
    return SplitText(
        split=split,
        token_ids=columns["token_id"],
        is_special=is_special,
        document_ids=columns["document_id"][starts],
        starts=np.append(starts, len(is_special)),
        rows=rows,
        windows=np.cumsum(columns["position"] == 0) - 1,
        tokens=tokens,
    )


def whole_windows(store: ActivationStore, text: SplitText) -> Iterator[tuple[int, np.ndarray]]:
    """Activations of the tokens, some whole windows at a time, with the number of their first token.

    At most one row group and one window are in memory.
    """
    first, held = 0, np.empty((0, store.d_model), np.float32)
    of_tokens = text.windows[text.rows]
    for group in store.groups(text.split):
        held = np.concatenate([held, group])
        own = of_tokens[first : first + len(held)]
        n_whole = int(np.searchsorted(own, own[-1])) if len(own) else 0
        if n_whole:
            yield first, held[:n_whole]
        first, held = first + n_whole, held[n_whole:]
    if len(held):
        yield first, held
