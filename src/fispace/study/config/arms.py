"""All arms of a study, and what their rows may refer to.

Must not: hold a default, or know what a part computes.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from fispace.errors import ParamsError
from fispace.study.config.build import build
from fispace.study.config.train import ArmConfig, ControlArmConfig

Rows = Mapping[str, Mapping[str, Any]]

BASELINE_ARM = "sae"
TABLES = ("arms", "control_arms")
"""Sections of `train` that hold rows: arms of every run, and those of the target `full` alone."""

_OPTIONS = {field.name for field in fields(ControlArmConfig)} - {
    field.name for field in fields(ArmConfig)
}


def all_arms(train: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Rows of both tables by the name of their arm."""
    return {name: row for table in TABLES for name, row in train[table].items()}


def arm_config(row: Mapping[str, Any], where: str) -> ArmConfig:
    """The row of either table; one that has an option of control arms is theirs.

    Raises:
        ParamsError: on an unknown, missing or ill-typed key, or options that exclude each other.
    """
    return build(ControlArmConfig if _OPTIONS & set(row) else ArmConfig, row, where)


def check_arms(train: Mapping[str, Any]) -> None:
    """Refuse rows that refer to an arm that is not there, or that cannot serve them.

    Raises:
        ParamsError: names the row and the key.
    """
    rows = all_arms(train)
    if BASELINE_ARM not in train["arms"]:
        raise ParamsError(
            f"train.arms: the arm '{BASELINE_ARM}' is missing; the learning rate is chosen on it."
        )
    for table in TABLES:
        for name, row in train[table].items():
            where = f"train.{table}.{name}"
            if table != TABLES[0] and name in train[TABLES[0]]:
                raise ParamsError(f"{where}: train.arms has an arm of this name; choose another.")
            arm = arm_config(row, where)
            # an arm of every run needs no arm that only the target `full` trains
            _check_frozen(where, name, arm, train["arms"] if table == TABLES[0] else rows)
            _check_matched(where, name, arm, rows)


def check_more_seeds(train: Mapping[str, Any]) -> None:
    """Refuse further seeds that every arm has, and further seeds of an arm that is not there.

    Raises:
        ParamsError: names the key.
    """
    more = train["more_seeds"]
    for name in more["arms"]:
        if name not in all_arms(train):
            raise ParamsError(f"train.more_seeds.arms: no arm {name!r} in {' or '.join(TABLES)}.")
    for seed in more["seeds"]:
        if seed in train["seeds"]:
            raise ParamsError(
                f"train.more_seeds.seeds: {seed} is one of train.seeds={train['seeds']}; every arm "
                "is trained with it already."
            )


def gain_ks(train: Mapping[str, Any]) -> list[int]:
    """The k of the gain curve below `train.k`, ascending; none where k is 1."""
    shares = train["gain_curve"]["k_shares"]
    return sorted({max(1, round(share * train["k"])) for share in shares} - {train["k"]})


def check_gain_curve(train: Mapping[str, Any]) -> None:
    """Refuse a curve of an arm without a copied SAE.

    Raises:
        ParamsError: names the key.
    """
    curve, rows = train["gain_curve"], all_arms(train)
    if rows.get(curve["arm"], {}).get("frozen_sae_from") is None:
        raise ParamsError(
            f"train.gain_curve.arm: {curve['arm']!r} must be an arm with frozen_sae_from; its gain "
            "over that SAE is shown."
        )


def check_comparisons(train: Mapping[str, Any], fidelity: Mapping[str, Any]) -> None:
    """Refuse comparisons with an arm that is not there.

    Raises:
        ParamsError: names the key.
    """
    for name in fidelity["compared_with"]:
        if name not in train["arms"]:
            raise ParamsError(f"fidelity.compared_with: no arm {name!r} in train.arms.")
    rows, full = all_arms(train), fidelity["full"]
    named = {"compared_with": full["compared_with"], "controls_of": list(full["controls_of"])}
    named |= {f"controls_of.{arm}": names for arm, names in full["controls_of"].items()}
    for key, names in named.items():
        for name in names:
            if name not in rows:
                raise ParamsError(f"fidelity.full.{key}: no arm {name!r} in {' or '.join(TABLES)}.")


def _check_frozen(where: str, name: str, arm: ArmConfig, rows: Rows) -> None:
    source = arm.frozen_sae_from
    if source is None:
        return
    if source not in rows or source == name or _copies_or_is_matched(rows[source]):
        raise ParamsError(
            f"{where}.frozen_sae_from: {source!r} must be another arm that trains its own SAE of "
            f"train.n_latents; arms: {', '.join(rows)}."
        )


def _check_matched(where: str, name: str, arm: ArmConfig, rows: Rows) -> None:
    target = arm.matched_to if isinstance(arm, ControlArmConfig) else None
    if target is None:
        return
    if target not in rows or target == name or rows[target].get("matched_to") is not None:
        raise ParamsError(
            f"{where}.matched_to: {target!r} must be another arm, of train.n_latents; arms: "
            f"{', '.join(rows)}."
        )
    if arm.frozen_sae_from is not None:
        raise ParamsError(
            f"{where}.matched_to: an arm with a copied SAE has that SAE's size; set one of "
            "frozen_sae_from and matched_to to null."
        )


def _copies_or_is_matched(row: Mapping[str, Any]) -> bool:
    return row["frozen_sae_from"] is not None or row.get("matched_to") is not None
