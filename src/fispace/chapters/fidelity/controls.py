"""`fidelity controls`: what arms gain over their controls, paired by seed and document.

Must not: measure; it reads sums. It never compares different seeds or documents.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from fispace.chapters.fidelity.document_sums import (
    MASKED,
    NO_ARM,
    RECONSTRUCTION,
    Resampled,
    TableRow,
    is_full,
    metric_samples,
    read_sums,
    resampled_documents,
    rows_by_condition,
    sizes,
)
from fispace.chapters.fidelity.tables import CONTROLS, GAIN_METRICS, OVER_DOCUMENTS, OVER_SEEDS
from fispace.stats.bootstrap import interval_of
from fispace.stats.gains import gain_samples
from fispace.stats.intervals import t_interval
from fispace.store.metric_registry import unit_of
from fispace.store.quantities import NO_SEED, Frame
from fispace.store.tables import write_csv, write_table
from fispace.study.config.fidelity import FidelityControlsStep
from fispace.study.step import Reads, Writes, command

ReconstructionSums = dict[tuple[str, int, str], Frame]
"""Sums by document of the reconstruction by all parts, by (arm, seed, split)."""


@command("fidelity", "controls", sections=("fidelity.full",), target="full")
def compare_controls(
    params: FidelityControlsStep, *, documents: list[Reads], bounds: Reads, controls: Writes,
    table: Writes,
) -> None:  # fmt: skip
    """Write FVU and KL gains with paired intervals over documents and seeds, as Parquet and as CSV.

    Raises:
        ArtifactError: if a table is missing or damaged.
    """
    rows = read_sums(documents, bounds)
    drawn = resampled_documents(rows, params.root_seed, params.n_bootstrap)
    result = control_table(rows, drawn, params.controls_of, params.confidence)
    write_table(controls, result, {"step": "fidelity controls", "params": params.plain()})
    write_csv(table, result, CONTROLS)


def control_table(
    rows: Frame, documents: Mapping[str, Resampled], controls_of: Mapping[str, Sequence[str]],
    confidence: float,
) -> pd.DataFrame:  # fmt: skip
    """Long table that compares the loss of each arm of `controls_of` with the loss of its controls.

    Columns: arm control split metric contrast interval_over seed unit value low high n_seeds n_documents
    n_tokens. `difference` is control - arm, `gain` is 1 - arm / control; above zero the arm is better.
    Rows over documents hold one seed and a bootstrap interval from resamples that both sides share.
    Rows over seeds (`seed` -1) hold the mean over the seeds of both arms, and Student's t interval.
    Special tokens are masked.
    """
    sums = _reconstruction_sums(rows, documents)
    found: list[TableRow] = []
    for arm, controls in controls_of.items():
        for control in controls:
            for split in sorted({key[2] for key in sums}):
                seeds = sorted(
                    {s for a, s, t in sums if (a, t) == (arm, split)}
                    & {s for a, s, t in sums if (a, t) == (control, split)}
                )
                own = {"arm": arm, "control": control, "split": split}
                pairs = {s: (sums[arm, s, split], sums[control, s, split]) for s in seeds}
                weights = documents[split].weights
                found += [own | row for row in _rows_of_pair(pairs, weights, confidence)]
    return pd.DataFrame(found)


def _reconstruction_sums(rows: Frame, documents: Mapping[str, Resampled]) -> ReconstructionSums:
    trained = rows[(rows["arm"] != NO_ARM) & (rows["condition"] == RECONSTRUCTION)]
    whole = trained[is_full(trained) & (trained["special_tokens"] == MASKED)]
    return {
        (str(named["arm"]), int(named["seed"]), str(named["split"])): by_document
        for named, by_document in rows_by_condition(whole, documents)
    }


def _rows_of_pair(
    pairs: Mapping[int, tuple[Frame, Frame]], weights: np.ndarray, confidence: float
) -> Iterator[TableRow]:
    """One row per metric, contrast and seed, and one over the seeds."""
    for metric in GAIN_METRICS:
        of_seeds: dict[str, list[float]] = {}
        for seed, (ours, theirs) in pairs.items():
            for contrast, samples in _contrasts(ours, theirs, metric, weights).items():
                interval = interval_of(samples, confidence)
                of_seeds.setdefault(contrast, []).append(interval.value)
                named = {"interval_over": OVER_DOCUMENTS, "seed": seed, "n_seeds": 1}
                yield _row(metric, contrast) | named | interval._asdict() | sizes(ours)
        for contrast, values in of_seeds.items():
            over = t_interval(np.asarray(values), confidence)
            ends = {"value": over.mean, "low": over.low, "high": over.high}
            named = {"interval_over": OVER_SEEDS, "seed": NO_SEED, "n_seeds": over.n}
            any_side = next(iter(pairs.values()))[0]
            yield _row(metric, contrast) | named | ends | sizes(any_side)


def _row(metric: str, contrast: str) -> TableRow:
    unit = unit_of(metric if contrast == "difference" else contrast)
    return {"metric": metric, "contrast": contrast, "unit": unit}


def _contrasts(
    ours: Frame, theirs: Frame, metric: str, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Estimate and resamples of both contrasts; empty if the metric was not measured."""
    own, control = (metric_samples(side, metric, weights) for side in (ours, theirs))
    if own is None or control is None:
        return {}
    return {"difference": control - own, "gain": gain_samples(control, own)}
