"""Parameters of the fidelity chapter."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from fispace.study.config.base import Config, Distinct, InnerShare, Seeded, Threaded
from fispace.study.config.lm import ReadsLm, WindowBatches

Control = Literal["epsilon_random", "cosine_noise", "covariance_noise", "shuffled_error"]
"""Random errors of the same size as a reconstruction's; formulas: fispace.chapters.fidelity.matched_errors."""

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
    """Arms with which others are compared."""

    compared_with: Distinct[str]
    """Arms with which every other arm is compared, each reconstructing by all its parts."""


class ControlsOf(Config):
    """Gains of arms over their controls."""

    controls_of: dict[str, Annotated[Distinct[str], Field(min_length=1)]]
    """By arm, the controls over which its gain is tabulated."""


class FullComparisons(Comparisons, ControlsOf):
    """Comparisons of the target full, over all arms and seeds."""


class ForwardPasses(WindowBatches, ReadsLm, Threaded):
    """Forward passes of the language model over the windows of a split."""


class MatchedErrors(Config):
    """Controls of a reconstruction's error, and windows in which latents are counted."""

    controls: Controls
    """Random errors of the same size as the reconstruction's by all parts of an arm; formulas in
    fispace.chapters.fidelity.matched_errors. Claims refer to epsilon_random, so it must be there."""
    ablation_controls: Controls
    """The same for reconstructions by some of an arm's parts, the others dropped after training. Claims
    refer to epsilon_random, so it must be there."""
    epsilon_draws: Annotated[int, Field(ge=1, le=1000)]
    """Number of draws of the control epsilon_random; the other controls are drawn once."""
    dead_window_tokens: Annotated[int, Field(ge=1)]
    """Tokens of a window; a latent that fires on none of them is dead in it. A split with fewer tokens is one
    window."""


class FidelityConfidence(Config):
    """Coverage of the intervals."""

    confidence: InnerShare
    """Coverage of the intervals."""


class Bootstrap(FidelityConfidence):
    """Bootstrap over documents."""

    n_bootstrap: Annotated[int, Field(ge=1, le=1_000_000)]
    """Resamples of the documents for each interval."""


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
