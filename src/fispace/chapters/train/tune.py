"""`train tune` and `train tabulate-tuning`: the settings of each arm, chosen among its tries.

Must not: train, or import torch.
"""

import json
import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fispace.chapters.train.settings import SETTINGS, sae_rate, tried_settings
from fispace.chapters.train.tables import TUNING
from fispace.errors import ArtifactError, DivergedError
from fispace.store.files import read_json, write_json
from fispace.store.tables import read_recipe, read_table, write_csv
from fispace.study.config.train import ArmModel, Settings, TuneArmStep
from fispace.study.step import Reads, Writes, command

log = logging.getLogger(__name__)

ARM, TRIES, TRY, VAL_FVU = "arm", "tries", "try", "val_fvu"


@command("train", "tune")
def tune(
    params: TuneArmStep, *, arm: str, row: str, lr: Reads, curves: list[Reads], chosen: Writes
) -> None:
    """Write the settings of an arm whose try has the lowest validation FVU at its end.

    Of equal ones, the first is taken. A try that diverged loses to any other.

    Args:
        params: the settings to try.
        arm: name of the arm.
        row: its row in params, as JSON.
        lr: the SAE's learning rate.
        curves: of the tries, in any order.
        chosen: JSON; `settings` are the chosen ones, `tries` all of them with their validation FVU, null if
            the try diverged.

    Raises:
        ArtifactError: if a curve is missing or damaged, or is not of one of these settings.
        DivergedError: if every try diverged.
    """
    own = ArmModel.read(json.loads(row), f"train.arms.{arm}")
    found = dict(map(_end_of, curves))
    settings = tried_settings(params, own, sae_rate(lr))
    missing = [str(number) for number, each in enumerate(settings) if each not in found]
    if missing:
        raise ArtifactError(
            f"arm {arm}: no curve of try {', '.join(missing)} with the present settings. Delete "
            f"{curves[0].parent if curves else 'the tries'}; the next run makes the tries again."
        )
    number = min(range(len(settings)), key=lambda n: found[settings[n]])
    if math.isinf(found[settings[number]]):
        raise DivergedError(
            f"arm {arm}: every try diverged. Lower train.lr_candidates, or the multiples in "
            "train.tuning.heads."
        )
    tries = [
        each.plain() | {VAL_FVU: None if math.isinf(found[each]) else found[each]}
        for each in settings
    ]
    write_json(chosen, {ARM: arm, TRY: number, SETTINGS: settings[number].plain(), TRIES: tries})


def _end_of(curve: Path) -> tuple[Settings, float]:
    """The settings of a try, and its last validation FVU, infinite if it diverged."""
    recipe = read_recipe(curve)
    own = {"rates": recipe["rates"], **{key: recipe["params"][key] for key in ("init", "dropout")}}
    fvu = float(read_table(curve)["val_fvu"].iloc[-1])
    return Settings.read(own, str(curve)), math.inf if math.isnan(fvu) else fvu


@command("train", "tabulate-tuning")
def tabulate_tuning(*, chosen: list[Reads], table: Writes) -> None:
    """Write every try of every arm: its settings, its last validation FVU, and whether it was chosen.

    `chosen` are files of `train tune`. The validation FVU is empty if the try diverged.

    Raises:
        ArtifactError: if a file is missing or damaged.
    """
    rows = [row for path in chosen for row in _rows(path)]
    write_csv(table, TUNING.frame(sorted(rows, key=lambda row: (row[ARM], row[TRY]))), TUNING)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    values: Any = read_json(path)
    for number, each in enumerate(values[TRIES]):
        rates, init = each["rates"], each["init"]
        yield {
            ARM: values[ARM], TRY: number, "is_chosen": number == values[TRY], VAL_FVU: each[VAL_FVU],
            **{f"lr_{part}": rate for part, rate in rates.items()}, "dropout": each["dropout"],
            **{f"init_{part}": deviation for part, deviation in init.items()},
        }  # fmt: skip
