"""How far each weakness of the published study alone moves a number: fair, switched, and the shift.

Must not: read files, or know how a weakness was switched on.
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
from fispace.stats.intervals import t_interval
from fispace.store.metric_registry import unit_of
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

Frame = Any  # pandas ships no types

OF_PREDICTIONS = (HOOK_OFF_BY_ONE, NO_STANDARDISER)
"""Weaknesses of the paper's runs of the LM; its reconstruction errors were measured without them."""
SUMS = {"mse_gain": ("error", "n_dimensions"), "kl_gain": ("kl", "n_tokens")}

Pair = tuple[float, float]
"""A number as it is in this study, and with the weakness."""


class Compared(NamedTuple):
    """The arm whose gain is the headline number, and what it is compared with."""

    arm: str
    baseline: str


def audit_table(
    documents: Frame, norms: Mapping[int, Pair], compared: Compared, confidence: float
) -> pd.DataFrame:
    """Long table (switch number unit, {fair,switched,shift}{,_low,_high}, n_seeds n_documents).

    A number is a metric: `mse_gain`, `kl_gain`, `kl_t` or `norm_spearman` (N16).
    `documents` are the sums of `fidelity audit`, `norms` the correlation N16 by seed: trained, and
    with the NFM's norms as initialised. Means over seeds with Student's t interval; the shift,
    switched less fair, is paired by seed.
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
    """Every switch's numbers of one seed."""
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
    """Both gains under a switch; a baseline without interaction cannot be pooled otherwise."""
    ours, theirs = _of(full, switch, compared.arm), _of(full, switch, compared.baseline)
    if switch == LINEAR_POOLING and not len(theirs):
        theirs = _of(full, NO_SWITCH, compared.baseline)
    return {number: _gain(ours, theirs, *sums) for number, sums in SUMS.items()}


def _of(full: Frame, switch: str, arm: str) -> pd.DataFrame:
    rows = full[(full["switch"] == switch) & (full["arm"] == arm)]
    return rows.sort_values("document_id")


def _gain(ours: Frame, theirs: Frame, above: str, below: str) -> float:
    """1 - ours / theirs of the ratio of sums; NaN over what loses nothing."""
    level, base = (float(rows[above].sum() / rows[below].sum()) for rows in (ours, theirs))
    return 1 - level / base if base > 0 else float("nan")


def document_t(ours: Frame, theirs: Frame) -> float:
    """Student's paired t of mean KL by document, positive where ours is lower.

    t = mean(d) / (sd(d) / sqrt(n)), d = KL of theirs - KL of ours, each the mean of a document's
    tokens: the document is the unit and both were measured on it.
    """
    means = [(rows["kl"] / rows["n_tokens"]).to_numpy() for rows in (theirs, ours)]
    return float(stats.ttest_rel(means[0], means[1]).statistic)


def token_t(ours: Frame, theirs: Frame) -> float:
    """Student's t of two independent samples of tokens, as published (W11): p14c, p18c.

    Pooled variance, as scipy's `ttest_ind` has by default. Tokens of one document are taken for
    independent, and the same tokens for two samples.
    """
    moments = []
    for rows in (theirs, ours):
        n, total = float(rows["n_tokens"].sum()), float(rows["kl"].sum())
        mean = total / n
        squares = float(rows["kl_squares"].sum()) - n * mean**2
        moments.append((mean, (max(squares, 0.0) / (n - 1)) ** 0.5, n))
    found = stats.ttest_ind_from_stats(*moments[0], *moments[1])
    return float(found.statistic)
