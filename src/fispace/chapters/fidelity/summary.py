"""`fidelity summary`: every metric of every condition, with its bootstrap interval over documents.

Must not: measure; it reads sums.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from fispace.chapters.fidelity.document_sums import (
    CONDITION_KEY,
    MASKED,
    METRIC_SUMS,
    ORIGINAL,
    RECONSTRUCTION,
    Resampled,
    TableRow,
    metric_samples,
    read_sums,
    resampled_documents,
    rows_by_condition,
    sizes,
)
from fispace.chapters.fidelity.tables import SUMMARY
from fispace.stats.bootstrap import interval_of
from fispace.store.metric_registry import with_units
from fispace.store.quantities import Frame
from fispace.store.tables import read_table, write_csv, write_table
from fispace.study.config.fidelity import FidelityTableStep
from fispace.study.step import Reads, Writes, command

ORDER = [*CONDITION_KEY, "metric"]


@command("fidelity", "summary")
def summarise_fidelity(
    params: FidelityTableStep, *, documents: list[Reads], latents: list[Reads], bounds: Reads,
    summary: Writes, table: Writes,
) -> None:  # fmt: skip
    """Write every metric of every (arm, parts, seed, split, special_tokens, condition).

    Raises:
        ArtifactError: if a table is missing or damaged.
    """
    rows = read_sums(documents, bounds)
    fired = pd.concat([read_table(path) for path in latents], ignore_index=True)
    drawn = resampled_documents(rows, params.root_seed, params.n_bootstrap)
    result = fidelity_table(rows, fired, drawn, params.confidence)
    write_table(summary, result, {"step": "fidelity summary", "params": params.plain()})
    write_csv(table, result, SUMMARY)


def fidelity_table(
    rows: Frame, fired: Frame, documents: Mapping[str, Resampled], confidence: float
) -> pd.DataFrame:
    """Long table of every metric, from the rows of `with_references`.

    Columns: arm parts seed split special_tokens condition metric unit value low high n_documents
    n_tokens. The shares of dead latents describe the whole split and have no interval.
    """
    found: list[TableRow] = list(_dead_rows(fired, rows))
    for named, by_document in rows_by_condition(rows, documents):
        weights = documents[str(named["split"])].weights
        for metric in METRIC_SUMS:
            samples = metric_samples(by_document, metric, weights)
            if samples is not None:
                interval = interval_of(samples, confidence)._asdict()
                found.append(named | {"metric": metric} | interval | sizes(by_document))
    table = pd.DataFrame(found).sort_values(ORDER, kind="stable").reset_index(drop=True)
    return with_units(table[[*ORDER, "value", "low", "high", "n_documents", "n_tokens"]])


def _dead_rows(fired: Frame, rows: Frame) -> Iterator[TableRow]:
    """Share of latents that never fired: in the split, and in a window (mean over windows)."""
    own = ["arm", "seed", "split"]
    originals = rows[(rows["condition"] == ORIGINAL) & (rows["special_tokens"] == MASKED)]
    scored = dict(list(originals.groupby(own)))
    for key, group in fired.groupby(own):
        arm, seed, split = key
        named: TableRow = {
            "arm": arm, "parts": "sae", "seed": seed, "split": split, "special_tokens": MASKED,
            "condition": RECONSTRUCTION, **sizes(scored[key]),
        }  # fmt: skip
        yield named | {"metric": "dead_fraction", "value": float((group["n_fired"] == 0).mean())}
        n_windows = int(group["n_windows"].iloc[0])
        if n_windows:  # without a window the share is not defined
            silent = 1 - group["n_windows_fired"].to_numpy(np.float64) / n_windows
            yield named | {"metric": "dead_fraction_window", "value": float(silent.mean())}
