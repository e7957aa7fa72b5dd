"""`report audit` and `report audit-plots`: each weakness that can be switched, beside what it moves.

Must not: measure; every number comes from `fidelity audit` or from the quantities.
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from fispace.errors import ArtifactError
from fispace.report.audit_table import NUMBERS, Compared, Pair, audit_table
from fispace.report.tables import AUDIT, AUDIT_PLOT
from fispace.store.quantities import Frame
from fispace.store.tables import read_csv, read_table, write_csv, write_table
from fispace.study.config.audit import (
    ABLATED_BASELINE,
    HOOK_OFF_BY_ONE,
    LINEAR_POOLING,
    NO_STANDARDISER,
    TOKEN_TEST,
    TRAIN_SPLIT,
    UNTRAINED_NORMS,
)
from fispace.study.config.report import AuditStep
from fispace.study.step import Reads, Writes, command

WEAKNESSES = {
    ABLATED_BASELINE: ("W2", "baseline: the arm itself, its other parts cut away"),
    HOOK_OFF_BY_ONE: ("W5", "read and replaced one block after the one trained on"),
    NO_STANDARDISER: ("W5", "raw activations in, and the output back, as they are"),
    LINEAR_POOLING: (
        "W4",
        "linear sum in place of the factor pooling, in the paper where sequential",
    ),
    TRAIN_SPLIT: ("W6", "measured on documents of the train split"),
    TOKEN_TEST: ("W11", "unpaired t-test over tokens, in place of a paired one over documents"),
    UNTRAINED_NORMS: (
        "W8",
        "norms of the NFM as initialised: no shift, no training behind the number",
    ),
}
"""Weakness of the paper, and what was done, by switch of measuring."""
OF_TRAINING = {
    "standardise_per": "W6",
    "optimiser": "W7",
    "adam_eps": "W7",
    "lr_decay_fraction": "W7",
}
"""Weakness of the paper by the parameter of training that stands for it."""
NO_WEAKNESS = "–"
"""Of a switch that the study added."""
SPEARMAN = "ratio_total_spearman"
STATES = ("trained", "decoder_trained")
TEXTS = {"kl_t": "t of the difference in KL", "norm_spearman": "Spearman of NFM share and norm"}


@command("report", "audit", sections=("train",), target="full")
def write_audit(
    params: AuditStep, *, documents: list[Reads], quantities: Reads, audit: Writes, table: Writes
) -> None:
    """Write what every switch does to the headline numbers, as Parquet and as CSV.

    Columns: weakness switch what, those of `measure.audit_table`.

    Raises:
        ArtifactError: if a table is missing or damaged, or has no norms of the audit's arm.
    """
    rows = pd.concat([read_table(path) for path in documents], ignore_index=True)
    settings = params.audit
    norms = _norms(read_table(quantities), settings.arm)
    compared = Compared(settings.arm, settings.baseline)
    found = audit_table(rows, norms, compared, params.confidence)
    described = found["switch"].map(lambda switch: _described(switch, settings.switches))
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


def _described(switch: str, switches: dict[str, dict[str, Any]]) -> tuple[str, str]:
    if switch in WEAKNESSES:
        return WEAKNESSES[switch]
    changed = switches[switch]
    weakness = next((OF_TRAINING[key] for key in changed if key in OF_TRAINING), NO_WEAKNESS)
    return weakness, "trained with " + ", ".join(f"{key} {value}" for key, value in changed.items())


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
            is_gain = NUMBERS[row["number"]] == "fraction"
            numbers = f"{row['fair']:.2f} → {row['switched']:.2f}".replace("-", "−")
            text = f"{TEXTS.get(row['number'], '')}: {numbers}"
            yield {
                "order": order, "label": f"{row['weakness']} {str(switch).replace('_', ' ')}",
                "number": row["number"], "fair": row["fair"], "switched": row["switched"],
                "low": row["switched_low"], "high": row["switched_high"],
                "is_moved": bool(row["shift_low"] > 0 or row["shift_high"] < 0),
                "text": None if is_gain else text,
            }  # fmt: skip
