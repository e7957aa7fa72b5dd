"""The audit: published weaknesses that are switched on one at a time, and the number they move.

Must not: know how a weakness is switched on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fispace.errors import ParamsError

NO_SWITCH = "fair"
ABLATED_BASELINE, TOKEN_TEST, UNTRAINED_NORMS = (
    "ablated_baseline", "token_level_test", "untrained_norms"
)  # fmt: skip
HOOK_OFF_BY_ONE, NO_STANDARDISER = "hook_off_by_one", "no_standardiser"
LINEAR_POOLING, TRAIN_SPLIT = "linear_pooling", "train_split"

MEASURED = (
    ABLATED_BASELINE, HOOK_OFF_BY_ONE, NO_STANDARDISER, LINEAR_POOLING, TRAIN_SPLIT, TOKEN_TEST,
    UNTRAINED_NORMS,
)  # fmt: skip
"""Switches of measuring, in the order of tables; those of training are named by the study."""

SMALLEST_HALF = 2.0**-24
"""Smallest positive float16 number."""


@dataclass(frozen=True)
class AuditConfig:
    """Which number published weaknesses are to move, and which of them are switches of training."""

    arm: str
    baseline: str
    switches: dict[str, dict[str, Any]]
    """Parameters that take the place of the study's own, by the name of the switch."""


def check_audit(train: Mapping[str, Any]) -> None:
    """Refuse an audit of arms that cannot serve, a switch with a taken name, and a switch for all.

    Raises:
        ParamsError: names the key.
    """
    audit, rows = train["audit"], train["arms"]
    if train["standardise_per"] != "split":
        raise ParamsError(
            f"train.standardise_per: {train['standardise_per']!r} is for a switch of train.audit.switches "
            "alone; every other analysis of a model uses the stored standardiser of the train split."
        )
    for key in ("arm", "baseline"):
        if audit[key] not in rows:
            raise ParamsError(f"train.audit.{key}: no arm {audit[key]!r} in train.arms.")
        if rows[audit[key]]["frozen_sae_from"] is not None:
            raise ParamsError(
                f"train.audit.{key}: {audit[key]!r} copies an SAE that was trained without the switch; "
                "name an arm that trains its own."
            )
    if not {"linear", "interaction"} <= set(rows[audit["arm"]]["parts"]):
        raise ParamsError(
            f"train.audit.arm: {audit['arm']!r} must have the parts linear and interaction; the audit "
            "cuts the one away and pools the other otherwise."
        )
    if audit["arm"] == audit["baseline"]:
        raise ParamsError("train.audit.baseline: must be another arm than train.audit.arm.")
    for where, row in {
        "": {},
        **{f"audit.switches.{k}.": v for k, v in audit["switches"].items()},
    }.items():
        changed = {**train, **row}
        if changed["optimiser"] == "half_precision_adam" and changed["adam_eps"] < SMALLEST_HALF:
            raise ParamsError(
                f"train.{where}adam_eps: {changed['adam_eps']} is zero in float16, and Adam divides by it; "
                f"give at least {SMALLEST_HALF:.2g}."
            )
    taken = sorted({NO_SWITCH, *MEASURED} & set(audit["switches"]))
    if taken:
        raise ParamsError(
            f"train.audit.switches.{taken[0]}: the audit measures a switch of this name already; "
            "choose another."
        )
