"""Judges the reference again: results/reference/ from its own committed tables, without a run.

    python workflow/rejudge.py            every study in place, with the pages and bands made from them
    python workflow/rejudge.py --check    compare only; exit code 1 if a file would change

Use it after a change to workflow/claims.yaml, to workflow/weaknesses.yaml, to a metric, to a verdict, or
to a page, or of a gate's bound. From the tables of the chapters it makes the health gates, the quantities,
the ledger, the numbers of its figure (`make figures` draws it), the summary page, the page of
explanations, the generated tables of README.md and docs/, the bands, and the hashes in the records. It
calls the functions of the workflow's commands with the parameters of params.yaml, and needs neither torch
nor Snakemake. Quantities of planted pairs and intervals over documents are taken from the committed
tables, because their inputs are too large for git.
Must not: compute a number itself.
"""

import argparse
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))  # the package as it stands here
from engine.kept_records import read_kept, renewed, write_kept
from fispace.chapters.factorial import tables as factorial
from fispace.chapters.fidelity import tables as fidelity
from fispace.chapters.geometry import tables as geometry
from fispace.errors import FispaceError
from fispace.provenance.lineage import COPIED
from fispace.report.compare import write_bands
from fispace.report.explanations import write_explanations
from fispace.report.health import write_health
from fispace.report.ledger import write_claims, write_claims_plot
from fispace.report.pages import (
    DEPARTURES,
    LEDGER_PAGE,
    METRICS_PAGE,
    README,
    rewrite_keys,
    rewrite_pages,
    shown_ledger,
)
from fispace.report.paper_quantities import paper_quantities
from fispace.report.quantities import OF_TABLES
from fispace.report.summary import write_summary
from fispace.report.tables import QUANTITIES
from fispace.report.weaknesses import read_published_study
from fispace.store.metric_registry import OF_PLANTED_PAIRS, unit_of_quantity
from fispace.store.quantities import Quantity, quantity_frame
from fispace.store.tables import read_csv, write_csv, write_table
from fispace.study.commands import find_command
from fispace.study.config.report import ClaimsStep, HealthStep, QuantitiesStep
from fispace.study.params import load_study, slice_of

ROOT = Path(__file__).parents[1]
REFERENCE = Path("results/reference")
CLAIMS, WEAKNESSES = Path("workflow/claims.yaml"), Path("workflow/weaknesses.yaml")
DEFAULT_RUN = "testbed"
FOLDERS = {"all": "report", "full": "report/full"}
OVERVIEWS = {"all": "claims", "full": "claims_full"}
TABLES = {
    "fidelity": ("fidelity/summary.csv", fidelity.SUMMARY),
    "geometry": ("geometry/summary.csv", geometry.SUMMARY),
    "family": ("factorial/infer.csv", factorial.FAMILY),
    "secondary": ("factorial/secondary.csv", factorial.SECONDARY),
    "curve": ("fidelity/full/gain_curve.csv", fidelity.GAIN_CURVE),
}
"""Tables that quantities are computed from, by the option of `report quantities`."""
FIGURE = re.compile(r"!\[.*\]\((.*)/(\w+)\.svg\)")
"""Folder and name of a figure on a summary page."""


def quantities(study: Path, target: str, params: QuantitiesStep) -> Iterator[Quantity]:
    """Every quantity of a target's ledger, from the tables of the chapters."""
    is_full = target == "full"

    def read(option: str) -> pd.DataFrame:
        name, table = TABLES[option]
        folder = "full" if option == "fidelity" and is_full else ""
        return read_csv(study / Path(name).parent / folder / Path(name).name, table)

    for option in ("fidelity", "geometry", "family", *(["curve"] if is_full else [])):
        yield from OF_TABLES[option](read, float("nan"))
    yield from paper_quantities(params)
    if is_full:
        yield from _of_planted_pairs(study / FOLDERS[target] / "quantities.csv")


def _of_planted_pairs(path: Path) -> Iterator[Quantity]:
    """Those of the committed table, since the worlds behind them are not kept."""
    found = read_csv(path, QUANTITIES)
    for row in found[found["quantity"].str.startswith(OF_PLANTED_PAIRS)].to_dict("records"):
        name = str(row["quantity"])
        unit = unit_of_quantity(name) or str(row["unit"])
        yield Quantity(name, int(row["seed"]), float(row["value"]), unit, int(row["n"]))


