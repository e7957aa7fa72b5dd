"""Generated blocks of README and docs: result tables from a ledger, the key from workflow/weaknesses.yaml.

Must not: touch anything outside the generated blocks.
"""

from collections.abc import Sequence
from pathlib import Path

from fispace.errors import ArtifactError
from fispace.report.blocks import Block
from fispace.report.markdown import LEGEND, claim_table
from fispace.report.tables import LEDGER
from fispace.store.tables import read_csv

RESULTS = Block("results", "make reference")
WEAKNESSES, SCRIPTS = Block("weaknesses", "make rejudge"), Block("scripts", "make rejudge")
OF_README = (
    "N5.gain",
    "N5.gain_over_matched",
    "N9.kl_full",
    "N20.interaction_share",
    "P1.joint_recovery",
)
"""Claims in the README, in this order: the two headline gains of the abstract, the gain over a control of
the same size, the share that the title rests on, and the test whose answer is known."""
OF_PAGE = (
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
OF_FULL = ("N2.cut_gain", "N5.gain_over_matched", "P1.joint_recovery")
"""Those of them that only the target `full` answers: a ledger has all of these or none."""
README, PAGE = Path("README.md"), Path("docs/ledger.md")
KEPT_IN = "results/reference"


def shown_ledger(reference: Path) -> Path:
    """The ledger of a reference run that is shown: that of the target `full` if it is there."""
    of_full = reference / "report/full/claims.csv"
    return of_full if of_full.is_file() else reference / "report/claims.csv"


def rewrite_pages(root: Path, ledger: Path) -> None:
    """Replace the result tables of the README and of the page on the ledger.

    Raises:
        ArtifactError: if a page is missing or lacks a marker, or the ledger lacks a headline.
    """
    RESULTS.write(root / README, readme_block(ledger))
    RESULTS.write(root / PAGE, page_block(ledger))


def readme_block(ledger: Path) -> str:
    """The README's table; its legend is the README's own text.

    Raises:
        ArtifactError: if the ledger is missing or lacks a headline.
    """
    return "\n".join(_table(ledger, OF_README, README))


def page_block(ledger: Path) -> str:
    """The page's table and its legend.

    Raises:
        ArtifactError: if the ledger is missing or lacks a headline.
    """
    return "\n".join([*_table(ledger, OF_PAGE, PAGE), "", LEGEND])


def _explanations(ledger: Path, page: Path) -> str | None:
    """The page of explanations beside a reference ledger, as a page links to it; None beside another."""
    folder = ledger.parent.as_posix()
    if f"{KEPT_IN}/" not in folder:
        return None
    below = folder.rpartition(f"{KEPT_IN}/")[2]
    return f"{'../' * (len(page.parts) - 1)}{KEPT_IN}/{below}/explanations.md"


def _table(ledger: Path, names: Sequence[str], page: Path) -> list[str]:
    """Rows of those of the named claims that the ledger's target answers, linked to explanations."""
    claims, explanations = read_csv(ledger, LEDGER), _explanations(ledger, page)
    claims.index = claims["id"] + "." + claims["item"]
    is_full = bool(claims.index.isin(OF_FULL).any())
    shown = [name for name in names if is_full or name not in OF_FULL]
    missing = [name for name in shown if name not in claims.index]
    if missing:
        raise ArtifactError(
            f"{ledger} has no claim {missing[0]}; run the rule that makes it again."
        )
    return claim_table(claims.loc[shown], explanations)
