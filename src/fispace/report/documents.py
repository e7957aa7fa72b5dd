"""`report documents`: intervals over documents of every fidelity quantity.

Must not: know the claims, or resample tokens.
"""

from typing import Any

import numpy as np
import pandas as pd

from fispace.chapters.fidelity.document_sums import (
    EPSILON,
    RECONSTRUCTION,
    metric_samples,
    with_references,
)
from fispace.chapters.fidelity.quantities import (
    LOSSES,
    Levels,
    named_quantities,
    of_decoders,
    short_parts,
)
from fispace.report.tables import DOCUMENTS
from fispace.seeds import numpy_stream
from fispace.stats.bootstrap import resample_counts
from fispace.store.origins import Cell, Rows
from fispace.store.quantities import Frame
from fispace.store.tables import read_table, write_csv
from fispace.study.config.report import DocumentsStep
from fispace.study.step import Reads, Writes, command

RESAMPLED = (RECONSTRUCTION, EPSILON)
"""Conditions whose losses have intervals over documents."""


@command("report", "documents")
def write_documents(
    params: DocumentsStep, *, sums: list[Reads], bounds: Reads, table: Writes
) -> None:
    """Write one row per quantity: its interval over documents, and over samples of a few documents.

    Columns: quantity, low, high, few_low, few_high, n_documents. Every quantity is computed again on
    each resample of the test documents and averaged over seeds; the ends are percentiles. All arms and
    seeds share the resamples, so differences between them are paired.

    Raises:
        ArtifactError: if a table of sums is missing or damaged.
    """
    of_arms = pd.concat([read_table(path) for path in sums], ignore_index=True)
    frame = of_decoders(with_references(of_arms, read_table(bounds)))
    rows = frame[frame["condition"].isin(RESAMPLED)].copy()
    rows["parts"] = short_parts(rows)
    ids = np.sort(rows["document_id"].unique())
    all_, few = _counts(params, len(ids))
    draws = _draws(rows, ids, np.concatenate([all_, few]))
    tails = [(1 - params.confidence) / 2, (1 + params.confidence) / 2]
    found = [
        (name, *np.quantile(of[: len(all_)], tails), *np.quantile(of[len(all_) :], tails), len(ids))
        for name, of in sorted(draws.items())
    ]
    write_csv(table, pd.DataFrame(found, columns=pd.Index(DOCUMENTS.columns)), DOCUMENTS)


def _counts(params: DocumentsStep, n_documents: int) -> tuple[np.ndarray, np.ndarray]:
    """Resamples of all documents, and samples of a few of them drawn with replacement."""
    stream = numpy_stream(params.root_seed, "report", "documents")
    few = stream.multinomial(
        params.few_documents, np.full(n_documents, 1 / n_documents), size=params.n_bootstrap
    )
    return resample_counts(n_documents, params.n_bootstrap, stream), few.astype(np.float64)


def _draws(rows: Frame, ids: np.ndarray, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Mean over seeds of every quantity, on each resample."""
    found: dict[str, tuple[Any, int]] = {}  # sums: the draws of all seeds at once would fill memory
    for _, of_seed in rows.groupby("seed"):
        levels, random = (
            _levels(of_seed[of_seed["condition"] == name], ids, counts) for name in RESAMPLED
        )
        with np.errstate(divide="ignore", invalid="ignore"):  # a part can be zero everywhere
            for name, derived in named_quantities(levels, random):
                total, n_seeds = found.get(name, (0.0, 0))
                found[name] = (total + np.asarray(derived.value), n_seeds + 1)
    means = {name: total / n_seeds for name, (total, n_seeds) in found.items()}
    # a quotient that divides by zero on one resample has no interval
    return {name: np.where(np.isinf(of), np.nan, of) for name, of in means.items()}


def _levels(rows: Frame, ids: np.ndarray, counts: np.ndarray) -> Levels:
    levels: Levels = {}
    for (arm, parts), group in rows.groupby(["arm", "parts"]):
        by_document = group.set_index("document_id").loc[ids]
        for metric in LOSSES:
            values = metric_samples(by_document, metric, counts)
            if values is not None:
                cell = Cell(values, Rows("sums", {"arm": arm}))
                levels.setdefault(metric, {})[str(arm), str(parts)] = cell
    return levels
