"""Generated blocks of README and docs: claims, weaknesses, the author's scripts, metrics and units.

Must not: hold an explanation, or change a page outside its blocks.
"""

from collections.abc import Sequence
from pathlib import Path

from fispace.errors import ArtifactError
from fispace.report.markdown import LEGEND, Block, claim_table, table_line
from fispace.report.tables import LEDGER
from fispace.report.weaknesses import PublishedStudy, script_table, weakness_table
from fispace.store.metric_registry import METRICS, SLOTS, UNITS, Better
from fispace.store.tables import read_csv

README, LEDGER_PAGE = Path("README.md"), Path("docs/ledger.md")
DEPARTURES, METRICS_PAGE = Path("docs/departures.md"), Path("docs/metrics.md")
REFERENCE_FOLDER = "results/reference"
RESULTS_BLOCK = Block("results", "make reference")
WEAKNESSES, SCRIPTS = Block("weaknesses", "make rejudge"), Block("scripts", "make rejudge")
UNIT_BLOCK, METRIC_BLOCK = Block("units", "make rejudge"), Block("metrics", "make rejudge")
BETTER = {Better.LOWER: "lower", Better.HIGHER: "higher", Better.NEITHER: "–"}
README_CLAIMS = (
    "N5.gain",
    "N5.gain_over_matched",
    "N9.kl_full",
    "N20.interaction_share",
    "P1.joint_recovery",
)
"""Claims in the README, in this order: the two headline gains of the abstract, the gain over a control of
the same size, the share that the title rests on, and the test whose answer is known."""
LEDGER_PAGE_CLAIMS = (
    "N1.mse",
    "N2.gain",
    "N2.cut_gain",
    "N5.gain",
    "N5.gain_over_matched",
    "N5.interaction",
    "N9.kl_full",
    "N8.ce_full",
    "N8.kl_interaction",
    "N20.interaction_share",
    "N10.full_over_epsilon",
    "N12.interaction_f",
    "N14.pca_joint",
    "N16.total_correlation",
    "N17.nonlinear",
    "P1.joint_recovery",
)
"""Claims on the page about the ledger, in this order."""
CLAIMS_OF_FULL = ("N2.cut_gain", "N5.gain_over_matched", "P1.joint_recovery")
"""Claims of both lists that only the target `full` answers; a ledger has all of them or none."""


def shown_ledger(reference: Path) -> Path:
    """The ledger of a reference run that the pages show: the ledger of the target `full` if it exists."""
    of_full = reference / "report/full/claims.csv"
    return of_full if of_full.is_file() else reference / "report/claims.csv"


def rewrite_pages(root: Path, ledger: Path) -> None:
    """Replace the result tables of the README and of the page on the ledger.

    Raises:
        ArtifactError: if a page is missing or lacks a marker, or the ledger lacks a headline.
    """
    RESULTS_BLOCK.write(root / README, readme_block(ledger))
    RESULTS_BLOCK.write(root / LEDGER_PAGE, page_block(ledger))


def readme_block(ledger: Path) -> str:
    """The README's table of claims, without a legend.

    Raises:
        ArtifactError: if the ledger is missing or lacks a headline.
    """
    return "\n".join(_table(ledger, README_CLAIMS, README))


def page_block(ledger: Path) -> str:
    """The table of claims on the page about the ledger, with its legend.

    Raises:
        ArtifactError: if the ledger is missing or lacks a headline.
    """
    return "\n".join([*_table(ledger, LEDGER_PAGE_CLAIMS, LEDGER_PAGE), "", LEGEND])


def _explanations(ledger: Path, page: Path) -> str | None:
    """Link from a page to the explanations beside a reference ledger; None for any other ledger."""
    folder = ledger.parent.as_posix()
    if f"{REFERENCE_FOLDER}/" not in folder:
        return None
    below = folder.rpartition(f"{REFERENCE_FOLDER}/")[2]
    return f"{'../' * (len(page.parts) - 1)}{REFERENCE_FOLDER}/{below}/explanations.md"


def _table(ledger: Path, names: Sequence[str], page: Path) -> list[str]:
    """The named claims as a table, without those that the ledger's target does not answer."""
    claims, explanations = read_csv(ledger, LEDGER), _explanations(ledger, page)
    claims.index = claims["id"] + "." + claims["item"]
    is_full = bool(claims.index.isin(CLAIMS_OF_FULL).any())
    shown = [name for name in names if is_full or name not in CLAIMS_OF_FULL]
    missing = [name for name in shown if name not in claims.index]
    if missing:
        raise ArtifactError(
            f"{ledger} has no claim {missing[0]}; run the rule that makes it again."
        )
    return claim_table(claims.loc[shown], explanations)


def rewrite_keys(root: Path, study: PublishedStudy) -> None:
    """Replace the generated tables of the pages on departures and on metrics.

    Raises:
        ArtifactError: if a page is missing or lacks a marker.
    """
    WEAKNESSES.write(root / DEPARTURES, "\n".join(weakness_table(study)))
    SCRIPTS.write(root / DEPARTURES, "\n".join(script_table(study)))
    UNIT_BLOCK.write(root / METRICS_PAGE, "\n".join(unit_table()))
    METRIC_BLOCK.write(root / METRICS_PAGE, "\n".join(metric_table()))


def unit_table() -> list[str]:
    """Lines of a Markdown table of the units."""
    rows = [table_line((f"`{unit}`", meaning)) for unit, meaning in UNITS.items()]
    return [table_line(("unit", "meaning")), table_line(["---"] * 2), *rows]


def metric_table() -> list[str]:
    """Lines of a Markdown table of the metrics, and of the words that their slots may hold."""
    header = [table_line(("metric", "unit", "better", "definition")), table_line(["---"] * 4)]
    rows = [
        table_line((f"`{of.name}`", f"`{of.unit}`", BETTER[of.better], of.definition))
        for of in METRICS
    ]
    slots = [f"- `{{{name}}}`: `{pattern}`" for name, pattern in SLOTS.items()]
    return [*header, *rows, "", "Slots, as regular expressions:", "", *slots]
