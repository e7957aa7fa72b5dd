"""Tables of the documentation that explain codes: weaknesses, the author's scripts, metrics and units.

Must not: hold an explanation; each stands once, in workflow/weaknesses.yaml or in the registry of metrics.
"""

from pathlib import Path

from fispace.report.blocks import Block
from fispace.report.markdown import table_line
from fispace.report.weaknesses import PublishedStudy, script_table, weakness_table
from fispace.store.metric_registry import METRICS, SLOTS, UNITS, Better

COMMAND = "make rejudge"
WEAKNESSES, SCRIPTS = Block("weaknesses", COMMAND), Block("scripts", COMMAND)
OF_UNITS, OF_METRICS = Block("units", COMMAND), Block("metrics", COMMAND)
DEPARTURES, METRICS_PAGE = Path("docs/departures.md"), Path("docs/metrics.md")
DIRECTIONS = {Better.LOWER: "lower", Better.HIGHER: "higher", Better.NEITHER: "–"}


def rewrite_keys(root: Path, study: PublishedStudy) -> None:
    """Replace the generated tables of the pages on departures and on metrics.

    Raises:
        ArtifactError: if a page is missing or lacks a marker.
    """
    WEAKNESSES.write(root / DEPARTURES, "\n".join(weakness_table(study)))
    SCRIPTS.write(root / DEPARTURES, "\n".join(script_table(study)))
    OF_UNITS.write(root / METRICS_PAGE, "\n".join(unit_table()))
    OF_METRICS.write(root / METRICS_PAGE, "\n".join(metric_table()))


def unit_table() -> list[str]:
    """Lines of a Markdown table of the units."""
    rows = [table_line((f"`{unit}`", meaning)) for unit, meaning in UNITS.items()]
    return [table_line(("unit", "meaning")), table_line(["---"] * 2), *rows]


def metric_table() -> list[str]:
    """Lines of a Markdown table of the metrics, and of what their slots may hold."""
    header = [table_line(("metric", "unit", "better", "definition")), table_line(["---"] * 4)]
    rows = [
        table_line((f"`{of.name}`", f"`{of.unit}`", DIRECTIONS[of.better], of.definition))
        for of in METRICS
    ]
    slots = [f"- `{{{name}}}`: `{pattern}`" for name, pattern in SLOTS.items()]
    return [*header, *rows, "", "Slots, as regular expressions:", "", *slots]
