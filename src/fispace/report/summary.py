"""`report summary`: the claims, factorial tests and figures of a run on one Markdown page.

Must not: compute; every number is a cell of a table, or a count of its rows. A family of tests without
a finding is shown like any other.
"""

from typing import Any

from fispace.chapters.factorial.tables import FAMILY, TRUTH
from fispace.errors import ParamsError
from fispace.report.captions import CAPTIONS
from fispace.report.health_section import health_banner, health_lines
from fispace.report.markdown import (
    ABSENT,
    LEGEND,
    PERCENT,
    claim_table,
    document,
    hypothesis_title,
    linked,
    table_line,
    truth_title,
    value_text,
)
from fispace.report.tables import HEALTH, LEDGER
from fispace.report.verdicts import VERDICTS
from fispace.report.weaknesses import read_published_study, sources, weakness_table
from fispace.store.files import write_text
from fispace.store.quantities import Frame
from fispace.store.tables import read_csv
from fispace.study.step import Reads, Writes, command

UNDECLARED, KEPT = "none", "no"
"""Cells of `hypothesis` and `excluded`: of a test outside the declared hypotheses, and of a counted one."""
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
IN_FAMILY_TABLE = ("activation", "clamp_slope", "planted_slope")
"""Questions of `truth.csv` that the table of families has already."""

LINKED = " Every number links to where it comes from."
VERDICT_LEGEND = (
    "Verdict: computed from each claim's predicate in `workflow/claims.yaml`. *Reproduced*: our number "
    "has the claimed direction, over seeds and over documents, and keeps it beyond its null and under "
    "control. *Explained by the null*: it has the direction, but a null reaches it or the control takes "
    "it away; an absolute number that a null at the paper's own sizes gives counts here too. *Not "
    "testable*: an absolute number of another model, or one undefined in this run."
)


@command("report", "summary")
def write_summary(
    *, run: str, target: str, ledger: Reads, health: Reads, weaknesses: Reads, family: Reads,
    truth: Reads | None, figures: list[str], figure_folder: str, explanations: str | None, summary: Writes,
) -> None:  # fmt: skip
    """Write the page.

    Args:
        run: name of the run, for the title.
        target: `all` or `full`, for the title.
        ledger: the claims.
        health: the gates; a failed one is a banner at the top of the page.
        weaknesses: explains the codes and locations in the ledger and the audit.
        family: the factorial tests.
        truth: answers about the planted contrast, if the study knows it.
        figures: names of the figures, in order.
        figure_folder: their folder, relative to the page's own.
        explanations: page that every number links to, relative to this one; None for no links.
        summary: the page.

    Raises:
        ParamsError: if a figure has no caption here, or the file of weaknesses is malformed.
    """
    unknown = sorted(set(figures) - set(CAPTIONS))
    if unknown:
        raise ParamsError(f"--figures {unknown[0]}: no such figure; known: {', '.join(CAPTIONS)}.")
    claims, study = read_csv(ledger, LEDGER), read_published_study(weaknesses)
    gates = read_csv(health, HEALTH)
    answers = read_csv(truth, TRUTH) if truth else None
    lines = [
        f"# Summary of the run `{run}`, target `{target}`",
        "",
        *health_banner(gates),
        _coverage(claims),
        "",
        *health_lines(gates, explanations),
        "## Claims",
        "",
        LEGEND,
        "",
        VERDICT_LEGEND,
        "",
        *claim_table(claims, explanations),
        "",
        "Definitions, sources and remarks: `claims.csv`. Every quantity by seed: `quantities.csv`."
        + (LINKED if explanations else ""),
        "",
        *_factorial_lines(read_csv(family, FAMILY), answers, explanations),
        "## Figures",
        "",
        "Beside each figure lie its PDF and the CSV with exactly the plotted numbers.",
    ]
    for name in figures:
        caption = CAPTIONS[name]
        lines += ["", f"**{caption}**", "", f"![{caption}]({figure_folder}/{name}.svg)"]
    lines += ["", "## Weaknesses of the published study", "", sources(study), ""]
    lines += weakness_table(study)
    write_text(summary, document(lines))


def _coverage(claims: Frame) -> str:
    answered = int(claims[["published_quantity", "paper_sizes_quantity"]].notna().any(axis=1).sum())
    is_printed = claims["printed"].notna()
    of_printed, of_others = (
        _tally(claims[chosen]["verdict"]) for chosen in (is_printed, ~is_printed)
    )
    return (
        f"{len(claims)} rows on {claims['id'].nunique()} claims, {is_printed.sum()} of them with a printed "
        f"number; this run answers {answered} by the definition given. Verdicts on printed numbers: "
        f"{of_printed}. On questions that the paper did not ask: {of_others}."
    )


def _tally(verdicts: Frame) -> str:
    counts = verdicts.value_counts()
    return "; ".join(f"{counts.get(name, 0)} {name}" for name in VERDICTS)


def _factorial_lines(family: Frame, truth: Frame | None, explanations: str | None) -> list[str]:
    """The section on the factorial chapter: one row per declared hypothesis, then what was planted."""
    declared = family[family["hypothesis"] != UNDECLARED].groupby("hypothesis")
    hypotheses = (_hypothesis_line(str(name), own, explanations) for name, own in declared)
    lines = ["## Factorial tests", "", FAMILY_LEGEND, "", *FAMILY_HEADER, *hypotheses, ""]
    if truth is None:
        return lines
    own = truth[~truth["question"].isin(IN_FAMILY_TABLE)]
    answers = (_truth_line(row, explanations) for row in own.to_dict("records"))
    return [*lines, "### What was planted", "", TRUTH_LEGEND, "", *TRUTH_HEADER, *answers, ""]


def _hypothesis_line(name: str, tests: Frame, explanations: str | None) -> str:
    kept = tests[tests["excluded"] == KEPT]
    counts = (kept[c].sum() for c in ("is_significant_max", "is_significant", "is_equivalent"))
    kinds = ", ".join(dict.fromkeys(tests["kind"]))
    first, title = tests.iloc[0], hypothesis_title(name)
    numbers = [*map(str, (len(kept), *counts)), value_text(kept["p_max"].min(), "1")]
    shown = [linked(number, explanations, title) for number in numbers]
    return table_line([f"`{name}`", first["family"], kinds, first["expected"], *shown])


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
