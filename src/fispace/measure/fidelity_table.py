"""The fidelity summary: sums per document to metrics with document-bootstrap intervals.

Must not: read files; every metric is a ratio of sums over documents.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from fispace.measure.bootstrap import ratio_interval, resample_counts

ORIGINAL, RECONSTRUCTION, EPSILON = "original", "reconstruction", "epsilon_random"
KEY = ["arm", "parts", "seed", "split", "condition"]
ORDER = [*KEY, "metric"]
RATIOS = {  # metric: numerator, denominator, unit
    "fvu": ("error", "deviation", "1"),
    "fvu_raw": ("error_raw", "deviation_raw", "1"),
    "mse": ("error", "n_dimensions", "train variance"),
    "mse_raw": ("error_raw", "n_dimensions", "activation squared"),
    "l0": ("l0", "n_tokens", "latents"),
    "kl": ("kl", "n_tokens", "nats"),
    "ce": ("ce", "n_next", "nats"),
    "excess_ce": ("excess_ce", "n_next", "nats"),
}
"""What each metric divides by what. `excess_ce` is CE less the original's CE on the same tokens."""


def fidelity_table(
    sums: pd.DataFrame, fired: pd.DataFrame, n_bootstrap: int, confidence: float,
    streams: dict[str, np.random.Generator],
) -> pd.DataFrame:  # fmt: skip
    """Long table (arm parts seed split condition metric unit value low high n_documents n_tokens).

    Every row of a split shares the same resamples of documents (`streams` has one generator a split),
    so conditions, arms and seeds are paired. The share of dead latents has no interval: it is a
    property of the whole split.
    """
    sums = with_excess_ce(sums)
    rows: list[dict[str, object]] = list(_dead_rows(fired, sums))
    for split, frame in sums.groupby("split"):
        ids = np.sort(frame["document_id"].unique())
        counts = resample_counts(len(ids), n_bootstrap, streams[str(split)])
        for key, group in frame.groupby(KEY):
            by_document = group.set_index("document_id").loc[ids]
            named: dict[str, object] = dict(zip(KEY, key, strict=True))
            rows.extend(named | row for row in _metric_rows(by_document, counts, confidence))
    return pd.DataFrame(rows).sort_values(ORDER, kind="stable").reset_index(drop=True)


def with_excess_ce(sums: pd.DataFrame) -> pd.DataFrame:
    """The sums with a column `excess_ce`: CE less the CE of the undisturbed LM, document by document."""
    document = ["arm", "seed", "split", "document_id"]
    original = sums[sums["condition"] == ORIGINAL].set_index(document)["ce"].rename("ce_original")
    joined = sums.join(original, on=document)
    joined["excess_ce"] = (joined["ce"] - joined["ce_original"]).where(
        joined["condition"] != ORIGINAL
    )
    return joined.drop(columns="ce_original")


def _metric_rows(
    by_document: pd.DataFrame, counts: np.ndarray, confidence: float
) -> Iterator[dict[str, object]]:
    for metric, (numerator, denominator, unit) in RATIOS.items():
        above = by_document[numerator].to_numpy(dtype=np.float64)
        below = by_document[denominator].to_numpy(dtype=np.float64)
        if np.isnan(above).any():
            continue  # not measured under this condition
        yield {
            "metric": metric,
            "unit": unit,
            **ratio_interval(above, below, counts, confidence)._asdict(),
            "n_documents": len(by_document),
            "n_tokens": round(by_document["n_tokens"].sum()),
        }


def _dead_rows(fired: pd.DataFrame, sums: pd.DataFrame) -> Iterator[dict[str, object]]:
    own = ["arm", "seed", "split"]
    originals = dict(list(sums[sums["condition"] == ORIGINAL].groupby(own)))
    for key, group in fired.groupby(own):
        arm, seed, split = key
        scored = originals[key]["n_tokens"]
        yield {
            "arm": arm, "parts": "sae", "seed": seed, "split": split, "condition": RECONSTRUCTION,
            "metric": "dead_fraction", "unit": "1", "value": float((group["n_fired"] == 0).mean()),
            "n_documents": len(scored), "n_tokens": round(scored.sum()),
        }  # fmt: skip
