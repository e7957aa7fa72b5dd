"""`fidelity differences`: an arm against other arms, and a reconstruction against matched errors.

Both sides of a comparison are measured on the same documents and share their resamples. Must not:
measure; it reads sums.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fispace.chapters.fidelity.document_sums import (
    NO_ARM,
    ORIGINAL,
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
from fispace.chapters.fidelity.tables import DIFFERENCES
from fispace.stats.bootstrap import interval_of
from fispace.store.metric_registry import RATIO, unit_of
from fispace.store.quantities import Frame
from fispace.store.tables import write_csv, write_table
from fispace.study.config.fidelity import FidelityDifferencesStep
from fispace.study.step import Reads, Writes, command

COMPARED = ("fvu", "mse", "kl", "excess_ce")
"""Losses. A difference below zero, or a ratio below one, means that the first side loses less."""


@command("fidelity", "differences")
@command("fidelity", "full-differences", sections=("fidelity.full",), target="full")
def compare_losses(
    params: FidelityDifferencesStep, *, documents: list[Reads], bounds: Reads, differences: Writes,
    table: Writes,
) -> None:  # fmt: skip
    """Write differences and ratios of losses with their paired intervals, as Parquet and as CSV.

    Raises:
        ArtifactError: if a table is missing or damaged.
    """
    rows = read_sums(documents, bounds)
    drawn = resampled_documents(rows, params.root_seed, params.n_bootstrap)
    result = difference_table(rows, drawn, params.compared_with, params.confidence)
    write_table(differences, result, {"step": "fidelity differences", "params": params.plain()})
    write_csv(table, result, DIFFERENCES)


def difference_table(
    rows: Frame, documents: Mapping[str, Resampled], compared_with: Sequence[str], confidence: float
) -> pd.DataFrame:
    """Long table of differences and ratios with paired document-bootstrap intervals.

    Columns: arm parts seed split special_tokens metric than_arm than_parts than_condition contrast unit
    value low high n_documents n_tokens. The first side is always a reconstruction. The second side is
    a matched error of the same arm and parts, or the reconstruction by all parts of an arm of
    `compared_with` with the same seed. `difference` is first - second, `ratio` is first / second.
    """
    trained = rows[(rows["arm"] != NO_ARM) & (rows["condition"] != ORIGINAL)]
    full = set(map(tuple, trained[is_full(trained)][["arm", "parts"]].drop_duplicates().to_numpy()))
    found: dict[tuple[Any, ...], tuple[TableRow, Frame]] = {
        (*_place(named), named["condition"]): (named, by_document)
        for named, by_document in rows_by_condition(trained, documents)
    }
    compared: list[TableRow] = []
    for (arm, parts, *rest, condition), first in found.items():
        if condition != RECONSTRUCTION:
            continue
        others = [
            other for key, other in found.items() if _is_matched_error(key, (arm, parts, *rest))
        ]
        if (arm, parts) in full:
            keys = [(*pair, *rest, condition) for pair in full if pair[0] in compared_with]
            others += [found[key] for key in sorted(keys) if key[0] != arm and key in found]
        for other in others:
            weights = documents[str(first[0]["split"])].weights
            compared.extend(_rows(first, other, weights, confidence))
    return pd.DataFrame(compared)


def _place(named: TableRow) -> tuple[Any, ...]:
    return tuple(named[name] for name in ("arm", "parts", "seed", "split", "special_tokens"))


def _is_matched_error(key: tuple[Any, ...], place: tuple[Any, ...]) -> bool:
    return key[:-1] == place and key[-1] != RECONSTRUCTION


def _rows(
    first: tuple[TableRow, Frame],
    second: tuple[TableRow, Frame],
    weights: np.ndarray,
    confidence: float,
) -> Iterator[TableRow]:
    (named, ours), (than, theirs) = first, second
    fixed = {name: value for name, value in named.items() if name != "condition"}
    fixed |= {f"than_{name}": than[name] for name in ("arm", "parts", "condition")}
    for metric in COMPARED:
        sides = [metric_samples(side, metric, weights) for side in (ours, theirs)]
        if sides[0] is None or sides[1] is None:
            continue
        contrasts = {
            "difference": (sides[0] - sides[1], unit_of(metric)),
            "ratio": (_quotient(sides[0], sides[1]), RATIO),
        }
        for contrast, (samples, unit) in contrasts.items():
            interval = interval_of(samples, confidence)._asdict()
            labels = {"metric": metric, "contrast": contrast, "unit": unit}
            yield fixed | labels | interval | sizes(ours)


def _quotient(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The ratio first / second; undefined where the second is not positive, which excess CE may be."""
    return np.divide(first, second, out=np.full_like(first, np.nan), where=second > 0)
