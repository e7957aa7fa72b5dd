"""The settings of an arm: those that all arms share, those that are tried, and those that were chosen.

Must not: train, or import torch.
"""

import math
from pathlib import Path
from typing import Any

from fispace.errors import ArtifactError, ParamsError
from fispace.store.files import read_json
from fispace.study.config.train import ArmModel, InitialWeights, Rates, Settings, TuneArmStep

SETTINGS, SAE_RATE = "settings", "lr"
"""Keys of the files that `train tune` and `train choose-lr` write."""


def shared_settings(params: InitialWeights, lr: float) -> Settings:
    """One peak learning rate for all weights; initial weights and dropout as in `params`."""
    rates = Rates(sae=lr, linear=lr, interaction=lr)
    return Settings(rates=rates, dropout=params.dropout, init=params.init)


def has_a_head(row: ArmModel) -> bool:
    """Whether the arm has a part besides SAEs and bias, with settings of its own."""
    return bool({"linear", "interaction"} & set(row.parts))


def tried_settings(params: TuneArmStep, row: ArmModel, lr: float) -> list[Settings]:
    """The settings that are tried for an arm; `lr` is the SAE's rate that was chosen on the arm `sae`.

    An arm with a head is tried at each of `tuning.heads`, whose rates are multiples of that one, any other
    arm at each of `lr_candidates`.
    """
    if not has_a_head(row):
        return [shared_settings(params, rate) for rate in params.lr_candidates]
    return [
        Settings(
            rates=Rates(
                sae=lr * head.sae, linear=lr * head.linear, interaction=lr * head.interaction
            ),
            dropout=head.dropout,
            init=head.init,
        )
        for head in params.tuning.heads
    ]


def chosen_settings(path: Path, params: InitialWeights) -> Settings:
    """The settings in a file of `train tune`, or the shared ones with the rate of `train choose-lr`.

    Raises:
        ArtifactError: if the file is of neither kind.
    """
    values: Any = read_json(path)
    try:
        if SETTINGS in values:
            return Settings.read(values[SETTINGS], SETTINGS)
        return shared_settings(params, sae_rate(path))
    except (ParamsError, TypeError) as error:
        raise ArtifactError(f"{path} holds no settings of an arm: {error}") from None


def sae_rate(path: Path) -> float:
    """The rate in a file of `train choose-lr`.

    Raises:
        ArtifactError: if it holds no positive number.
    """
    values: Any = read_json(path)
    rate = values.get(SAE_RATE) if isinstance(values, dict) else None
    if not isinstance(rate, float) or not 0 < rate < math.inf:
        raise ArtifactError(
            f"{path} holds no learning rate: its key `{SAE_RATE}` must be a positive number. Delete the "
            "file; the next run chooses the rate again."
        )
    return rate
