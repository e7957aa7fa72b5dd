"""Paired comparisons: an arm against other arms, a reconstruction against errors of its own size.

Must not: read files, or compare different documents; both sides of a row share the resamples.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fispace.chapters.fidelity.document_sums import (
    NO_ARM,
    ORIGINAL,
    RECONSTRUCTION,
    Frame,
    Resampled,
    conditions,
    is_full,
    metric_samples,
    sizes,
)
from fispace.stats.bootstrap import interval_of
from fispace.store.metric_registry import RATIO, unit_of

COMPARED = ("fvu", "mse", "kl", "excess_ce")
"""Losses: a difference below zero, or a ratio below one, means that the first side loses less."""

Named = dict[str, Any]


def difference_table(
    rows: Frame, documents: Mapping[str, Resampled], compared_with: Sequence[str], confidence: float
) -> pd.DataFrame:
    """Long table of differences and ratios with paired document-bootstrap intervals.

    Columns: arm parts seed split special_tokens metric than_arm than_parts than_condition contrast unit
    value low high n_documents n_tokens. The first side is always a reconstruction; the second is a
    matched error of the same condition, or the reconstruction by all parts of an arm of `compared_with`,
    of the same seed. `difference` is first less second, `ratio` first over second.
    """
    trained = rows[(rows["arm"] != NO_ARM) & (rows["condition"] != ORIGINAL)]
    full = set(map(tuple, trained[is_full(trained)][["arm", "parts"]].drop_duplicates().to_numpy()))
    found: dict[tuple[Any, ...], tuple[Named, Frame]] = {
        (*_place(named), named["condition"]): (named, by_document)
        for named, by_document in conditions(trained, documents)
    }
    compared: list[Named] = []
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


def _place(named: Named) -> tuple[Any, ...]:
    return tuple(named[name] for name in ("arm", "parts", "seed", "split", "special_tokens"))


def _is_matched_error(key: tuple[Any, ...], place: tuple[Any, ...]) -> bool:
    return key[:-1] == place and key[-1] != RECONSTRUCTION


def _rows(
    first: tuple[Named, Frame], second: tuple[Named, Frame], weights: np.ndarray, confidence: float
) -> Iterator[Named]:
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
    """First over second; undefined where the second is not positive, as excess CE need not be."""
    return np.divide(first, second, out=np.full_like(first, np.nan), where=second > 0)
