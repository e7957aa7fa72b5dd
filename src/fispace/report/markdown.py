"""Markdown of the pages: claims as a table, numbers as a reader sees them, and generated blocks.

Must not: compute or judge.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from fispace.errors import ArtifactError
from fispace.store.files import write_text
from fispace.store.metric_registry import FRACTION
from fispace.store.origins import Row
from fispace.store.quantities import Frame

ABSENT, PERCENT, UNDEFINED = "–", " %", "undefined"
NOT_IN_ANCHOR = re.compile(r"[^\w\- ]")
PERCENT_BELOW = 20.0
"""Fractions of at least this size are shown as plain numbers; a percentage would mislead."""
SHOWN_UNITS = {"z2": "z²"}
"""How pages write a unit, if not by its name."""
ANSWER_HEADERS = {
    "published": "ours, as published",
    "controlled": "ours, controlled",
    "null": "ours, null",
    "paper_sizes": "the paper's sizes alone",
}
"""Header of each answer's column. The last column is left out if no row has that answer."""
AGAINST = "controlled against"
LEGEND = (
    "Printed: the number in the paper. As published: our models, by the paper's own definition; a dash if "
    "the paper has no such number. Controlled: the claim's question against the comparison in the next "
    "column. Null: the same number where the effect cannot exist, such as at initial weights or in a model "
    "without interaction. The paper's sizes alone: computed from these sizes, without a model of ours. "
    "Means over seeds (P1 to P3: over simulated worlds), with 95 % t-intervals. A percentage that exceeds "
    "100 %, or whose denominator may be zero, is replaced by the difference in its numerator, in nats or z² "
    "(squared standardised activation: 1 is the variance of a dimension). The percentage follows in "
    "parentheses unless its denominator may be zero. “= N5 gain”: the same number answers that claim. "
    "“by …”: the verdict rests on this other quantity of the row, in `claims.csv`."
)


def anchor(title: str) -> str:
    """Anchor of the section with this title, as GitHub and MkDocs make it."""
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


def gate_title(gate: str) -> str:
    """Title of the section on a health gate."""
    return f"Gate {gate}"


def linked(text: str, page: str | None, title: str) -> str:
    """A number, linked to its section on the page of explanations if there is such a page."""
    return text if page is None or text == ABSENT else f"[{text}]({page}#{anchor(title)})"


def claim_table(ledger: Frame, explanations: str | None = None) -> list[str]:
    """Lines of the Markdown table of the ledger's rows, with verdicts if the ledger has them.

    The numbers of a row link to its section on the page `explanations`; None for no links.
    """
    rows = ledger.to_dict("records")
    answers = [name for name in ANSWER_HEADERS if name != "paper_sizes" or _any(rows, name)]
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
    own = (ANSWER_HEADERS[answer], "---:")
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
    return [*found, verdict_text(row) + _judged_by(row, answers)] if "verdict" in row else found


def verdict_text(row: dict[Any, Any]) -> str:
    """The verdict, with the effects that it excludes or the number of seeds that would decide it."""
    verdict = str(row["verdict"])
    bound, seeds = row["excluded_above"], row["seeds_to_decide"]
    if not pd.isna(bound):
        above = "any effect" if bound <= 0 else f"effects above {value_text(bound, row['unit'])}"
        return f"{verdict}, {above} excluded"
    return verdict if pd.isna(seeds) else f"{verdict}, {seeds:.0f} seeds would decide"


def _judged_by(row: dict[Any, Any], answers: list[str]) -> str:
    """The quantity that the verdict rests on, if the row does not show it."""
    judged = _text(row["judged_quantity"])
    shown = [row[f"{answer}_quantity"] for answer in answers]
    if not judged or judged in shown:
        return ""
    parts = judged.split(".")
    return f", by `{parts[-1] if parts[0] == 'factorial' else parts[0]}`"


def interval_text(row: dict[Any, Any], answer: str) -> str:
    """Mean and interval of one answer; a dash if there is none.

    A difference has its unit, and the percentage that it stands for if that is defined.
    """
    if not isinstance(row[f"{answer}_quantity"], str):
        return ABSENT
    unit = row[f"{answer}_unit"]
    mean, low, high = (
        value_text(row[f"{answer}_{name}"], unit) for name in ("mean", "low", "high")
    )
    if mean == ABSENT:
        return UNDEFINED
    if low not in (ABSENT, high):  # more than one seed, and a spread that three digits show
        mean += f" [{low.removesuffix(PERCENT)}, {high.removesuffix(PERCENT)}]"
    if _text(row.get(f"{answer}_ratio")):
        mean += f" {SHOWN_UNITS.get(unit, unit)}"
        ratio = row[f"{answer}_ratio_mean"]
        if abs(ratio) <= 1:  # false for NaN
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
    """The digits with a true minus sign, and without a sign before zero."""
    if float(digits) == 0:
        digits = digits.removeprefix("-")
    return digits.replace("-", "−", 1) if digits.startswith("-") else digits


def _text(cell: Any) -> str:
    """The cell's text; empty if the cell is missing."""
    return cell if isinstance(cell, str) else ""


def document(lines: Iterable[str]) -> str:
    """The lines as a text with a final newline."""
    return "\n".join(lines) + "\n"


class Block(NamedTuple):
    """The lines between two markers of a page; a command writes them."""

    name: str
    command: str

    @property
    def begin(self) -> str:
        """Line before the block."""
        return f"<!-- {self.name}: generated by `{self.command}`, do not edit -->"

    @property
    def end(self) -> str:
        """Line after the block."""
        return f"<!-- end of {self.name} -->"

    def filled(self, text: str, inside: str, page: Path) -> str:
        """`text` with `inside` between the markers; `page` names the file in messages.

        Raises:
            ArtifactError: if `text` does not hold each marker exactly once, in order.
        """
        before, begin, rest = text.partition(self.begin)
        _, end, after = rest.partition(self.end)
        if not begin or not end or self.begin in rest or self.end in before + after:
            raise ArtifactError(
                f"{page} must hold the line '{self.begin}' once, and after it the line '{self.end}' "
                f"once: `{self.command}` writes between them."
            )
        return f"{before}{self.begin}\n{inside.rstrip()}\n{self.end}{after}"

    def write(self, page: Path, inside: str) -> None:
        """Replace the block in the file `page`; the rest of the file stays.

        Raises:
            ArtifactError: if the page is missing or has not both markers.
        """
        if not page.is_file():
            raise ArtifactError(f"{page} does not exist: `{self.command}` writes a block of it.")
        write_text(page, self.filled(page.read_text(encoding="utf-8"), inside, page))
