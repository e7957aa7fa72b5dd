"""The audit: weaknesses of the published study, switched on one at a time.

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
"""Switches that change a measurement, in the order of tables; params.yaml names the switches of training."""


class AuditConfig(Config):
    """The number that the audit follows, and the weaknesses that change a training."""

    arm: str
    """Arm whose gain over the baseline is the headline number; must have linear and interaction parts."""
    baseline: str
    """Arm that this gain is over."""
    switches: Annotated[dict[Name, dict[str, Any]], Field(max_length=100)]
    """By the name of a weakness, the parameters of train that replace the study's own."""


class Audited(Config):
    """The audit of the target full."""

    audit: AuditConfig
    """Trainings of the target full with one weakness of the published study switched on, to see how far it
    alone moves the headline number."""
