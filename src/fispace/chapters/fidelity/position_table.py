"""KL and excess CE by position in the window, with document-bootstrap intervals.

Must not: read files.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from fispace.chapters.fidelity.document_sums import RATIOS, Frame, Resampled
from fispace.stats.bootstrap import interval_of, ratio_samples
from fispace.store.metric_registry import unit_of

CURVE = ["arm", "seed", "split", "special_tokens", "condition"]
METRICS = ("kl", "excess_ce")


def position_table(
    rows: Frame, documents: Mapping[str, Resampled], confidence: float
) -> pd.DataFrame:
    """Long table of the curves of all parts of each arm.

    Columns: arm seed split special_tokens condition position metric unit value low high n_documents
    n_tokens. Position 0 is the first token of the window (BOS). Few documents reach the last
    positions: a resample may hold none of them, and then the interval is empty.
    """
    found: list[dict[str, Any]] = []
    for key, curve in rows.groupby(CURVE):
        named = dict(zip(CURVE, key, strict=True))
        found += [named | row for row in _curve_rows(curve, documents[named["split"]], confidence)]
    return pd.DataFrame(found)


def _curve_rows(curve: Frame, documents: Resampled, confidence: float) -> Iterator[dict[str, Any]]:
    positions = np.sort(curve["position"].unique())
    place = (np.searchsorted(documents.ids, curve["document_id"]),
             np.searchsorted(positions, curve["position"]))  # fmt: skip
    for metric in METRICS:
        numerator, denominator = RATIOS[metric]
        sums: dict[str, np.ndarray] = {}
        for name in (numerator, denominator):
            sums[name] = np.zeros((len(documents.ids), len(positions)))
            np.add.at(sums[name], place, curve[name].to_numpy(dtype=np.float64))
        samples = ratio_samples(sums[numerator], sums[denominator], documents.weights)
        for column, position in enumerate(positions):
            below = sums[denominator][:, column]
            if below.sum() > 0:  # the last position of a window has no next token
                yield {
                    "position": int(position), "metric": metric, "unit": unit_of(metric),
                    **interval_of(samples[:, column], confidence)._asdict(),
                    "n_documents": int((below > 0).sum()), "n_tokens": round(below.sum()),
                }  # fmt: skip