def rejudge(study: Path, target: str, out: Path) -> None:
    """Write quantities, ledger, overview and summary page of one target below `out`."""
    own, made = study / FOLDERS[target], out / study / FOLDERS[target]
    parameters = load_study(ROOT)
    of_quantities, of_claims, of_health = (
        slice_of(parameters, find_command("report", verb))
        for verb in ("quantities", "claims", "health")
    )
    found = quantity_frame(quantities(study, target, QuantitiesStep.read(of_quantities, "report")))
    write_csv(made / "quantities.csv", found, QUANTITIES)
    with TemporaryDirectory() as scratch:
        write_table(Path(scratch, "quantities.parquet"), found, {})
        write_claims(
            ClaimsStep.read(of_claims, "report"), target=target, claims=CLAIMS,
            quantities=Path(scratch, "quantities.parquet"), documents=own / "documents.csv",
            ledger=made / "claims.csv", metrics=Path(scratch, "claims.json"),
        )  # fmt: skip
    write_health(
        HealthStep.read(of_health, "report"), **_health_tables(study, "full/" if target == "full" else ""),
        health=made / "health.csv",
    )  # fmt: skip
    overview = out / study / "report/figures" / f"{OVERVIEWS[target]}.csv"
    write_claims_plot(ledger=made / "claims.csv", claims=overview)
    truth = study / "factorial/truth.csv"
    places = FIGURE.findall((own / "summary.md").read_text(encoding="utf-8"))
    write_summary(
        run=study.name, target=target, ledger=made / "claims.csv", health=made / "health.csv",
        weaknesses=WEAKNESSES,
        family=study / "factorial/infer.csv", truth=truth if truth.is_file() else None,
        figures=[name for _, name in places], figure_folder=places[0][0],
        explanations="explanations.md", summary=made / "summary.md",
    )  # fmt: skip


def _health_tables(study: Path, full: str) -> dict[str, Any]:
    """Tables of the gates by option; None for those that the reference does not have."""
    heads = study / "geometry/full/heads.csv"
    found = {
        "curves": study / f"train/{full}validation.csv",
        "floor": study / "testbed/floor.json",
    }
    return {name: path if path.is_file() else None for name, path in found.items()} | {
        "fidelity": study / f"fidelity/{full}summary.csv",
        "heads": heads if full and heads.is_file() else study / "geometry/summary.csv",
    }


def rejudge_all(out: Path) -> None:
    """Write all ledgers, summaries, pages and bands below `out`, under their names in the repository."""
    for study in sorted(path.parent for path in REFERENCE.glob("*/report")):
        for target, folder in FOLDERS.items():
            if (study / folder / "claims.csv").is_file():
                rejudge(study, target, out)
    default = out / REFERENCE / DEFAULT_RUN
    runs = sorted((REFERENCE / "bands/runs").glob("*.csv"))
    if runs:
        write_bands(ledgers=runs, bands=out / REFERENCE / f"bands/{DEFAULT_RUN}.csv")
    for page in (README, LEDGER_PAGE, DEPARTURES, METRICS_PAGE):
        (out / page).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(page, out / page)
    rewrite_pages(out, shown_ledger(default))
    rewrite_keys(out, read_published_study(WEAKNESSES))


def renew_records(out: Path) -> None:
    """Write below `out` the records of every study, with the hashes of its files as they now are."""
    for study in sorted(path.parent for path in REFERENCE.glob(f"*/{COPIED}")):
        write_kept(out / study, renewed(study, read_kept(study)))


def explain_all(out: Path) -> None:
    """Write below `out` where the numbers of every ledger come from, as the ledgers now stand."""
    for study in sorted(path.parent for path in REFERENCE.glob(f"*/{COPIED}")):
        truth = study / "factorial/truth.csv"
        for folder in map(Path, FOLDERS.values()):
            own = study / folder
            if (own / "claims.csv").is_file():
                write_explanations(
                    ledger=own / "claims.csv", health=own / "health.csv",
                    quantities=own / "quantities.csv",
                    family=study / "factorial/infer.csv", truth=truth if truth.is_file() else None,
                    explanations=out / own / "explanations.md",
                )  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Judge again or compare; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare only")
    is_check = parser.parse_args(arguments).check
    changed: list[Path] = []
    made = 0
    # the records are renewed before the explanations, and once more for these
    for make in (rejudge_all, renew_records, explain_all, renew_records):
        with TemporaryDirectory() as scratch:
            out = Path(scratch)
            try:
                make(out)
            except FispaceError as error:
                sys.stderr.write(f"error: {error}\n")
                return 1
            found = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
            other = [path for path in found if _differs(path, out / path)]
            made += len(found)
            changed += [path for path in other if path not in changed]
            for path in other if not is_check else ():
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(out / path, path)
        if is_check and changed:
            break  # what is made next is made from these
    verb = "would change" if is_check else "changed"
    names = "".join(f"\n  {path}" for path in changed)
    same = f"{made - len(changed)} of {made} files have the committed bytes"
    sys.stderr.write(f"{same}{f'; {verb}:{names}' if changed else '.'}\n")
    return 1 if is_check and changed else 0


def _differs(old: Path, new: Path) -> bool:
    return not old.is_file() or old.read_bytes() != new.read_bytes()


if __name__ == "__main__":
    sys.exit(main())
