"""The audit: published weaknesses that are switched on one at a time, and the number they move.

Must not: know how a weakness is switched on.
"""

from typing import Annotated, Any

from pydantic import Field

from fispace.study.config.base import Config, Name

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


class AuditConfig(Config):
    """Which number published weaknesses are to move, and which of them are switches of training."""

    arm: str
    """Arm whose gain over the baseline is the headline number; must have linear and interaction parts."""
    baseline: str
    """Arm that it is compared with."""
    switches: Annotated[dict[Name, dict[str, Any]], Field(max_length=100)]
    """Parameters of train that take the place of the study's own, by the name of the weakness."""


class Audited(Config):
    """The audit of the target full."""

    audit: AuditConfig
    """Trainings of the target full with one weakness of the published study switched on: how far does it
    alone move the headline number?"""
