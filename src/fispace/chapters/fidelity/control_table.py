"""What an arm gains over its controls, paired by seed and document.

Must not: read files, or compare different seeds or documents.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fispace.chapters.fidelity.document_sums import (
    MASKED,
    NO_ARM,
    NO_SEED,
    RECONSTRUCTION,
    Frame,
    Resampled,
    conditions,
    is_full,
    metric_samples,
    sizes,
)
from fispace.stats.bootstrap import interval_of
from fispace.stats.intervals import t_interval
from fispace.store.metric_registry import unit_of

GAINED = ("fvu", "kl")
DOCUMENTS, SEEDS = "documents", "seeds"
"""What an interval is over: resampled documents of one seed, or the seeds themselves."""

Row = dict[str, Any]
Losses = dict[tuple[str, int, str], Frame]
"""Sums by document of the reconstruction by all parts, by (arm, seed, split)."""


def control_table(
    rows: Frame, documents: Mapping[str, Resampled], controls_of: Mapping[str, Sequence[str]],
    confidence: float,
) -> pd.DataFrame:  # fmt: skip
    """Long table of what each arm of `controls_of` loses less than each of its controls.

    Columns: arm control split metric contrast interval_over seed unit value low high n_seeds n_documents
    n_tokens. `difference` is the control's loss less the arm's, `gain` the same as a share of the
    control's loss, 1 - arm / control; above zero the arm is better. Rows over documents hold one
    seed and a bootstrap interval that both sides share; rows over seeds (`seed` -1) the mean of the
    seeds that both were trained with, and Student's t interval. Special tokens are masked.
    """
    losses = _losses(rows, documents)
    found: list[Row] = []
    for arm, controls in controls_of.items():
        for control in controls:
            for split in sorted({key[2] for key in losses}):
                seeds = sorted(
                    {s for a, s, t in losses if (a, t) == (arm, split)}
                    & {s for a, s, t in losses if (a, t) == (control, split)}
                )
                own = {"arm": arm, "control": control, "split": split}
                pairs = {s: (losses[arm, s, split], losses[control, s, split]) for s in seeds}
                weights = documents[split].weights
                found += [own | row for row in _rows_of_pair(pairs, weights, confidence)]
    return pd.DataFrame(found)


def _losses(rows: Frame, documents: Mapping[str, Resampled]) -> Losses:
    trained = rows[(rows["arm"] != NO_ARM) & (rows["condition"] == RECONSTRUCTION)]
    whole = trained[is_full(trained) & (trained["special_tokens"] == MASKED)]
    return {
        (str(named["arm"]), int(named["seed"]), str(named["split"])): by_document
        for named, by_document in conditions(whole, documents)
    }


def _rows_of_pair(
    pairs: Mapping[int, tuple[Frame, Frame]], weights: np.ndarray, confidence: float
) -> Iterator[Row]:
    """Rows of every metric and contrast: one a seed, and one over the seeds."""
    for metric in GAINED:
        of_seeds: dict[str, list[float]] = {}
        for seed, (ours, theirs) in pairs.items():
            for contrast, samples in _contrasts(ours, theirs, metric, weights).items():
                interval = interval_of(samples, confidence)
                of_seeds.setdefault(contrast, []).append(interval.value)
                named = {"interval_over": DOCUMENTS, "seed": seed, "n_seeds": 1}
                yield _row(metric, contrast) | named | interval._asdict() | sizes(ours)
        for contrast, values in of_seeds.items():
            over = t_interval(np.asarray(values), confidence)
            ends = {"value": over.mean, "low": over.low, "high": over.high}
            named = {"interval_over": SEEDS, "seed": NO_SEED, "n_seeds": over.n}
            any_side = next(iter(pairs.values()))[0]
            yield _row(metric, contrast) | named | ends | sizes(any_side)


def _row(metric: str, contrast: str) -> Row:
    unit = unit_of(metric if contrast == "difference" else contrast)
    return {"metric": metric, "contrast": contrast, "unit": unit}


def _contrasts(
    ours: Frame, theirs: Frame, metric: str, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Estimate and resamples of both contrasts; nothing where the metric was not measured."""
    sides = [metric_samples(side, metric, weights) for side in (ours, theirs)]
    if sides[0] is None or sides[1] is None:
        return {}
    less = sides[1] - sides[0]
    share = np.divide(less, sides[1], out=np.full_like(less, np.nan), where=sides[1] > 0)
    return {"difference": less, "gain": share}
