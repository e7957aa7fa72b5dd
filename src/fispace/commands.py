"""The one map of the study: its chapters, and the command that each rule calls.

A chapter word is the params section, the rule file `workflow/rules/<chapter>.smk`, the CLI verb,
the module `fispace.steps.<chapter>`, the tests `tests/<chapter>/`, the folder
`results/<run>/<chapter>/` and the DVC stage. Must not: import a step (torch stays unloaded).
"""

from dataclasses import dataclass

from fispace.config import extract, factorial, fidelity, geometry, report, testbed, train

CHAPTERS = ("testbed", "extract", "train", "fidelity", "geometry", "factorial", "report")

ALIASES = {
    "baseline": "train",
    "joint": "train",
    "ablation": "fidelity",
    "interventions": "factorial",
    "figures": "report",
}
"""Snakemake targets in the study's own words, and the chapter each belongs to."""


@dataclass(frozen=True)
class Command:
    """`python -m fispace <chapter> <verb>`: a function of the chapter's step module."""

    chapter: str
    verb: str
    function: str
    config: type | None
    """Dataclass whose fields are exactly the parameters that the command depends on."""
    also: tuple[str, ...] = ()
    """Other sections of params that its fields come from, in the order they are searched after the
    chapter's own and before the top level; a dotted name (`factorial.secondary`) is searched first.
    """

    submodule: str | None = None
    """Module of the chapter's package that holds the function, where the chapter is a package."""

    @property
    def sections(self) -> tuple[str, ...]:
        """Sections of params in the order in which a field is looked up; "" is the top level."""
        nested = tuple(name for name in self.also if "." in name)
        others = tuple(name for name in self.also if "." not in name)
        return (*nested, self.chapter, *others, "")

    @property
    def module(self) -> str:
        """Dotted name of the module that holds the function."""
        names = ["fispace.steps", self.chapter, self.submodule]
        return ".".join(name for name in names if name is not None)


COMMANDS = (
    Command("testbed", "corpus", "write_corpus", testbed.TestbedCorpusStep),
    Command("testbed", "lm", "train_lm", testbed.TestbedLmStep),
    Command("extract", "activations", "extract_activations", extract.ExtractStep),
    Command("extract", "standardiser", "fit_standardiser", extract.StandardiserStep),
    Command("train", "candidate", "train_candidate", train.TrainArmStep),
    Command("train", "arm", "train_arm", train.TrainArmStep),
    Command("train", "choose-lr", "choose_lr", train.ChooseLrStep),
    Command("fidelity", "arm", "measure_arm", fidelity.FidelityArmStep),
    Command("fidelity", "summary", "summarise", fidelity.FidelitySummaryStep),
    Command("geometry", "arm", "measure_arm", geometry.GeometryArmStep),
    Command("geometry", "summary", "summarise", None),
    Command("factorial", "battery", "write_battery", factorial.BatteryStep, (), "battery"),
    Command(
        "factorial",
        "activations",
        "read_stimuli",
        factorial.BatteryActivationsStep,
        ("extract",),
        "activations",
    ),
    Command(
        "factorial",
        "secondary",
        "train_secondary",
        factorial.SecondaryStep,
        ("factorial.secondary", "train"),
        "secondary",
    ),
    Command(
        "factorial",
        "responses",
        "measure_responses",
        factorial.ResponsesStep,
        ("train",),
        "responses",
    ),
    Command("factorial", "discover", "discover", factorial.DiscoverStep, (), "discover"),
    Command("factorial", "clamp", "clamp_latents", factorial.ClampStep, ("extract",), "clamp"),
    Command("factorial", "singles", "measure_singles", factorial.SinglesStep, (), "singles"),
    Command("factorial", "pairs", "list_pairs", factorial.PairsStep, (), "pairs"),
    Command(
        "factorial",
        "generate",
        "generate_texts",
        factorial.GenerateStep,
        ("extract",),
        "generate",
    ),
    Command("factorial", "infer", "infer", factorial.InferStep, (), "infer"),
    Command("factorial", "truth", "compare_truth", factorial.TruthStep, ("extract",), "truth"),
    Command("factorial", "calibrate", "calibrate", factorial.CalibrateStep, (), "calibrate"),
    Command(
        "report", "quantities", "write_quantities", report.QuantitiesStep, submodule="quantities"
    ),
    Command("report", "claims", "write_claims", report.ClaimsStep, submodule="claims"),
    Command("report", "fidelity-plots", "write_fidelity_plots", None, submodule="fidelity_plots"),
    Command(
        "report",
        "geometry-plots",
        "write_geometry_plots",
        report.GeometryPlotsStep,
        submodule="geometry_plots",
    ),
    Command(
        "report", "factorial-plots", "write_factorial_plots", None, submodule="factorial_plots"
    ),
    Command(
        "report",
        "calibration-plots",
        "write_calibration_plots",
        None,
        submodule="calibration_plots",
    ),
    Command("report", "draw", "draw_figure", None, submodule="draw"),
    Command("report", "summary", "write_summary", None, submodule="summary"),
)


def find_command(chapter: str, verb: str) -> Command:
    """The command of a chapter and verb; raises KeyError if there is none."""
    for command in COMMANDS:
        if (command.chapter, command.verb) == (chapter, verb):
            return command
    raise KeyError(f"{chapter} {verb}")
