"""`report calibration-plots`: the numbers that the calibration figure draws.

Must not: draw, or simulate.
"""

import pandas as pd

from fispace.chapters.factorial.tables import CALIBRATION_PLOT
from fispace.store.quantities import Frame
from fispace.store.tables import read_table, write_csv
from fispace.study.step import Reads, Writes, command


@command("factorial", "calibration-plots", target="full")
def write_calibration_plots(*, table: Reads, calibration: Writes) -> None:
    """Write false-positive rates with the band they must lie in, and the power curve, as one CSV."""
    rows: Frame = read_table(table)
    rates = rows[rows["table"] == "calibration"]
    power = rows[rows["table"] == "power"]
    shown: Frame = pd.concat([rates, power], ignore_index=True)
    write_csv(calibration, shown[list(CALIBRATION_PLOT.columns)], CALIBRATION_PLOT)
