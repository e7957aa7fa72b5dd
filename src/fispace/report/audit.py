"""`report audit` and `report audit-plots`: how far each weakness of the published study moves a number.

Every weakness that can be switched on alone has a row per number: the number in this study, the number
with the weakness, and the shift. Must not: evaluate a model; the sums come from `fidelity audit`.
"""

# scipy ships no types
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from fispace.chapters.fidelity.document_sums import is_full
from fispace.errors import ArtifactError
from fispace.report.tables import AUDIT, AUDIT_PLOT
from fispace.report.weaknesses import PublishedStudy, read_published_study
from fispace.stats.gains import gain
from fispace.stats.intervals import t_interval
from fispace.store.metric_registry import FRACTION, unit_of
from fispace.store.quantities import Frame
from fispace.store.tables import read_csv, read_table, write_csv, write_table
from fispace.study.config.audit import (
    ABLATED_BASELINE,
    HOOK_OFF_BY_ONE,
    LINEAR_POOLING,
    MEASURED,
    NO_STANDARDISER,
    NO_SWITCH,
    TOKEN_TEST,
    UNTRAINED_NORMS,
)
from fispace.study.config.report import AuditStep
from fispace.study.step import Reads, Writes, command

NO_WEAKNESS = "–"
"""Code of a switch that brings back no weakness of the published study."""
OF_PREDICTIONS = (HOOK_OFF_BY_ONE, NO_STANDARDISER)
"""Weaknesses that the author's runs of the LM had and the author's reconstruction errors did not."""
SUMS = {"mse_gain": ("error", "n_dimensions"), "kl_gain": ("kl", "n_tokens")}
"""Columns of sums whose ratio is the loss, by the gain that is computed from it."""
SPEARMAN = "ratio_total_spearman"
STATES = ("trained", "decoder_trained")
"""With trained norms of the NFM, and with its norms as initialised."""
TEXTS = {"kl_t": "t of the difference in KL", "norm_spearman": "Spearman of NFM share and norm"}

Pair = tuple[float, float]
"""A number as it is in this study, and with the weakness."""


class Compared(NamedTuple):
    """The arm whose gain is the headline number, and what it is compared with."""

    arm: str
    baseline: str


