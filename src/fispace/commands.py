"""The one map of the study: its chapters, and the command that each rule calls.

A chapter word is the params section, the rule file `workflow/rules/<chapter>.smk`, the CLI verb,
the module `fispace.steps.<chapter>`, the tests `tests/<chapter>/`, the folder
`results/<run>/<chapter>/` and the DVC stage. Must not: import a step (torch stays unloaded).
"""

from dataclasses import dataclass

from fispace.config import extract, factorial, fidelity, geometry, planted, report, testbed, train

CHAPTERS = ("testbed", "extract", "train", "fidelity", "geometry", "factorial", "report")

ALIASES = {
    "baseline": "train",
    "joint": "train",
    "ablation": "fidelity",
    "interventions": "factorial",
    "figures": "report",
}
"""Snakemake targets in the study's own words, and the chapter each belongs to."""


def rule_of(command: str) -> str:
    """Name of the rule that calls `chapter verb`."""
    return command.replace(" ", "_").replace("-", "_")


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
    def writes(self) -> tuple[str, ...]:
        """Options that name what the command writes."""
        return tuple(WRITES[self.chapter, self.verb].split())

    @property
    def rule(self) -> str:
        """Rule that calls the command."""
        return rule_of(f"{self.chapter} {self.verb}")

    @property
    def module(self) -> str:
        """Dotted name of the module that holds the function."""
        names = ["fispace.steps", self.chapter, self.submodule]
        return ".".join(name for name in names if name is not None)


COMMANDS = (
    Command("testbed", "corpus", "write_corpus", testbed.TestbedCorpusStep, (), "language"),
    Command("testbed", "lm", "train_lm", testbed.TestbedLmStep, (), "language"),
    Command("testbed", "planted", "measure_world", planted.PlantedStep, (), "planted"),
    Command(
        "testbed",
        "planted-summary",
        "summarise_worlds",
        planted.PlantedSummaryStep,
        ("testbed.planted",),
        "planted_summary",
    ),
    Command("extract", "activations", "extract_activations", extract.ExtractStep),
    Command("extract", "standardiser", "fit_standardiser", extract.StandardiserStep),
    Command("train", "candidate", "train_candidate", train.TrainArmStep, (), "arm"),
    Command("train", "arm", "train_arm", train.TrainArmStep, (), "arm"),
    Command("train", "choose-lr", "choose_lr", train.ChooseLrStep, (), "lr"),
    Command(
        "fidelity", "bounds", "measure_bounds", fidelity.FidelityBoundsStep, submodule="bounds"
    ),
    Command("fidelity", "arm", "measure_arm", fidelity.FidelityArmStep, submodule="arm"),
    Command("fidelity", "summary", "summarise", fidelity.FidelityTableStep, submodule="summary"),
    Command(
        "fidelity",
        "differences",
        "compare",
        fidelity.FidelityDifferencesStep,
        submodule="differences",
    ),
    Command(
        "fidelity",
        "full-differences",
        "compare",
        fidelity.FidelityDifferencesStep,
        ("fidelity.full",),
        "differences",
    ),
    Command(
        "fidelity",
        "controls",
        "compare_controls",
        fidelity.FidelityControlsStep,
        ("fidelity.full",),
        "controls",
    ),
    Command("fidelity", "cut", "measure_cut", fidelity.FidelityCutStep, submodule="cut"),
    Command(
        "fidelity",
        "gain-curve",
        "draw_gain_curve",
        fidelity.FidelityGainCurveStep,
        submodule="gain_curve",
    ),
    Command("fidelity", "audit", "measure_audit", fidelity.FidelityAuditStep, submodule="audit"),
    Command("fidelity", "shapley", "share_out", fidelity.FidelityTableStep, submodule="shapley"),
    Command(
        "fidelity", "positions", "follow_window", fidelity.FidelityTableStep, submodule="positions"
    ),
    Command("geometry", "arm", "measure_arm", geometry.GeometryArmStep, (), "arm"),
    Command("geometry", "summary", "summarise", None, (), "summary"),
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
    Command("report", "documents", "write_documents", report.DocumentsStep, (), "documents"),
    Command("report", "claims", "write_claims", report.ClaimsStep, submodule="claims"),
    Command("report", "fidelity-plots", "write_fidelity_plots", None, submodule="fidelity_plots"),
    Command("report", "control-plots", "write_control_plots", None, submodule="control_plots"),
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
    Command("report", "planted-plots", "write_planted_plots", None, submodule="planted_plots"),
    Command("report", "audit", "write_audit", report.AuditStep, ("train",), "audit"),
    Command("report", "audit-plots", "write_audit_plots", None, submodule="audit"),
    Command("report", "claims-plot", "write_claims_plot", None, submodule="claims_plot"),
    Command("report", "diagrams", "write_diagrams", report.DiagramsStep, ("train",), "diagrams"),
    Command("report", "draw", "draw_figure", None, submodule="draw"),
    Command("report", "summary", "write_summary", None, submodule="summary"),
    Command("report", "gain-plots", "write_gain_plots", None, submodule="gain_plots"),
)


