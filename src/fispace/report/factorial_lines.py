"""The factorial chapter's answers as Markdown: every declared family, and the ground truth.

Must not: compute a test, read files, or judge; a family without a finding is shown like any other.
"""

from typing import Any

from fispace.report.markdown import ABSENT, PERCENT, value_text
from fispace.store.quantities import Frame

UNDECLARED, KEPT = "none", "no"
FAMILY_HEADER = (
    "| hypothesis | response | of | expected | tests | differ (max-F) | differ (FDR) "
    "| equivalent to none | smallest max-F p |",
    "|---|---|---|---|---:|---:|---:|---:|---:|",
)
FAMILY_LEGEND = (
    "Null: y11 - y10 - y01 + y00 = 0 on the confirm items. Declared in `params.yaml` before the run, "
    "corrected over all latents, ranks and seeds of a row; latents active in too few contexts are left "
    "out. Every test, its interval and the published analysis beside it: `../factorial/infer.csv`."
)
TRUTH_HEADER = ("| question | of | answer | | p |", "|---|---|---:|---|---:|")
TRUTH_LEGEND = (
    "In brackets: interval over items; for `share_of_movement` the smallest and the largest latent, for "
    "`over_direction` and `share_over_direction` the interval of the quotient over pairs of a latent and "
    "a random direction of its length. All answers: `../factorial/truth.csv`."
)
OF_FAMILIES = ("activation", "clamp_slope", "planted_slope")
"""Answers of `truth.csv` that the families' table has already."""


def family_table(family: Frame) -> list[str]:
    """Lines of a table with one row per declared hypothesis, in the order of their names."""
    declared = family[family["hypothesis"] != UNDECLARED]
    return [
        *FAMILY_HEADER,
        *(_family_line(name, own) for name, own in declared.groupby("hypothesis")),
    ]


def _family_line(name: Any, tests: Frame) -> str:
    kept = tests[tests["excluded"] == KEPT]
    counts = (kept[c].sum() for c in ("is_significant_max", "is_significant", "is_equivalent"))
    kinds = ", ".join(dict.fromkeys(tests["kind"]))
    first = tests.iloc[0]
    cells = [f"`{name}`", first["family"], kinds, first["expected"], len(kept), *counts]
    return "| " + " | ".join(map(str, cells)) + f" | {value_text(kept['p_max'].min(), '1')} |"


def truth_table(answers: Frame) -> list[str]:
    """Lines of a table with the answers about the planted contrast."""
    own = answers[~answers["question"].isin(OF_FAMILIES)]
    return [*TRUTH_HEADER, *map(_truth_line, own.to_dict("records"))]


def _truth_line(row: dict[str, Any]) -> str:
    unit = str(row["unit"])
    value, low, high = (value_text(row[name], unit) for name in ("value", "low", "high"))
    ends = (end.removesuffix(PERCENT) for end in (low, high))
    interval = "" if low == ABSENT else f" [{', '.join(ends)}]"
    named = "" if unit in ("1", "fraction") else f" {unit}"
    said = row["answer"] if isinstance(row["answer"], str) else ""
    p = value_text(row["p"], "1")
    return f"| `{row['question']}` | {row['subject']} | {value}{named}{interval} | {said} | {p} |"


def factorial_lines(family: Frame, truth: Frame | None) -> list[str]:
    """The page's section on the chapter."""
    lines = ["## Factorial tests", "", FAMILY_LEGEND, "", *family_table(family), ""]
    if truth is None:
        return lines
    return [*lines, "### What was planted", "", TRUTH_LEGEND, "", *truth_table(truth), ""]
