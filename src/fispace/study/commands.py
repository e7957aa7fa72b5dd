"""The one map of the study: its chapters, and the command that each rule calls.

A chapter word is the params section, the rule file `workflow/rules/<chapter>.smk`, the CLI verb,
the module `fispace.chapters.<chapter>`, the tests `tests/<chapter>/`, the folder
`results/<run>/<chapter>/` and the DVC stage. Must not: import a step (torch stays unloaded).
"""

from dataclasses import dataclass

from fispace.study.config import (
    extract,
    factorial,
    fidelity,
    geometry,
    planted,
    report,
    testbed,
    train,
)
from fispace.study.config.base import Config

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
    within: str
    """Module of the package that holds the function."""

    function: str
    config: type[Config] | None
    """Group whose fields are exactly the parameters that the command depends on."""
    also: tuple[str, ...] = ()
    """Other sections of params that its fields come from, in the order they are searched after the
    chapter's own and before the top level; a dotted name (`factorial.secondary`) is searched first.
    """

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
        return f"fispace.{self.within}"


COMMANDS = (
    Command(
        "testbed", "corpus", "chapters.testbed.language", "write_corpus", testbed.TestbedCorpusStep
    ),
    Command("testbed", "lm", "chapters.testbed.language", "train_lm", testbed.TestbedLmStep),
    Command("testbed", "planted", "chapters.testbed.planted", "measure_world", planted.PlantedStep),
    Command(
        "testbed",
        "planted-summary",
        "chapters.testbed.planted_summary",
        "summarise_worlds",
        planted.PlantedSummaryStep,
        ("testbed.planted",),
    ),
    Command(
        "extract",
        "activations",
        "chapters.extract.activations",
        "extract_activations",
        extract.ExtractStep,
    ),
    Command(
        "extract",
        "standardiser",
        "chapters.extract.activations",
        "fit_standardiser",
        extract.StandardiserStep,
    ),
    Command("train", "candidate", "chapters.train.arm", "train_candidate", train.TrainArmStep),
    Command("train", "arm", "chapters.train.arm", "train_arm", train.TrainArmStep),
    Command("train", "choose-lr", "chapters.train.lr", "choose_lr", train.ChooseLrStep),
    Command(
        "fidelity",
        "bounds",
        "chapters.fidelity.ablation_baselines",
        "measure_bounds",
        fidelity.FidelityBoundsStep,
    ),
    Command("fidelity", "arm", "chapters.fidelity.arm", "measure_arm", fidelity.FidelityArmStep),
    Command(
        "fidelity", "summary", "chapters.fidelity.summary", "summarise", fidelity.FidelityTableStep
    ),
    Command(
        "fidelity",
        "differences",
        "chapters.fidelity.differences",
        "compare",
        fidelity.FidelityDifferencesStep,
    ),
    Command(
        "fidelity",
        "full-differences",
        "chapters.fidelity.differences",
        "compare",
        fidelity.FidelityDifferencesStep,
        ("fidelity.full",),
    ),
    Command(
        "fidelity",
        "controls",
        "chapters.fidelity.controls",
        "compare_controls",
        fidelity.FidelityControlsStep,
        ("fidelity.full",),
    ),
    Command(
        "fidelity", "cut", "chapters.fidelity.reduced_k", "measure_cut", fidelity.FidelityCutStep
    ),
    Command(
        "fidelity",
        "gain-curve",
        "chapters.fidelity.gain_by_k",
        "tabulate_gain_by_k",
        fidelity.FidelityGainCurveStep,
    ),
    Command(
        "fidelity", "audit", "chapters.fidelity.audit", "measure_audit", fidelity.FidelityAuditStep
    ),
    Command(
        "fidelity",
        "shapley",
        "chapters.fidelity.shapley",
        "shapley_decomposition",
        fidelity.FidelityTableStep,
    ),
    Command(
        "fidelity",
        "positions",
        "chapters.fidelity.positions",
        "position_curves",
        fidelity.FidelityTableStep,
    ),
    Command("geometry", "arm", "chapters.geometry.arm", "measure_arm", geometry.GeometryArmStep),
    Command("geometry", "summary", "chapters.geometry.summary", "summarise", None),
    Command(
        "factorial", "battery", "chapters.factorial.battery", "write_battery", factorial.BatteryStep
    ),
    Command(
        "factorial",
        "activations",
        "chapters.factorial.activations",
        "read_stimuli",
        factorial.BatteryActivationsStep,
        ("extract",),
    ),
    Command(
        "factorial",
        "secondary",
        "chapters.factorial.secondary",
        "train_secondary",
        factorial.SecondaryStep,
        ("factorial.secondary", "train"),
    ),
    Command(
        "factorial",
        "responses",
        "chapters.factorial.responses",
        "measure_responses",
        factorial.ResponsesStep,
        ("train",),
    ),
    Command(
        "factorial", "discover", "chapters.factorial.discover", "discover", factorial.DiscoverStep
    ),
    Command(
        "factorial",
        "clamp",
        "chapters.factorial.clamp",
        "clamp_latents",
        factorial.ClampStep,
        ("extract",),
    ),
    Command(
        "factorial",
        "singles",
        "chapters.factorial.single_latent_response",
        "measure_singles",
        factorial.SinglesStep,
    ),
    Command("factorial", "pairs", "chapters.factorial.pairs", "list_pairs", factorial.PairsStep),
    Command(
        "factorial",
        "generate",
        "chapters.factorial.generate",
        "generate_texts",
        factorial.GenerateStep,
        ("extract",),
    ),
    Command("factorial", "infer", "chapters.factorial.infer", "infer", factorial.InferStep),
    Command(
        "factorial",
        "truth",
        "chapters.factorial.truth",
        "compare_truth",
        factorial.TruthStep,
        ("extract",),
    ),
    Command(
        "factorial",
        "calibrate",
        "chapters.factorial.calibrate",
        "calibrate",
        factorial.CalibrateStep,
    ),
    Command("report", "quantities", "report.quantities", "write_quantities", report.QuantitiesStep),
    Command("report", "documents", "report.documents", "write_documents", report.DocumentsStep),
    Command("report", "claims", "report.claims", "write_claims", report.ClaimsStep),
    Command("report", "fidelity-plots", "chapters.fidelity.plots", "write_fidelity_plots", None),
    Command(
        "report", "control-plots", "chapters.fidelity.control_plots", "write_control_plots", None
    ),
    Command(
        "report",
        "geometry-plots",
        "chapters.geometry.plots",
        "write_geometry_plots",
        report.GeometryPlotsStep,
    ),
    Command("report", "factorial-plots", "chapters.factorial.plots", "write_factorial_plots", None),
    Command(
        "report",
        "calibration-plots",
        "chapters.factorial.calibration_plots",
        "write_calibration_plots",
        None,
    ),
    Command("report", "planted-plots", "chapters.testbed.plots", "write_planted_plots", None),
    Command("report", "audit", "report.audit", "write_audit", report.AuditStep, ("train",)),
    Command("report", "audit-plots", "report.audit", "write_audit_plots", None),
    Command("report", "claims-plot", "report.claims_plot", "write_claims_plot", None),
    Command(
        "report", "diagrams", "report.diagrams", "write_diagrams", report.DiagramsStep, ("train",)
    ),
    Command("report", "draw", "report.draw", "draw_figure", None),
    Command("report", "summary", "report.summary", "write_summary", None),
    Command("report", "gain-plots", "chapters.fidelity.gain_plots", "write_gain_plots", None),
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
    Tool("verify", "fispace.provenance.verify", "verify_run"),
    Tool("compare", "fispace.report.compare", "compare_ledgers"),
    Tool("bands", "fispace.report.bands", "write_bands"),
)


def find_command(chapter: str, verb: str) -> Command:
    """The command of a chapter and verb; raises KeyError if there is none."""
    for command in COMMANDS:
        if (command.chapter, command.verb) == (chapter, verb):
            return command
    raise KeyError(f"{chapter} {verb}")
