"""Claims as Markdown: one row a claim, with our numbers beside the printed one.

Must not: compute, read files, or judge.
"""

import re
from collections.abc import Iterable
from typing import Any

import pandas as pd

from fispace.store.metric_registry import FRACTION
from fispace.store.origins import Row
from fispace.store.quantities import Frame

ABSENT, PERCENT, UNDEFINED = "–", " %", "undefined"
NOT_IN_ANCHOR = re.compile(r"[^\w\- ]")
PERCENT_BELOW = 20.0
"""Fractions beyond this multiple are shown as plain numbers; a percentage would mislead."""
SHOWN_UNITS = {"z2": "z²"}
"""Units whose name in a table is not how they are written."""
COLUMNS = {
    "published": "ours, as published",
    "controlled": "ours, controlled",
    "null": "ours, null",
    "paper_sizes": "the paper's sizes alone",
}
"""Header of each answer. The last stands only where a row has it."""
AGAINST = "controlled against"
LEGEND = (
    "Printed: the number in the paper. As published: our models, by the paper's own definition; where the "
    "paper has no such number, there is none. Controlled: the claim's question against the comparison in "
    "the next column. Null: the same number where the effect cannot be, such as initial weights or a "
    "model without interaction. The paper's sizes alone: no model of ours enters. Means over seeds, for P1 "
    "to P3 over planted worlds, with 95 % t-intervals. A row whose percentages would say nothing, because "
    "what is divided by may be zero or the share exceeds 100 %, is in the unit of what is divided, nats or "
    "z² (squared standardised activation: 1 is the variance of a dimension); the percentage stands beside "
    "it where it is one. “= N5 gain”: the same number answers that claim. “by …”: the verdict rests on "
    "this other quantity of the row, in `claims.csv`."
)


def anchor(title: str) -> str:
    """What a link to the section of this title ends in, as GitHub and MkDocs make it."""
    return NOT_IN_ANCHOR.sub("", title.lower()).replace(" ", "-")


def claim_title(claim: Row) -> str:
    """Title of a claim's section on the page of explanations: `N5.gain`."""
    return f"{claim['id']}.{claim['item']}"


def hypothesis_title(hypothesis: str) -> str:
    """Title of the section on a declared hypothesis."""
    return f"Hypothesis {hypothesis}"


def truth_title(answer: Row) -> str:
    """Title of the section on an answer about the planted contrast."""
    return f"Planted {answer['question']}, {answer['subject']}"


def linked(text: str, page: str | None, title: str) -> str:
    """A number, linked to its section of the page of explanations where there is one."""
    return text if page is None or text == ABSENT else f"[{text}]({page}#{anchor(title)})"


def claim_table(ledger: Frame, explanations: str | None = None) -> list[str]:
    """Lines of the Markdown table of the ledger's rows; with the verdicts if the ledger has them.

    The numbers of a row link to its section of the page `explanations`, where there is one.
    """
    rows = ledger.to_dict("records")
    answers = [name for name in COLUMNS if name != "paper_sizes" or _any(rows, name)]
    columns = [column for name in answers for column in _columns(name)]
    if "verdict" in ledger:
        columns.append(("verdict", "---"))
    header, ruler = zip(("", "---"), ("claim", "---"), ("printed", "---:"), *columns, strict=True)
    return [
        table_line(line)
        for line in (header, ruler, *(_cells(row, answers, explanations) for row in rows))
    ]


def table_line(cells: Iterable[str]) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _any(rows: list[dict[Any, Any]], answer: str) -> bool:
    return any(isinstance(row[f"{answer}_quantity"], str) for row in rows)


def _columns(answer: str) -> list[tuple[str, str]]:
    """Header and ruler of an answer's columns."""
    own = (COLUMNS[answer], "---:")
    return [own, (AGAINST, "---")] if answer == "controlled" else [own]


def _cells(row: dict[Any, Any], answers: list[str], explanations: str | None) -> list[str]:
    title = claim_title(row)
    found = [
        str(row["id"]),
        f"{row['statement']} (`{row['item']}`)",
        linked(value_text(row["printed"], row["unit"]), explanations, title),
    ]
    for answer in answers:
        found.append(linked(interval_text(row, answer), explanations, title))
        if answer == "controlled":
            found.append(_text(row["controlled_against"]) or ABSENT)
    return [*found, f"{row['verdict']}{_judged_by(row, answers)}"] if "verdict" in row else found


def _judged_by(row: dict[Any, Any], answers: list[str]) -> str:
    """Which quantity the verdict rests on, where it is none of those shown."""
    judged = _text(row["judged_quantity"])
    shown = [row[f"{answer}_quantity"] for answer in answers]
    if not judged or judged in shown:
        return ""
    parts = judged.split(".")
    return f", by `{parts[-1] if parts[0] == 'factorial' else parts[0]}`"


def interval_text(row: dict[Any, Any], answer: str) -> str:
    """Mean and interval of one answer; a dash where there is none.

    A difference has its unit, and the percentage that it stands for where that is a number.
    """
    if not isinstance(row[f"{answer}_quantity"], str):
        return ABSENT
    unit = row[f"{answer}_unit"]
    mean, low, high = (
        value_text(row[f"{answer}_{name}"], unit) for name in ("mean", "low", "high")
    )
    if mean == ABSENT:
        return UNDEFINED
    if low not in (ABSENT, high):  # more than one repetition, and a spread that a reader would see
        mean += f" [{low.removesuffix(PERCENT)}, {high.removesuffix(PERCENT)}]"
    if _text(row.get(f"{answer}_ratio")):
        mean += f" {SHOWN_UNITS.get(unit, unit)}"
        ratio = row[f"{answer}_ratio_mean"]
        if abs(ratio) <= 1:  # false where there is none
            mean += f" ({value_text(ratio, row['unit'])})"
    same = _text(row.get(f"{answer}_same_as"))
    return f"{mean} (= {same.replace('.', ' ')})" if same else mean


def value_text(value: float, unit: str) -> str:
    """A number for reading: percent for fractions, three significant digits otherwise."""
    if pd.isna(value):
        return ABSENT
    if unit == FRACTION and abs(value) < PERCENT_BELOW:
        return _signed(f"{100 * value:.1f}") + PERCENT
    if unit == "parameters":
        return f"{value:,.0f}"
    return _signed(f"{value:#.3g}".removesuffix("."))


def _signed(digits: str) -> str:
    """The digits with a true minus sign; none before a zero."""
    if float(digits) == 0:
        digits = digits.removeprefix("-")
    return digits.replace("-", "−", 1) if digits.startswith("-") else digits


def _text(cell: Any) -> str:
    """The cell's text; an empty one where it is missing."""
    return cell if isinstance(cell, str) else ""


def document(lines: Iterable[str]) -> str:
    """The lines as a text with a final newline."""
    return "\n".join(lines) + "\n"
