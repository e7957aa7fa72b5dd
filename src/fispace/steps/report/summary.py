"""`report summary`: the claims and figures of a run on one Markdown page.

Must not: compute; every number is a cell of the ledger.
"""

from pathlib import Path

from fispace.errors import ParamsError
from fispace.steps.report.long_table import Frame
from fispace.steps.report.markdown import LEGEND, claim_table, document
from fispace.store.files import write_text
from fispace.store.tables import read_csv

CAPTIONS = {
    "reconstruction": "Reconstruction by arm and parts, each seed",
    "kl": "KL by condition, with random errors of the same size",
    "norms": "Squared norms of the decoder rows (paper F6, F7), with the initialisation null",
    "norm_ratios": "Contribution ratios by norm group (paper F8), with the norm null",
    "ratio_scatter": "Contribution ratios against the squared norm (paper F9), with both nulls",
    "spectrum": "Spectrum of the decoder (paper F5), with its nulls",
    "clamping": "Clamping a secondary latent (paper F4)",
    "secondary_activations": "Secondary activations of one primary latent (paper F3)",
    "interaction": "Activations in the four cells of the confirm items: parallel is no interaction",
    "family": "Every declared hypothesis, in units of its equivalence bound",
    "generations": "Response words in continuations under clamps, and texts that a clamp changes",
    "calibration": "False positives and power of the complete procedure (target full)",
}


def write_summary(*, run: str, ledger: Path, figures: list[str], summary: Path) -> None:
    """Write the page; links are relative to its folder.

    Raises:
        ParamsError: if a figure has no caption here.
    """
    unknown = sorted(set(figures) - set(CAPTIONS))
    if unknown:
        raise ParamsError(f"--figures {unknown[0]}: no such figure; known: {', '.join(CAPTIONS)}.")
    claims = read_csv(ledger)
    lines = [
        f"# Summary of the run `{run}`",
        "",
        _coverage(claims),
        "",
        "## Claims",
        "",
        LEGEND,
        "",
        *claim_table(claims),
        "",
        "Definitions, sources and remarks: `claims.csv`. Every quantity by seed: `quantities.csv`.",
        "",
        "## Figures",
        "",
        "Beside each figure lie its PDF and the CSV with exactly the plotted numbers.",
    ]
    for name in figures:
        lines += ["", f"**{CAPTIONS[name]}**", "", f"![{CAPTIONS[name]}](figures/{name}.svg)"]
    write_text(summary, document(lines))


def _coverage(claims: Frame) -> str:
    answered = int(claims["published_quantity"].notna().sum())
    return (
        f"{len(claims)} printed numbers of {claims['id'].nunique()} claims; this run answers "
        f"{answered} of them by the paper's definition."
    )
