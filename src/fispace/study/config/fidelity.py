"""Parameters of the fidelity chapter."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from fispace.study.config.base import Config, Distinct, InnerShare, OnDevice, Seeded
from fispace.study.config.lm import ReadsLm, WindowBatches

MatchedError = Literal["epsilon_random", "cosine_noise", "covariance_noise", "shuffled_error"]
"""Random errors of the same size as a reconstruction's; formulas: fispace.chapters.fidelity.matched_errors."""

PAPER_ERROR: MatchedError = "epsilon_random"
"""The one of the paper, to which claims refer."""


def _require_papers(errors: tuple[MatchedError, ...]) -> tuple[MatchedError, ...]:
    if PAPER_ERROR not in errors:
        raise ValueError(
            f"{list(errors)} does not contain '{PAPER_ERROR}', which the claims point to"
        )
    return errors


ErrorKinds = Annotated[
    Distinct[MatchedError],
    AfterValidator(_require_papers),
    Field(json_schema_extra={"contains": {"const": PAPER_ERROR}}),
]


class Comparisons(Config):
    """Arms with which others are compared."""

    compared_with: Distinct[str]
    """Arms with which every other arm is compared, each reconstructing by all its parts."""


class ControlsOf(Config):
    """Gains of arms over their control arms."""

    controls_of: dict[str, Annotated[Distinct[str], Field(min_length=1)]]
    """By arm, the control arms over which its gain is tabulated."""


class FullComparisons(Comparisons, ControlsOf):
    """Comparisons of the target full, over all arms and seeds."""


class ForwardPasses(WindowBatches, ReadsLm, OnDevice):
    """Forward passes of the language model over the windows of a split."""


class MatchedErrors(Config):
    """Random errors as large as the reconstruction's, and windows in which latents are counted."""

    renamed: ClassVar[dict[str, str]] = {
        "controls": "matched_errors",
        "ablation_controls": "ablation_matched_errors",
    }

    matched_errors: ErrorKinds
    """Random errors of the same size as the reconstruction's by all parts of an arm; formulas in
    fispace.chapters.fidelity.matched_errors. Claims refer to epsilon_random, so it must be there."""
    ablation_matched_errors: ErrorKinds
    """The same for reconstructions by some of an arm's parts, the others dropped after training. Claims
    refer to epsilon_random, so it must be there."""
    epsilon_draws: Annotated[int, Field(ge=1, le=1000)]
    """Number of draws of epsilon_random; the other errors are drawn once."""
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


class FidelityBaselinesStep(ForwardPasses):
    """What `fidelity ablation-baselines` depends on."""


class FidelityArmStep(ForwardPasses, MatchedErrors, Seeded):
    """What `fidelity arm` depends on."""


class FidelityTableStep(Bootstrap, Seeded):
    """What every table of intervals depends on: `fidelity summary`, `shapley` and `positions`."""


class FidelityDifferencesStep(Comparisons, Bootstrap, Seeded):
    """What `fidelity differences` depends on."""


class FidelityControlsStep(ControlsOf, Bootstrap, Seeded):
    """What `fidelity controls` depends on."""


class FidelityReducedKStep(OnDevice):
    """What `fidelity reduced-k` depends on."""


class FidelityGainCurveStep(FidelityConfidence):
    """What `fidelity gain-curve` depends on."""


class FidelityAuditStep(ForwardPasses):
    """What `fidelity audit` depends on."""