@command("report", "audit", sections=("train",), target="full")
def write_audit(
    params: AuditStep, *, documents: list[Reads], quantities: Reads, weaknesses: Reads, audit: Writes,
    table: Writes,
) -> None:  # fmt: skip
    """Write what every switch does to the headline numbers, as Parquet and as CSV.

    Columns: weakness, switch, what, and those of `audit_table`. `weaknesses` explains the codes.

    Raises:
        ArtifactError: if a table is missing or damaged, or lacks the norms of the audit's arm.
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
    """The correlation N16 by seed, with trained norms and with the NFM's norms as initialised."""
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
    """Code of the weakness that a switch brings back, and what the switch changes."""
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
    """Write the numbers that the figure of the audit draws, one row per switch and number.

    `is_moved`: the interval of the shift, paired by seed, excludes zero. `text` states numbers that are
    no gain and so are not drawn to scale.

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


def audit_table(
    documents: Frame, norms: Mapping[int, Pair], compared: Compared, confidence: float
) -> pd.DataFrame:
    """Long table: switch, number, unit, {fair,switched,shift}{,_low,_high}, n_seeds, n_documents.

    Each number is a metric: `mse_gain`, `kl_gain`, `kl_t` or `norm_spearman` (N16). It is given as the
    mean over seeds with Student's t interval, in this study (`fair`), with the weakness (`switched`),
    and as the difference of the two, paired by seed (`shift`).

    Args:
        documents: the sums of `fidelity audit`.
        norms: the correlation N16 by seed, with trained norms and with the NFM's norms as initialised.
        compared: the arm and its baseline.
        confidence: of the intervals.
    """
    of_seeds: dict[tuple[str, str], list[Pair]] = {}
    for _, of_seed in documents.groupby("seed"):
        for switch, number, pair in _pairs(of_seed, compared):
            of_seeds.setdefault((switch, number), []).append(pair)
    of_seeds[UNTRAINED_NORMS, "norm_spearman"] = list(norms.values())
    trained = sorted({switch for switch, _ in of_seeds} - set(MEASURED))
    place = {switch: i for i, switch in enumerate([*MEASURED, *trained])}
    n_documents = documents.groupby("switch")["document_id"].nunique()
    of_fair = {ABLATED_BASELINE: NO_SWITCH, TOKEN_TEST: NO_SWITCH}
    rows = [
        {"switch": switch, "number": number, "unit": unit_of(number)}
        | _intervals(np.array(pairs), confidence)
        | {"n_seeds": len(pairs), "n_documents": n_documents.get(of_fair.get(switch, switch))}
        for (switch, number), pairs in sorted(of_seeds.items(), key=lambda item: place[item[0][0]])
    ]
    return pd.DataFrame(rows)


def _intervals(pairs: np.ndarray, confidence: float) -> dict[str, float]:
    fair, switched = pairs.T
    found: dict[str, float] = {}
    for name, values in (("fair", fair), ("switched", switched), ("shift", switched - fair)):
        over = t_interval(values, confidence)
        found |= {name: over.mean, f"{name}_low": over.low, f"{name}_high": over.high}
    return found


def _pairs(of_seed: Frame, compared: Compared) -> Iterator[tuple[str, str, Pair]]:
    """Switch, number and its two values, for every switch on one seed."""
    full = of_seed[is_full(of_seed)]
    fair = _gains(full, NO_SWITCH, compared)
    for switch in sorted(set(full["switch"]) - {NO_SWITCH}):
        for number, value in _gains(full, switch, compared).items():
            if not (number == "mse_gain" and switch in OF_PREDICTIONS):
                yield switch, number, (fair[number], value)
    is_cut = (of_seed["arm"] == compared.arm) & (of_seed["parts"] == "sae")
    cut = of_seed[is_cut & (of_seed["switch"] == NO_SWITCH)]
    ours = _of(full, NO_SWITCH, compared.arm)
    for number, sums in SUMS.items():
        yield ABLATED_BASELINE, number, (fair[number], _gain(ours, cut, *sums))
    theirs = _of(full, NO_SWITCH, compared.baseline)
    yield TOKEN_TEST, "kl_t", (document_t(ours, theirs), token_t(ours, theirs))


def _gains(full: Frame, switch: str, compared: Compared) -> dict[str, float]:
    """Both gains under a switch.

    A baseline without interaction has no pooling to switch, so its unswitched sums are taken.
    """
    ours, theirs = _of(full, switch, compared.arm), _of(full, switch, compared.baseline)
    if switch == LINEAR_POOLING and not len(theirs):
        theirs = _of(full, NO_SWITCH, compared.baseline)
    return {number: _gain(ours, theirs, *sums) for number, sums in SUMS.items()}


def _of(full: Frame, switch: str, arm: str) -> pd.DataFrame:
    rows = full[(full["switch"] == switch) & (full["arm"] == arm)]
    return rows.sort_values("document_id", kind="stable")


def _gain(ours: Frame, theirs: Frame, above: str, below: str) -> float:
    """1 - ours / theirs, each loss a ratio of sums; NaN where theirs is zero."""
    level, base = (float(rows[above].sum() / rows[below].sum()) for rows in (ours, theirs))
    return float(gain(base, level)) if base > 0 else float("nan")


def document_t(ours: Frame, theirs: Frame) -> float:
    """Student's paired t of mean KL by document, positive where ours is lower.

    t = mean(d) / (sd(d) / sqrt(n)), d = KL of theirs - KL of ours, each the mean over a document's
    tokens. The document is the unit, and both arms were measured on it.
    """
    means = [(rows["kl"] / rows["n_tokens"]).to_numpy() for rows in (theirs, ours)]
    return float(stats.ttest_rel(means[0], means[1]).statistic)


def token_t(ours: Frame, theirs: Frame) -> float:
    """Student's t of two independent samples of tokens, as published (W11): p14c, p18c.

    The variance is pooled, as in scipy's `ttest_ind` by default. The test treats tokens of one document
    as independent, and the same tokens under two arms as two samples.
    """
    moments = []
    for rows in (theirs, ours):
        n, total = float(rows["n_tokens"].sum()), float(rows["kl"].sum())
        mean = total / n
        squares = float(rows["kl_squares"].sum()) - n * mean**2
        moments.append((mean, (max(squares, 0.0) / (n - 1)) ** 0.5, n))
    found = stats.ttest_ind_from_stats(*moments[0], *moments[1])
    return float(found.statistic)