WRITES = {
    ("testbed", "corpus"): "grammar corpus stimuli",
    ("testbed", "lm"): "lm_folder curve floor",
    ("testbed", "planted"): "metrics pairs",
    ("testbed", "planted-summary"): "summary table",
    ("extract", "activations"): "out",
    ("extract", "standardiser"): "standardiser",
    ("train", "candidate"): "curve",
    ("train", "arm"): "weights curve lifecycle",
    ("train", "choose-lr"): "lr",
    ("fidelity", "bounds"): "bounds",
    ("fidelity", "arm"): "documents positions latents",
    ("fidelity", "summary"): "summary table",
    ("fidelity", "differences"): "differences table",
    ("fidelity", "full-differences"): "differences table",
    ("fidelity", "controls"): "controls table",
    ("fidelity", "cut"): "cut",
    ("fidelity", "gain-curve"): "curve table",
    ("fidelity", "audit"): "documents",
    ("fidelity", "shapley"): "shapley table",
    ("fidelity", "positions"): "curves",
    ("geometry", "arm"): "latents spectrum table",
    ("geometry", "summary"): "summary table",
    ("factorial", "battery"): "items words contexts",
    ("factorial", "activations"): "select confirm",
    ("factorial", "secondary"): "secondary curve quality",
    ("factorial", "responses"): "select_responses confirm_responses",
    ("factorial", "discover"): "discovery candidates",
    ("factorial", "clamp"): "effects planted checks",
    ("factorial", "singles"): "singles histogram",
    ("factorial", "pairs"): "pairs",
    ("factorial", "generate"): "texts counts",
    ("factorial", "infer"): "family table hypotheses activation_cells cells points fits secondary",
    ("factorial", "truth"): "by_word answers",
    ("factorial", "calibrate"): "calibration power table",
    ("report", "quantities"): "quantities table",
    ("report", "documents"): "table",
    ("report", "claims"): "ledger metrics",
    ("report", "fidelity-plots"): "reconstruction kl",
    ("report", "control-plots"): "controls shapley positions",
    ("report", "geometry-plots"): "norms norm_ratios ratio_scatter spectrum",
    ("report", "factorial-plots"): "clamping secondary_activations interaction forest generations",
    ("report", "calibration-plots"): "calibration",
    ("report", "planted-plots"): "planted",
    ("report", "audit"): "audit table",
    ("report", "audit-plots"): "audit",
    ("report", "claims-plot"): "claims",
    ("report", "diagrams"): "pipeline architecture",
    ("report", "draw"): "svg pdf",
    ("report", "summary"): "summary",
    ("report", "gain-plots"): "gain_curve arm_controls",
}
"""Options of a command that name what it writes; its other path options name what it reads."""


ONLY_FULL = (
    "testbed planted",
    "testbed planted-summary",
    "fidelity full-differences",
    "fidelity controls",
    "fidelity cut",
    "fidelity gain-curve",
    "fidelity audit",
    "factorial calibrate",
    "report calibration-plots",
    "report planted-plots",
    "report audit",
    "report audit-plots",
    "report gain-plots",
)
"""Commands that the target `full` calls and `all` does not."""


@dataclass(frozen=True)
class Tool:
    """`python -m fispace <name>`: a function about whole runs; no rule calls it."""

    name: str
    module: str
    function: str


TOOLS = (
    Tool("verify", "fispace.verify", "verify_run"),
    Tool("compare", "fispace.compare", "compare_ledgers"),
    Tool("bands", "fispace.bands", "write_bands"),
)


def find_command(chapter: str, verb: str) -> Command:
    """The command of a chapter and verb; raises KeyError if there is none."""
    for command in COMMANDS:
        if (command.chapter, command.verb) == (chapter, verb):
            return command
    raise KeyError(f"{chapter} {verb}")
