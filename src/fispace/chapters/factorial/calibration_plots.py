"""`report calibration-plots`: the numbers that the calibration figure draws.

Must not: draw, or simulate.
"""

import pandas as pd

from fispace.store.quantities import Frame
from fispace.store.tables import read_table, write_csv
from fispace.study.step import Reads, Writes, command


@command("factorial", "calibration-plots", target="full")
def write_calibration_plots(*, table: Reads, calibration: Writes) -> None:
    """Write false-positive rates with the band they must lie in, and the power curve, as one CSV."""
    rows: Frame = read_table(table)
    rates = rows[rows["table"] == "calibration"]
    power = rows[rows["table"] == "power"]
    columns = ["table", "null", "test", "procedure", "what", "size", "criterion", "rate", "low"]
    columns += ["high", "n", "band_low", "band_high", "in_band"]
    shown: Frame = pd.concat([rates, power], ignore_index=True)
    write_csv(calibration, shown[columns])
