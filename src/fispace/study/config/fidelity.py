"""Parameters of the fidelity chapter."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from fispace.study.config.base import Config, Distinct, InnerShare, Seeded, Threaded
from fispace.study.config.lm import ReadsLm, WindowBatches

Control = Literal["epsilon_random", "cosine_noise", "covariance_noise", "shuffled_error"]
"""Errors of a condition's own size; formulas: fispace.chapters.fidelity.matched_errors."""

PUBLISHED: Control = "epsilon_random"


def _require_published(controls: tuple[Control, ...]) -> tuple[Control, ...]:
    if PUBLISHED not in controls:
        raise ValueError(
            f"{list(controls)} does not contain '{PUBLISHED}', which the claims point to"
        )
    return controls


Controls = Annotated[
    Distinct[Control],
    AfterValidator(_require_published),
    Field(json_schema_extra={"contains": {"const": PUBLISHED}}),
]


class Comparisons(Config):
    """Arms that others are compared with."""

    compared_with: Distinct[str]
    """Arms that the reconstruction by all parts of every other arm is compared with."""


class ControlsOf(Config):
    """Gains over controls."""

    controls_of: dict[str, Annotated[Distinct[str], Field(min_length=1)]]
    """Arms, and the controls over which the gain of each is tabled."""


class FullComparisons(Comparisons, ControlsOf):
    """Comparisons of the target full, over all arms and seeds."""


class ForwardPasses(WindowBatches, ReadsLm, Threaded):
    """Runs of the language model on windows of a split."""


class MatchedErrors(Config):
    """Controls of a reconstruction's error, and windows in which latents are counted."""

    controls: Controls
    """Errors of the condition's own size, run beside all parts of an arm; formulas in
    fispace.chapters.fidelity.matched_errors. The claims point to epsilon_random."""
    ablation_controls: Controls
    """The same, run beside every set of parts that is left when others are dropped after training. The
    claims point to epsilon_random."""
    epsilon_draws: Annotated[int, Field(ge=1, le=1000)]
    """Draws of the control epsilon_random; the other controls are drawn once."""
    dead_window_tokens: Annotated[int, Field(ge=1)]
    """Tokens of a window in which a latent must fire not to be dead in it; a split with fewer tokens is one
    window."""


class FidelityConfidence(Config):
    """Coverage of intervals."""

    confidence: InnerShare
    """Coverage of the intervals."""


class Bootstrap(FidelityConfidence):
    """Intervals from resampled documents."""

    n_bootstrap: Annotated[int, Field(ge=1, le=1_000_000)]
    """Resamples of documents behind every interval."""


class FidelityBoundsStep(ForwardPasses):
    """What `fidelity bounds` depends on."""


class FidelityArmStep(ForwardPasses, MatchedErrors, Seeded):
    """What `fidelity arm` depends on."""


class FidelityTableStep(Bootstrap, Seeded):
    """What every table of intervals depends on: `fidelity summary`, `shapley` and `positions`."""


class FidelityDifferencesStep(Comparisons, Bootstrap, Seeded):
    """What `fidelity differences` depends on."""


class FidelityControlsStep(ControlsOf, Bootstrap, Seeded):
    """What `fidelity controls` depends on."""


class FidelityCutStep(Threaded):
    """What `fidelity cut` depends on."""


class FidelityGainCurveStep(FidelityConfidence):
    """What `fidelity gain-curve` depends on."""


class FidelityAuditStep(ForwardPasses):
    """What `fidelity audit` depends on."""
