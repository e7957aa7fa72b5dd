"""`report planted-plots`: the numbers that the figure of the planted pairs draws.

Must not: draw, or measure.
"""

from fispace.chapters.testbed.tables import PLANTED_PAIRS_PLOT
from fispace.store.quantities import Frame
from fispace.store.tables import read_table, write_csv
from fispace.study.step import Reads, Writes, command

METRICS = ("auc_factor", "auc_functional", "found_functional")
METRICS += ("captured_interaction", "captured_all", "gain")
FALSE = "false_functional"
"""Shown only where no pair is planted: there every pair found is a false one."""


@command("testbed", "planted-plots", target="full")
def write_planted_plots(*, table: Reads, planted: Writes) -> None:
    """Write what the figure shows: means over worlds with intervals, and every world (`world`)."""
    rows: Frame = read_table(table)
    is_null = (rows["metric"] == FALSE) & (rows["share"] == 0)
    shown = rows[rows["metric"].isin(METRICS) | is_null]
    write_csv(planted, shown[list(PLANTED_PAIRS_PLOT.columns)], PLANTED_PAIRS_PLOT)
