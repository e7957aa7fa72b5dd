"""Claims as Markdown: one row a printed number, with ours beside it.

Must not: compute, read files, or judge.
"""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from fispace.store.quantities import Frame

PERCENT_BELOW = 20.0
"""Fractions beyond this multiple are shown as plain numbers; a percentage would mislead."""
ABSENT, PERCENT = "–", " %"
HEADER = (
    "| | claim | printed | ours, as published | ours, controlled | ours, null |",
    "|---|---|---:|---:|---:|---:|",
)
VERDICT_HEADER = (" verdict |", "---|")
LEGEND = (
    "Printed: the number in the paper. As published: our models, the paper's own definition. "
    "Controlled: against the separately trained SAE with bias, or what the part adds last in units "
    "of its error (for N11-N13 the item-level test, for N16 norms never trained, at the paper's "
    "scale; where k is cut, over an SAE trained at that k; for P1 and P2, beyond what shows without "
    "planted pairs). "
    "Null: the same number where the effect cannot be, such as initial weights or a model without "
    "interaction. Means over seeds, for P1 to P3 over planted worlds, with 95 % t-intervals."
)


def claim_table(ledger: Frame) -> list[str]:
    """Lines of the Markdown table of the ledger's rows; with the verdicts if the ledger has them."""
    rows = ledger.to_dict("records")
    if "verdict" not in ledger:
        return [*HEADER, *map(_line, rows)]
    header = (line + more for line, more in zip(HEADER, VERDICT_HEADER, strict=True))
    return [*header, *(f"{_line(row)} {row['verdict']} |" for row in rows)]


def _line(row: dict[str, Any]) -> str:
    unit = row["unit"]
    cells = [
        f"{row['id']}",
        str(row["statement"]) + f" (`{row['item']}`)",
        value_text(row["printed"], unit),
        *(interval_text(row, answer) for answer in ("published", "controlled", "null")),
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def interval_text(row: dict[str, Any], answer: str) -> str:
    """Mean and interval of one answer, in the claim's unit; a dash where there is none."""
    if not isinstance(row[f"{answer}_quantity"], str):
        return ABSENT
    mean, low, high = (
        value_text(row[f"{answer}_{name}"], row["unit"]) for name in ("mean", "low", "high")
    )
    if mean == ABSENT:
        return "undefined"
    if low in (ABSENT, high):  # one repetition, or no spread that a reader would see
        return mean
    return f"{mean} [{low.removesuffix(PERCENT)}, {high.removesuffix(PERCENT)}]"


def value_text(value: float, unit: str) -> str:
    """A number for reading: percent for fractions, three significant digits otherwise."""
    if pd.isna(value):
        return ABSENT
    if unit == "fraction" and abs(value) < PERCENT_BELOW:
        return _signed(f"{100 * value:.1f}") + PERCENT
    if unit == "parameters":
        return f"{value:,.0f}"
    return _signed(f"{value:#.3g}".removesuffix("."))


def _signed(digits: str) -> str:
    """The digits with a true minus sign; none before a zero."""
    if float(digits) == 0:
        digits = digits.removeprefix("-")
    return digits.replace("-", "−", 1) if digits.startswith("-") else digits


def document(lines: Iterable[str]) -> str:
    """The lines as a text with a final newline."""
    return "\n".join(lines) + "\n"
