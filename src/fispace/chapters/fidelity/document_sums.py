"""Sums per document and condition, the metrics that are ratios of them, and the shared resamples.

Must not: run a model. Every metric is a ratio of sums over documents, never a mean of ratios.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from fispace.seeds import numpy_stream
from fispace.stats.bootstrap import document_weights, ratio_samples
from fispace.store.quantities import Frame
from fispace.store.tables import read_table

ORIGINAL, RECONSTRUCTION, EPSILON = "original", "reconstruction", "epsilon_random"
ZERO_ABLATION, MEAN_ABLATION = "zero_ablation", "mean_ablation"
"""Conditions without a model: zeros, or the train split's mean activation, at the hook point."""

MASKED, INCLUDED = "masked", "included"
"""Masked: special tokens (BOS) keep their activations and are not scored. Included: they are replaced
and scored."""

EVALUATED = ("test", "transfer")
NO_ARM = ""
"""Arm of a condition that involves no trained model; its seed is `NO_SEED`."""

TableRow = dict[str, Any]
"""One row of a table: its cells by column."""

CONDITION_KEY = ["arm", "parts", "seed", "split", "special_tokens", "condition"]
METRIC_SUMS = {
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

`excess_ce`: CE minus the original's CE on the same tokens. `ce_recovered_*`: (CE of the ablated LM - CE)
/ (CE of the ablated LM - CE of the original). It is at most 1 up to noise, 0 for the ablation itself,
negative if the CE is higher than the ablation's, and undefined (empty) if the ablation costs nothing.
"""


class Resampled(NamedTuple):
    """The documents of a split and their weights in the sample and in each resample."""

    ids: Any
    weights: Float[np.ndarray, "samples n_documents"]


def resampled(
    sums: Frame, n_bootstrap: int, streams: Mapping[str, np.random.Generator]
) -> dict[str, Resampled]:
    """Resamples of every split's documents, shared by all conditions, arms and seeds (paired)."""
    found: dict[str, Resampled] = {}
    for split, frame in sums.groupby("split"):
        ids = np.sort(frame["document_id"].unique())
        weights = document_weights(len(ids), n_bootstrap, streams[str(split)])
        found[str(split)] = Resampled(ids, weights)
    return found


def with_references(sums: Frame, bounds: Frame) -> pd.DataFrame:
    """Rows of the sums and of the study's bounds, with columns for the CE of the reference conditions.

    Adds `excess_ce`, `saved_*` and `range_*` of each document; `excess_ce` and `saved_*` are missing
    for the original.
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


def rows_by_condition(
    rows: Frame, documents: Mapping[str, Resampled]
) -> Iterator[tuple[Any, Frame]]:
    """Key and rows of every condition, the rows in the order of the split's documents."""
    for key, group in rows.groupby(CONDITION_KEY):
        named = dict(zip(CONDITION_KEY, key, strict=True))
        yield named, group.set_index("document_id").loc[documents[str(named["split"])].ids]


def metric_samples(
    by_document: Frame, metric: str, weights: Float[np.ndarray, "samples n_documents"]
) -> Float[np.ndarray, " samples"] | None:
    """The metric of the sample and of each resample; None if it was not measured."""
    numerator, denominator = METRIC_SUMS[metric]
    above = by_document[numerator].to_numpy(dtype=np.float64)
    below = by_document[denominator].to_numpy(dtype=np.float64)
    if np.isnan(above).any() or np.isnan(below).any():
        return None
    return ratio_samples(above, below, weights)


def sizes(by_document: Frame) -> dict[str, int]:
    """Number of documents and of tokens behind a value."""
    return {"n_documents": len(by_document), "n_tokens": round(by_document["n_tokens"].sum())}


def is_full(rows: Frame) -> pd.Series:
    """Whether each row's parts are all parts of its arm."""
    n_parts = rows["parts"].str.count("[+]") + 1
    return n_parts == n_parts.groupby(rows["arm"]).transform("max")


def read_sums(documents: list[Path], bounds: Path) -> pd.DataFrame:
    """Sums of all arms and seeds and the bounds, as `with_references` joins them.

    Raises:
        ArtifactError: if a table is missing or damaged.
    """
    sums = pd.concat([read_table(path) for path in documents], ignore_index=True)
    return with_references(sums, read_table(bounds))


def resampled_documents(
    rows: pd.DataFrame, root_seed: int, n_bootstrap: int
) -> dict[str, Resampled]:
    """Resamples of each split's documents, the same for every table of a study."""
    streams = {
        str(split): numpy_stream(root_seed, "fidelity", "bootstrap", str(split))
        for split in rows["split"].unique()
    }
    return resampled(rows, n_bootstrap, streams)
