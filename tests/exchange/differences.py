"""How far two computations of the same thing are apart."""

from typing import NamedTuple

from exchange.by_description import Forward
from torch import Tensor

TOLERANCE = 1e-5


class Row(NamedTuple):
    """One comparison of ours with theirs."""

    of: str
    found: dict[str, float]
    """Largest relative difference of each quantity."""


def differences(ours: Forward, theirs: Forward) -> dict[str, float]:
    """Of codes and reconstruction."""
    return {
        "codes": relative(ours.codes, theirs.codes),
        "x_hat": relative(ours.x_hat, theirs.x_hat),
    }


def relative(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference, relative to the largest number of ours."""
    return float((ours - theirs.detach()).abs().max() / ours.abs().max())
