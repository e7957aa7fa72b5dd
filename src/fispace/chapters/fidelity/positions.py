"""`fidelity positions`: KL and excess CE by position in the window, for all parts of every arm.

Must not: measure; it reads sums.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from fispace.chapters.fidelity.document_sums import (
    METRIC_SUMS,
    Resampled,
    TableRow,
    resampled_documents,
)
from fispace.stats.bootstrap import interval_of, ratio_samples
from fispace.store.metric_registry import unit_of
from fispace.store.quantities import Frame
from fispace.store.tables import read_table, write_table
from fispace.study.config.fidelity import FidelityTableStep
from fispace.study.step import Reads, Writes, command

CURVE_KEY = ["arm", "seed", "split", "special_tokens", "condition"]
CURVE_METRICS = ("kl", "excess_ce")


@command("fidelity", "positions")
def position_curves(params: FidelityTableStep, *, positions: list[Reads], curves: Writes) -> None:
    """Write the curves of every arm, seed, split and condition as Parquet.

    Raises:
        ArtifactError: if a table is missing or damaged.
    """
    rows = pd.concat([read_table(path) for path in positions], ignore_index=True)
    drawn = resampled_documents(rows, params.root_seed, params.n_bootstrap)
    result = position_table(rows, drawn, params.confidence)
    write_table(curves, result, {"step": "fidelity positions", "params": params.plain()})


def position_table(
    rows: Frame, documents: Mapping[str, Resampled], confidence: float
) -> pd.DataFrame:
    """Long table of the curves of all parts of each arm.

    Columns: arm seed split special_tokens condition position metric unit value low high n_documents
    n_tokens. Position 0 is the first token of the window (BOS). Few documents reach the last
    positions. If a resample holds none of them, the interval is empty.
    """
    found: list[TableRow] = []
    for key, curve in rows.groupby(CURVE_KEY):
        named = dict(zip(CURVE_KEY, key, strict=True))
        found += [named | row for row in _curve_rows(curve, documents[named["split"]], confidence)]
    return pd.DataFrame(found)


def _curve_rows(curve: Frame, documents: Resampled, confidence: float) -> Iterator[TableRow]:
    positions = np.sort(curve["position"].unique())
    place = (np.searchsorted(documents.ids, curve["document_id"]),
             np.searchsorted(positions, curve["position"]))  # fmt: skip
    for metric in CURVE_METRICS:
        numerator, denominator = METRIC_SUMS[metric]
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
