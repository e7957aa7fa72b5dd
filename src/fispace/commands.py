"""The one map of the study: its chapters, and the command that each rule calls.

A chapter word is the params section, the rule file `workflow/rules/<chapter>.smk`, the CLI verb,
the module `fispace.steps.<chapter>`, the tests `tests/<chapter>/`, the folder
`results/<run>/<chapter>/` and the DVC stage. Must not: import a step (torch stays unloaded).
"""

from dataclasses import dataclass

from fispace.config import extract, fidelity, testbed, train

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

    @property
    def sections(self) -> tuple[str, ...]:
        """Sections of params in the order in which a field is looked up; "" is the top level."""
        nested = tuple(name for name in self.also if "." in name)
        others = tuple(name for name in self.also if "." not in name)
        return (*nested, self.chapter, *others, "")

    @property
    def module(self) -> str:
        """Dotted name of the module that holds the function."""
        return f"fispace.steps.{self.chapter}"


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
)


def find_command(chapter: str, verb: str) -> Command:
    """The command of a chapter and verb; raises KeyError if there is none."""
    for command in COMMANDS:
        if (command.chapter, command.verb) == (chapter, verb):
            return command
    raise KeyError(f"{chapter} {verb}")
