"""All of params.yaml: every section is composed of the groups that commands depend on.

Must not: hold a value of a parameter, or be imported by a step.
"""

from typing import Annotated

from pydantic import AfterValidator, model_validator

from fispace.study.config.arms import TrainSection
from fispace.study.config.base import (
    Name,
    OnDevice,
    Refusal,
    Seeded,
    Threaded,
    require_a_batch,
)
from fispace.study.config.browser import BrowserSection
from fispace.study.config.extract import StandardiserStep, Texts
from fispace.study.config.factorial import (
    Calibration,
    Continuations,
    Factors,
    Families,
    Interventions,
    ListedPairs,
    Permutations,
    ResponseHistogram,
    SecondaryConfig,
    StimulusHalves,
)
from fispace.study.config.fidelity import (
    Bootstrap,
    Comparisons,
    FullComparisons,
    MatchedErrors,
)
from fispace.study.config.geometry import Geometry
from fispace.study.config.interactions import Interactions
from fispace.study.config.limits import broken_limits
from fispace.study.config.lm import ReadsLm, WindowBatches
from fispace.study.config.planted import Planted
from fispace.study.config.report import ClaimsStep, GeometryFigures, HealthStep, Nulls, Resampling
from fispace.study.config.testbed import LanguageBattery, LanguageModel
from fispace.study.names import run_name

RunName = Annotated[Name, AfterValidator(run_name)]


class TestbedSection(LanguageModel, LanguageBattery, Planted, Threaded):
    """The built-in language with ground truth, and the LM that learns it."""


class ExtractSection(Texts, StandardiserStep, Threaded):
    """Activations of one hook point, as Parquet."""


class FidelitySection(WindowBatches, MatchedErrors, Comparisons, Bootstrap, Threaded):
    """Reconstruction quality, and the LM run on the reconstruction."""

    full: FullComparisons
    """Comparisons of the target full, over all arms and seeds."""


class GeometrySection(Geometry, Threaded):
    """Norms, Gram matrix, spectra and contribution ratios, each beside its null."""


class InteractionsSection(Interactions, Threaded):
    """Which pairs of latents combine: a test on what the SAE leaves unexplained."""


class FactorialSection(
    Factors, StimulusHalves, Permutations, Families, Interventions, Continuations, Calibration,
    ListedPairs, ResponseHistogram, Threaded,
):  # fmt: skip
    """2x2 stimuli, secondary SAE, clamping and inference; the hypotheses are declared before the run."""

    battery: Name
    """Stimuli: testbed (written by its grammar), or the name of a folder under data/stimuli/."""
    arm: str
    """Arm of train.arms whose interaction part is analysed."""
    secondary: SecondaryConfig
    """The TopK SAE on the interaction part's first MLP layer."""


class ReportSection(Nulls, Resampling, ClaimsStep, HealthStep, GeometryFigures):
    """Claims ledger, tables and figures."""


class StudyConfig(ReadsLm, Seeded, OnDevice):
    """A study: params.yaml with the overlays and command-line values merged over it."""

    run: RunName
    """Name of results/<run>/: lower-case letters, digits, - and _, a letter first."""
    testbed: TestbedSection
    """The built-in language with ground truth, and the LM that learns it."""
    extract: ExtractSection
    """Activations of one hook point, as Parquet."""
    train: TrainSection
    """Every arm: one model class, one training loop."""
    fidelity: FidelitySection
    """Reconstruction quality, and the LM run on the reconstruction."""
    geometry: GeometrySection
    """Norms, Gram matrix, spectra and contribution ratios, each beside its null."""
    interactions: InteractionsSection
    """Which pairs of latents combine: a test on what the SAE leaves unexplained."""
    factorial: FactorialSection
    """2x2 stimuli, secondary SAE, clamping and inference; the hypotheses are declared before the run."""
    report: ReportSection
    """Claims ledger, tables and figures."""
    browser: BrowserSection
    """Pages on which the latents of one model are looked at: target `browser`, and `full`."""

    @model_validator(mode="after")
    def _require_a_model_to_browse(self) -> "StudyConfig":
        arm, seed = self.browser.arm, self.browser.seed
        if arm not in self.train.arms:
            raise Refusal(("browser", "arm"), f"no arm {arm!r} in train.arms")
        if seed not in self.train.seeds:
            raise Refusal(
                ("browser", "seed"), f"must be one of train.seeds={list(self.train.seeds)}", seed
            )
        return self

    @model_validator(mode="after")
    def _require_arms_that_are_there(self) -> "StudyConfig":
        arms, every = self.train.arms_of_every_run, self.train.arms
        for chapter, arm in (
            ("factorial", self.factorial.arm),
            ("interactions", self.interactions.arm),
        ):
            if arm not in arms:
                raise Refusal((chapter, "arm"), f"no arm {arm!r} of target all in train.arms")
        full = self.fidelity.full
        named = {
            ("compared_with",): (self.fidelity.compared_with, arms),
            ("full", "compared_with"): (full.compared_with, every),
            ("full", "controls_of"): (full.controls_of, every),
        }
        named |= {("full", "controls_of", arm): (of, every) for arm, of in full.controls_of.items()}
        for keys, (names, known) in named.items():
            for name in names:
                if name not in known:
                    of = " of target all" if known is arms else ""
                    raise Refusal(("fidelity", *keys), f"no arm {name!r}{of} in train.arms")
        return self

    @model_validator(mode="after")
    def _require_a_step_of_the_secondary_sae(self) -> "StudyConfig":
        try:
            require_a_batch(self.factorial.secondary.n_tokens, self.train.batch_tokens)
        except Refusal as refusal:
            raise refusal.below("factorial", "secondary") from None
        return self

    @model_validator(mode="after")
    def _require_limits(self) -> "StudyConfig":
        for refusal in broken_limits(self):
            raise refusal
        return self
