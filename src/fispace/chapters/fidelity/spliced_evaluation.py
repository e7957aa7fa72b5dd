"""One batch of windows through the LM: the unchanged pass, spliced passes, and their sums.

Must not: know a trained model; the caller gives the rows of activations that are spliced in.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fispace.chapters.fidelity.document_sums import INCLUDED, MASKED
from fispace.lm.window_batches import WindowBatch, hooked_pass, spliced_logits
from fispace.stats.metrics import (
    Prediction,
    kl_and_ce,
    log_probabilities,
    next_token_ce,
    prediction_of,
    squared_error,
)
from fispace.store.activations import ActivationStore
from fispace.store.standardiser import Standardiser


class UnchangedPass(NamedTuple):
    """A pass of the unchanged LM over a batch."""

    lm: Any
    hook_point: int | str
    batch: WindowBatch
    x: Tensor
    """[batch pos d_model] activations at the hook point."""
    prediction: Prediction
    ce: Tensor
    """[batch pos] cross-entropy of the next token, nats."""


def unchanged_pass(lm: Any, hook_point: int | str, batch: WindowBatch) -> UnchangedPass:
    """Activations, predictions and CE of the batch with nothing replaced."""
    x, found = hooked_pass(lm, hook_point, batch)
    batch = batch.to(found.device)
    x = x.to(found.device)
    log_p = log_probabilities(found)
    ce = next_token_ce(log_p, batch.token_ids)
    return UnchangedPass(lm, hook_point, batch, x, prediction_of(log_p), ce)


def split_mean(store: ActivationStore, split: str, device: torch.device) -> Tensor:
    """Mean activation of a split's non-special tokens, in float64; it centres the FVU's denominator."""
    total = sum(group.astype(np.float64).sum(0) for group in store.groups(split))
    return torch.from_numpy(np.asarray(total) / store.n_tokens(split)).to(device)


class Scored:
    """One batch with its special tokens masked or included, and the sums over its scored tokens.

    Masked: special tokens keep their own activations; neither they nor padding are scored.
    Included: every token except padding is replaced and scored, BOS too, as the author does.
    """

    def __init__(self, done: UnchangedPass, special_tokens: str) -> None:
        """Choose the tokens that are replaced and scored."""
        present = done.batch.attention_mask == 1
        batch = done.batch
        if special_tokens == INCLUDED:
            batch = batch._replace(is_token=present)
        has_next = torch.zeros_like(present)
        has_next[:, :-1] = present[:, 1:]
        self.done, self.batch, self.special_tokens = done, batch, special_tokens
        self.is_next = batch.is_token & has_next
        self.rows = done.x[batch.is_token].float()

    @property
    def original(self) -> dict[str, Tensor]:
        """CE of the unchanged LM."""
        return {"ce": self.done.ce * self.is_next}

    def splice(self, rows: Tensor) -> dict[str, Tensor]:
        """KL and CE per position with the given rows at the hook point of the scored tokens."""
        found = spliced_logits(self.done.lm, self.done.hook_point, self.batch, self.done.x, rows)
        kl, ce = kl_and_ce(self.done.prediction, found, self.batch.token_ids)
        return {"kl": kl * self.batch.is_token, "ce": ce * self.is_next}

    def errors(self, units: Standardiser, x_hat: Tensor, mean: Tensor) -> dict[str, Tensor]:
        """Squared errors of the scored tokens, standardised and raw, and the denominators of FVU.

        FVU is defined on non-special tokens alone, and `mean` is their mean. A BOS with a hundred
        times their norm would make every reconstruction look perfect.
        """
        z, z_hat = units.standardise(self.rows), units.standardise(x_hat)
        found = {
            "error": squared_error(z, z_hat),
            "error_raw": squared_error(self.rows, x_hat),
            "n_dimensions": z.new_full((len(z),), z.shape[1]),
        }
        if self.special_tokens == MASKED:
            centre = units.standardise(mean)
            found["deviation"] = squared_error(z, centre.expand_as(z))
            found["deviation_raw"] = squared_error(self.rows, mean.expand_as(self.rows))
        return {name: self.place(values) for name, values in found.items()}

    def place(self, values: Tensor) -> Tensor:
        """Values of the scored tokens at their positions, zero elsewhere."""
        placed = torch.zeros_like(self.batch.token_ids, dtype=torch.float64)
        placed[self.batch.is_token] = values.double()
        return placed

    def frame(
        self, parts: str, condition: str, values: dict[str, Tensor], share: float = 1.0
    ) -> pd.DataFrame:
        """One row per window: sums over its scored tokens and their number, times the share of a draw."""
        sums = values | {"n_tokens": self.batch.is_token, "n_next": self.is_next}
        columns = {
            name: value.sum(1).double().cpu().numpy() * share for name, value in sums.items()
        }
        fixed = {
            "parts": parts,
            "special_tokens": self.special_tokens,
            "condition": condition,
            "document_id": self.batch.document_ids,
        }
        return pd.DataFrame(fixed | columns)

    def position_frame(
        self, condition: str, values: dict[str, Tensor], share: float = 1.0
    ) -> pd.DataFrame:
        """One row per scored token: its document, its position in the window, KL and excess CE."""
        window, position = torch.nonzero(self.batch.is_token, as_tuple=True)
        sums = {
            "kl": values["kl"],
            "excess_ce": values["ce"] - self.done.ce * self.is_next,
            "n_tokens": self.batch.is_token,
            "n_next": self.is_next,
        }
        columns = {
            name: s[window, position].double().cpu().numpy() * share for name, s in sums.items()
        }
        fixed = {
            "special_tokens": self.special_tokens,
            "condition": condition,
            "document_id": self.batch.document_ids[window.cpu().numpy()],
            "position": position.cpu().numpy(),
        }
        return pd.DataFrame(fixed | columns)
