"""`report claims-plot`: the numbers that the claims overview draws.

Must not: draw or judge; the verdict is a cell of the ledger.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fispace.report.markdown import value_text
from fispace.report.predicate import ANSWERS
from fispace.report.tables import CLAIMS_PLOT, LEDGER
from fispace.store.tables import read_csv, write_csv
from fispace.study.step import Reads, Writes, command

LIMIT = 200.0
"""Ratios beyond it are drawn at the edge; the ledger has the number."""
SHOWN = dict(zip(ANSWERS, ("published", "controlled", "on a null", "paper's sizes"), strict=True))
"""Answers as the table has them; a bare `null` is read back from CSV as a missing value."""
ENDS = ("mean", "low", "high")


@command("report", "claims-plot")
def write_claims_plot(*, ledger: Reads, claims: Writes) -> None:
    """Write one row a claim and answer: our number over the printed one, with its interval.

    Columns: order, claim, printed, answer, ratio, low, high, is_off, limit, verdict. A claim printed
    as zero has no ratio. Of a number that the ledger gives as a difference, the ratio beside it is
    drawn, where it has one.

    Raises:
        ArtifactError: if the ledger is missing or damaged.
    """
    rows = _rows(read_csv(ledger, LEDGER).to_dict("records"))
    write_csv(claims, CLAIMS_PLOT.frame(rows), CLAIMS_PLOT)


def _rows(ledger: list[dict[Any, Any]]) -> Iterator[dict[str, Any]]:
    for order, row in enumerate(ledger):
        name = f"{row['id']} {row['item'].replace('_', ' ')} ({value_text(row['printed'], row['unit'])})"
        for answer in ANSWERS:
            is_difference = isinstance(row.get(f"{answer}_ratio"), str)
            stem = f"{answer}_ratio" if is_difference else answer
            ends = np.array([row[f"{stem}_{end}"] for end in ENDS], dtype=float)
            if np.isnan(ends[0]) or row["printed"] == 0:
                ends = np.full(3, np.nan)
            ratios = ends / (row["printed"] or np.nan)
            shown = np.clip(ratios, -LIMIT, LIMIT)
            yield {
                "order": order, "claim": name, "printed": row["printed"], "answer": SHOWN[answer],
                "ratio": shown[0], "low": shown[1:].min(), "high": shown[1:].max(),
                "is_off": bool(abs(ratios[0]) > LIMIT), "limit": LIMIT, "verdict": row["verdict"],
            }  # fmt: skip
