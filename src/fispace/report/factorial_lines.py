"""The factorial chapter's answers as Markdown: every declared family, and the ground truth.

Must not: compute a test, read files, or judge; a family without a finding is shown like any other.
"""

from typing import Any

from fispace.report.markdown import (
    ABSENT,
    PERCENT,
    hypothesis_title,
    linked,
    table_line,
    truth_title,
    value_text,
)
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


def family_lines(family: Frame, explanations: str | None) -> list[str]:
    """Lines of a table with one row per declared hypothesis, in the order of their names.

    Its numbers link to the page `explanations`, where there is one; so do those of `truth_table`.
    """
    declared = family[family["hypothesis"] != UNDECLARED]
    return [
        *FAMILY_HEADER,
        *(
            _family_line(str(name), own, explanations)
            for name, own in declared.groupby("hypothesis")
        ),
    ]


def _family_line(name: str, tests: Frame, explanations: str | None) -> str:
    kept = tests[tests["excluded"] == KEPT]
    counts = (kept[c].sum() for c in ("is_significant_max", "is_significant", "is_equivalent"))
    kinds = ", ".join(dict.fromkeys(tests["kind"]))
    first, title = tests.iloc[0], hypothesis_title(name)
    numbers = [*map(str, (len(kept), *counts)), value_text(kept["p_max"].min(), "1")]
    shown = [linked(number, explanations, title) for number in numbers]
    return table_line([f"`{name}`", first["family"], kinds, first["expected"], *shown])


def truth_table(answers: Frame, explanations: str | None) -> list[str]:
    """Lines of a table with the answers about the planted contrast."""
    own = answers[~answers["question"].isin(OF_FAMILIES)]
    lines = (_truth_line(row, explanations) for row in own.to_dict("records"))
    return [*TRUTH_HEADER, *lines]


def _truth_line(row: dict[Any, Any], explanations: str | None) -> str:
    unit, title = str(row["unit"]), truth_title(row)
    value, low, high = (value_text(row[name], unit) for name in ("value", "low", "high"))
    ends = (end.removesuffix(PERCENT) for end in (low, high))
    interval = "" if low == ABSENT else f" [{', '.join(ends)}]"
    named = "" if unit in ("1", "fraction") else f" {unit}"
    said = row["answer"] if isinstance(row["answer"], str) else ""
    numbers = (f"{value}{named}{interval}", value_text(row["p"], "1"))
    shown, p = (linked(number, explanations, title) for number in numbers)
    return table_line([f"`{row['question']}`", row["subject"], shown, said, p])


def factorial_lines(family: Frame, truth: Frame | None, explanations: str | None) -> list[str]:
    """The page's section on the chapter."""
    lines = ["## Factorial tests", "", FAMILY_LEGEND, "", *family_lines(family, explanations), ""]
    if truth is None:
        return lines
    table = truth_table(truth, explanations)
    return [*lines, "### What was planted", "", TRUTH_LEGEND, "", *table, ""]
