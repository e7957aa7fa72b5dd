"""The health gates on the summary page: a red banner if one failed, and a table of all.

Must not: compute or judge; every number is a cell of health.csv, or a count of its rows.
"""

import pandas as pd

from fispace.report.markdown import ABSENT, gate_title, linked, table_line, value_text
from fispace.report.tables import NO, NOT_TESTABLE, YES
from fispace.store.quantities import Frame

BANNER = "> [!CAUTION]"
"""GitHub shows the quotation that begins with this line as a red banner."""
HEADER = ("| gate | bound | passed | worst | of | from |", "|---|---|---|---:|---|---|")
HEALTH_LEGEND = (
    "Each gate bounds a number without which verdicts mean little: shares of latents that never fire "
    "(`dead_latents`) and of hidden units of the interaction that do (`live_units`), FVU and KL of the arm "
    "`sae`, the gain of the last tenth of a training (`late_gain`), and the language model's loss above its "
    "Bayes floor (`lm_gap`). Bounds: `report.health` in `params.yaml`. An arm passes if all its seeds do. "
    "Every arm: `health.csv`."
)


def failed_gates(gates: Frame) -> list[str]:
    """Names of the gates that an arm fails, in their order."""
    names = dict.fromkeys(gates["gate"])
    return [name for name in names if (gates["passed"][gates["gate"] == name] == NO).any()]


def health_banner(gates: Frame) -> list[str]:
    """The banner that names every failed gate; no line if none failed."""
    failed = failed_gates(gates)
    if not failed:
        return []
    named = ", ".join(f"`{name}`" for name in failed)
    return [
        BANNER,
        f"> **This study is not healthy.** Failed gates: {named}. This is not an error, but read the verdicts",
        "> with caution, the negative ones above all: an effect may be missing because it had no chance to",
        "> appear. Values and bounds: [Health](#health).",
        "",
    ]


def health_lines(gates: Frame, explanations: str | None) -> list[str]:
    """The section of the gates, one line each; numbers link to the page `explanations`."""
    lines = ["## Health", "", HEALTH_LEGEND, "", *HEADER]
    for name, rows in gates.groupby("gate", sort=False):
        lines.append(_gate_line(str(name), rows, explanations))
    return [*lines, ""]


def _gate_line(name: str, rows: Frame, explanations: str | None) -> str:
    worst = rows.iloc[0]
    value = with_unit(worst["value"], worst["unit"])
    shown = linked(value, explanations, gate_title(name))
    is_of_lm = pd.isna(worst["arm"])
    whose = "language model" if is_of_lm else f"`{worst['arm']}`"
    if not pd.isna(worst["seed"]):
        whose += f", seed {worst['seed']:.0f}"
    source = ABSENT if pd.isna(worst["source"]) else f"`{worst['source']}`"
    return table_line(
        [f"`{name}`", bound_text(worst), _passed(rows, is_of_lm), shown, whose, source]
    )


def bound_text(row: Frame) -> str:
    """The bounds of a gate in words."""
    ends = (
        (word, row[column]) for word, column in (("at least", "at_least"), ("at most", "at_most"))
    )
    given = [f"{word} {with_unit(end, row['unit'])}" for word, end in ends if not pd.isna(end)]
    return ", ".join(given)


def _passed(rows: Frame, is_of_lm: bool) -> str:
    """Yes, no, or why it is not testable; with the number of arms where a gate has several."""
    verdicts = rows["passed"]
    n_passed, n_failed = ((verdicts == verdict).sum() for verdict in (YES, NO))
    reasons = list(dict.fromkeys(verdicts[verdicts.str.startswith(NOT_TESTABLE)]))
    if is_of_lm or len(rows) == 1:
        return f"**{NO}**" if n_failed else verdicts.iloc[0]
    tested = f"{n_passed} of {len(rows)} arms pass"
    if not n_passed + n_failed:
        return "; ".join(reasons)
    word = f"**{NO}**" if n_failed else YES if not reasons else NOT_TESTABLE
    left = f", {len(rows) - n_passed - n_failed} not testable" if reasons else ""
    return f"{word}, {tested}{left}"


def with_unit(value: float, unit: str) -> str:
    """A number with its unit, unless it is a fraction."""
    shown = value_text(value, unit)
    return shown if unit == "fraction" or shown == ABSENT else f"{shown} {unit}"
