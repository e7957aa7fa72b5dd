"""The fidelity summary: sums per document to metrics with document-bootstrap intervals.

Must not: read files.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from fispace.chapters.fidelity.document_sums import (
    KEY,
    MASKED,
    ORIGINAL,
    RATIOS,
    RECONSTRUCTION,
    Frame,
    Resampled,
    conditions,
    metric_samples,
    sizes,
)
from fispace.stats.bootstrap import interval_of
from fispace.store.metric_registry import with_units

ORDER = [*KEY, "metric"]


def fidelity_table(
    rows: Frame, fired: Frame, documents: Mapping[str, Resampled], confidence: float
) -> pd.DataFrame:
    """Long table of every metric, from the sums that `with_references` gives.

    Columns: arm parts seed split special_tokens condition metric unit value low high n_documents
    n_tokens. The shares of dead latents have no interval: they are properties of the whole split.
    """
    found: list[dict[str, object]] = list(_dead_rows(fired, rows))
    for named, by_document in conditions(rows, documents):
        weights = documents[str(named["split"])].weights
        for metric in RATIOS:
            samples = metric_samples(by_document, metric, weights)
            if samples is not None:
                interval = interval_of(samples, confidence)._asdict()
                found.append(named | {"metric": metric} | interval | sizes(by_document))
    table = pd.DataFrame(found).sort_values(ORDER, kind="stable").reset_index(drop=True)
    return with_units(table[[*ORDER, "value", "low", "high", "n_documents", "n_tokens"]])


def _dead_rows(fired: Frame, rows: Frame) -> Iterator[dict[str, object]]:
    """`dead_fraction`: never fired in the split. `dead_fraction_window`: in a window, on average."""
    own = ["arm", "seed", "split"]
    originals = rows[(rows["condition"] == ORIGINAL) & (rows["special_tokens"] == MASKED)]
    scored = dict(list(originals.groupby(own)))
    for key, group in fired.groupby(own):
        arm, seed, split = key
        named: dict[str, object] = {
            "arm": arm, "parts": "sae", "seed": seed, "split": split, "special_tokens": MASKED,
            "condition": RECONSTRUCTION, **sizes(scored[key]),
        }  # fmt: skip
        yield named | {"metric": "dead_fraction", "value": float((group["n_fired"] == 0).mean())}
        silent = 1 - group["n_windows_fired"].to_numpy(np.float64) / group["n_windows"].iloc[0]
        yield named | {"metric": "dead_fraction_window", "value": float(silent.mean())}
