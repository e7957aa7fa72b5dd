"""The standardiser: mean and standard deviation of each dimension on the train split.

It is fitted once, on the non-special train tokens, and used everywhere. Only the audit standardises
rows by their own moments (`own_standardiser`). Must not: be fitted on any other split.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from fispace.devices import CPU
from fispace.errors import CorpusError, NonFiniteError, ParamsError
from fispace.store.tensors import load_tensors, save_tensors


@dataclass(frozen=True)
class Standardiser:
    """z = (x - mean) / std per dimension, and back."""

    mean: Float[Tensor, " d_model"]
    std: Float[Tensor, " d_model"]

    @property
    def device(self) -> torch.device:
        """Device to which `standardise` brings activations."""
        return self.mean.device

    def standardise(self, x: Float[Tensor, "*tokens d_model"]) -> Float[Tensor, "*tokens d_model"]:
        """Activations in units of the train split's standard deviation, on the standardiser's device."""
        return (x.to(self.device) - self.mean) / self.std

    def restore(self, z: Float[Tensor, "*tokens d_model"]) -> Float[Tensor, "*tokens d_model"]:
        """Standardised activations in the LM's own units."""
        return z * self.std + self.mean

    def to(self, device: torch.device) -> "Standardiser":
        """The same on another device."""
        return Standardiser(self.mean.to(device), self.std.to(device))

    def save(self, path: Path, record: dict[str, Any]) -> None:
        """Write mean and std with a record of what they were fitted on."""
        save_tensors(path, {"mean": self.mean, "std": self.std}, record)


def load_standardiser(path: Path, device: torch.device = CPU) -> Standardiser:
    """Standardiser written by `Standardiser.save`, on the device.

    Raises:
        ArtifactError: if the file is missing or damaged.
    """
    tensors, _ = load_tensors(path)
    return Standardiser(tensors["mean"], tensors["std"]).to(device)


def unit_standardiser(d_model: int) -> Standardiser:
    """The standardiser that changes nothing."""
    return Standardiser(torch.zeros(d_model), torch.ones(d_model))


def own_standardiser(x: Float[Tensor, "tokens d_model"]) -> Standardiser:
    """The standardiser fitted on these tokens alone; dimensions that do not vary there get scale 1.

    The author standardises every chunk of 10,000 tokens in this way (W6), so the standardised value of a
    token depends on its neighbours.
    """
    return fit_moments([x.cpu().numpy()], "keep").to(x.device)


def standardised_alone(rows: Float[np.ndarray, "_ d_model"]) -> Float[np.ndarray, "_ d_model"]:
    """The rows, standardised by their own moments; an empty array stays empty."""
    if not len(rows):
        return rows
    x = torch.from_numpy(rows)
    return own_standardiser(x).standardise(x).numpy()


def fit_moments(
    groups: Iterable[Float[np.ndarray, "_ d_model"]], zero_variance: str
) -> Standardiser:
    """Mean and population standard deviation over all rows, accumulated in float64.

    Groups are merged by Chan, Golub & LeVeque (1979), so no sum of squares cancels.

    Raises:
        CorpusError: if there is no row.
        NonFiniteError: if a row is not finite.
        ParamsError: if a dimension never varies and `zero_variance` is "refuse".
    """
    count, mean, squares = 0, np.zeros(()), np.zeros(())
    for group in groups:
        rows = group.astype(np.float64)
        if not np.isfinite(rows).all():
            raise NonFiniteError("An activation of the train split is not finite.")
        if not len(rows):
            continue
        group_mean = rows.mean(0)
        shift, total = group_mean - mean, count + len(rows)
        squares = squares + ((rows - group_mean) ** 2).sum(0) + shift**2 * count * len(rows) / total
        mean = mean + shift * len(rows) / total
        count = total
    if not count:
        raise CorpusError("The train split holds no non-special token to fit the standardiser on.")
    std = np.sqrt(squares / count)
    return Standardiser(_as_float32(mean), _as_float32(_handle_zero(std, zero_variance)))


def _handle_zero(std: np.ndarray, zero_variance: str) -> np.ndarray:
    flat = np.flatnonzero(std == 0)
    if len(flat) and zero_variance == "refuse":
        raise ParamsError(
            f"{len(flat)} dimensions of the activations never vary on the train split (the first is "
            f"{flat[0]}), so they cannot be standardised. Set extract.zero_variance to keep to leave "
            "them at scale 1."
        )
    return np.where(std == 0, 1.0, std)


def _as_float32(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
