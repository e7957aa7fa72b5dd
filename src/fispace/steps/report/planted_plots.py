"""`report planted-plots`: the numbers that the figure of the planted pairs draws.

Must not: draw, or measure.
"""

from pathlib import Path

from fispace.steps.report.long_table import Frame
from fispace.store.tables import read_table, write_csv

METRICS = ("auc_factor", "auc_functional", "found_functional")
METRICS += ("captured_interaction", "captured_all", "gain")


def write_planted_plots(*, table: Path, planted: Path) -> None:
    """Write what the figure shows: means over worlds with intervals, and every world (`world`).

    Where no pair is planted, the pairs found are the false ones.
    """
    rows: Frame = read_table(table)
    is_null = (rows["metric"] == "false_functional") & (rows["share"] == 0)
    rows.loc[is_null, "metric"] = "found_functional"
    shown = rows[rows["metric"].isin(METRICS)]
    write_csv(planted, shown[["metric", "arm", "share", "world", "mean", "low", "high", "n"]])
