"""`report audit` and `report audit-plots`: each weakness that can be switched, beside what it moves.

Must not: measure; every number comes from `fidelity audit` or from the quantities.
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from fispace.errors import ArtifactError
from fispace.report.audit_table import Compared, Pair, audit_table
from fispace.report.tables import AUDIT, AUDIT_PLOT
from fispace.report.weaknesses import PublishedStudy, read_published_study
from fispace.store.metric_registry import FRACTION
from fispace.store.quantities import Frame
from fispace.store.tables import read_csv, read_table, write_csv, write_table
from fispace.study.config.report import AuditStep
from fispace.study.step import Reads, Writes, command

NO_WEAKNESS = "–"
"""Of a switch that the study added."""
SPEARMAN = "ratio_total_spearman"
STATES = ("trained", "decoder_trained")
TEXTS = {"kl_t": "t of the difference in KL", "norm_spearman": "Spearman of NFM share and norm"}


@command("report", "audit", sections=("train",), target="full")
def write_audit(
    params: AuditStep, *, documents: list[Reads], quantities: Reads, weaknesses: Reads, audit: Writes,
    table: Writes,
) -> None:  # fmt: skip
    """Write what every switch does to the headline numbers, as Parquet and as CSV.

    Columns: weakness switch what, those of `audit_table`. `weaknesses` is the key to the codes.

    Raises:
        ArtifactError: if a table is missing or damaged, or has no norms of the audit's arm.
        ParamsError: if the file of weaknesses is malformed.
    """
    study = read_published_study(weaknesses)
    rows = pd.concat([read_table(path) for path in documents], ignore_index=True)
    settings = params.audit
    norms = _norms(read_table(quantities), settings.arm)
    compared = Compared(settings.arm, settings.baseline)
    found = audit_table(rows, norms, compared, params.confidence)
    described = found["switch"].map(lambda switch: _described(switch, settings.switches, study))
    found.insert(0, "weakness", [weakness for weakness, _ in described])
    found.insert(2, "what", [what for _, what in described])
    write_table(audit, found, {"step": "report audit", "arm": settings.arm})
    write_csv(table, found, AUDIT)


def _norms(quantities: Frame, arm: str) -> dict[int, Pair]:
    """The correlation N16 by seed, with trained norms and with the NFM's as initialised."""
    trained, untrained = (
        quantities[quantities["quantity"] == f"{SPEARMAN}.{arm}.{state}"].set_index("seed")["value"]
        for state in STATES
    )
    seeds = sorted(set(trained.index) & set(untrained.index))
    if not seeds:
        raise ArtifactError(
            f"The quantities hold no {SPEARMAN}.{arm}.{STATES[0]} and .{STATES[1]} of a common seed; the "
            f"audit of train.audit.arm={arm!r} needs both. Run the rule report_quantities again."
        )
    return {int(seed): (float(trained[seed]), float(untrained[seed])) for seed in seeds}


def _described(
    switch: str, switches: dict[str, dict[str, Any]], study: PublishedStudy
) -> tuple[str, str]:
    """Code of the weakness that a switch brings back, and what the switch does."""
    changed = switches.get(switch, {})
    for code, weakness in study.weaknesses.items():
        if switch in weakness.switches:
            return code, weakness.switches[switch]
    codes = (
        code for code, of in study.weaknesses.items() if not changed.keys().isdisjoint(of.training)
    )
    said = ", ".join(f"{key} {value}" for key, value in changed.items())
    return next(codes, NO_WEAKNESS), f"trained with {said}"


@command("report", "audit-plots", target="full")
def write_audit_plots(*, table: Reads, audit: Writes) -> None:
    """Write one row a switch and number: label, ends of the drawn interval, text of what is no gain.

    Columns: order label number fair switched low high is_moved text. `is_moved`: the interval of the
    shift, paired by seed, excludes zero.

    Raises:
        ArtifactError: if the table is missing or damaged.
    """
    write_csv(audit, AUDIT_PLOT.frame(_plotted(read_csv(table, AUDIT))), AUDIT_PLOT)


def _plotted(table: Frame) -> Iterator[dict[str, Any]]:
    for order, (switch, rows) in enumerate(table.groupby("switch", sort=False)):
        for row in rows.to_dict("records"):
            is_gain = row["unit"] == FRACTION
            numbers = f"{row['fair']:.2f} → {row['switched']:.2f}".replace("-", "−")
            text = f"{TEXTS.get(row['number'], '')}: {numbers}"
            yield {
                "order": order, "label": f"{row['weakness']} {str(switch).replace('_', ' ')}",
                "number": row["number"], "fair": row["fair"], "switched": row["switched"],
                "low": row["switched_low"], "high": row["switched_high"],
                "is_moved": bool(row["shift_low"] > 0 or row["shift_high"] < 0),
                "text": None if is_gain else text,
            }  # fmt: skip
