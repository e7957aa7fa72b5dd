"""Sums per document and condition: their key, their names, and the ratios that metrics are.

Must not: read files; every metric is a ratio of sums over documents.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from fispace.stats.bootstrap import document_weights, ratio_samples

Frame = Any  # pandas ships no types

ORIGINAL, RECONSTRUCTION, EPSILON = "original", "reconstruction", "epsilon_random"
ZERO_ABLATION, MEAN_ABLATION = "zero_ablation", "mean_ablation"
"""Conditions of the study itself: the hook point holds zeros, or the train split's mean activation."""

MASKED, INCLUDED = "masked", "included"
"""Special tokens (BOS) keep their activations and are not scored; or are replaced and scored."""

EVALUATED = ("test", "transfer")
NO_ARM, NO_SEED = "", -1
"""Arm and seed of a condition that no training enters."""

KEY = ["arm", "parts", "seed", "split", "special_tokens", "condition"]
RATIOS = {
    "fvu": ("error", "deviation"),
    "fvu_raw": ("error_raw", "deviation_raw"),
    "mse": ("error", "n_dimensions"),
    "mse_raw": ("error_raw", "n_dimensions"),
    "l0": ("l0", "n_tokens"),
    "kl": ("kl", "n_tokens"),
    "ce": ("ce", "n_next"),
    "excess_ce": ("excess_ce", "n_next"),
    "ce_recovered_zero": ("saved_zero", "range_zero"),
    "ce_recovered_mean": ("saved_mean", "range_mean"),
}
"""Numerator and denominator of each metric; its unit is in `fispace.store.metric_registry`.

`excess_ce`: CE less the original's CE on the same tokens. `ce_recovered_*`: (CE of the ablated LM - CE)
/ (CE of the ablated LM - CE of the original), at most 1 up to noise, 0 for the ablation itself,
negative for what is worse than it; undefined (empty) where the ablation costs nothing.
"""


class Resampled(NamedTuple):
    """The documents of a split and their weights in the sample and in each resample."""

    ids: Any
    weights: Float[np.ndarray, "samples n_documents"]


def resampled(
    sums: Frame, n_bootstrap: int, streams: Mapping[str, np.random.Generator]
) -> dict[str, Resampled]:
    """Resamples of every split's documents; all conditions, arms and seeds share them: paired."""
    found: dict[str, Resampled] = {}
    for split, frame in sums.groupby("split"):
        ids = np.sort(frame["document_id"].unique())
        weights = document_weights(len(ids), n_bootstrap, streams[str(split)])
        found[str(split)] = Resampled(ids, weights)
    return found


def with_references(sums: Frame, bounds: Frame) -> pd.DataFrame:
    """The sums and the study's bounds as one table, each row beside the CE of its references.

    Adds `excess_ce`, `saved_*` and `range_*`, document by document; they are missing for the original.
    """
    rows = pd.concat([sums, bounds], ignore_index=True)
    place = ["split", "special_tokens", "document_id"]
    ce: Frame = bounds.set_index(["condition", *place])["ce"]
    for name, condition in (
        ("original", ORIGINAL),
        ("zero", ZERO_ABLATION),
        ("mean", MEAN_ABLATION),
    ):
        rows = rows.join(ce.loc[condition].rename(f"ce_{name}"), on=place)
    is_compared = rows["condition"] != ORIGINAL
    rows["excess_ce"] = (rows["ce"] - rows["ce_original"]).where(is_compared)
    for name in ("zero", "mean"):
        rows[f"saved_{name}"] = (rows[f"ce_{name}"] - rows["ce"]).where(is_compared)
        rows[f"range_{name}"] = rows[f"ce_{name}"] - rows["ce_original"]
    return rows


def conditions(rows: Frame, documents: Mapping[str, Resampled]) -> Iterator[tuple[Any, Frame]]:
    """Key of every condition with its rows in the order of the split's documents."""
    for key, group in rows.groupby(KEY):
        named = dict(zip(KEY, key, strict=True))
        yield named, group.set_index("document_id").loc[documents[str(named["split"])].ids]


def metric_samples(
    by_document: Frame, metric: str, weights: Float[np.ndarray, "samples n_documents"]
) -> Float[np.ndarray, " samples"] | None:
    """The metric of the sample and of each resample; None where it was not measured."""
    numerator, denominator = RATIOS[metric]
    above = by_document[numerator].to_numpy(dtype=np.float64)
    below = by_document[denominator].to_numpy(dtype=np.float64)
    if np.isnan(above).any() or np.isnan(below).any():
        return None
    return ratio_samples(above, below, weights)


def sizes(by_document: Frame) -> dict[str, int]:
    """Number of documents and of tokens behind a value."""
    return {"n_documents": len(by_document), "n_tokens": round(by_document["n_tokens"].sum())}


def is_full(rows: Frame) -> pd.Series:
    """Whether a row's parts are all parts of its arm."""
    n_parts = rows["parts"].str.count("[+]") + 1
    return n_parts == n_parts.groupby(rows["arm"]).transform("max")
