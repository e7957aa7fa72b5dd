"""`report arms`: what each arm loses with all its parts, over seeds, as the page shows it.

Must not: define a quantity; each is a row of the table of quantities.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from fispace.plotting.style import ARM_LABELS
from fispace.report.tables import ARM_METRICS, ARM_NUMBERS
from fispace.stats.intervals import t_interval
from fispace.store.quantities import Frame
from fispace.store.tables import read_table, write_csv
from fispace.study.config.report import ArmsStep
from fispace.study.step import Reads, Writes, command

OF_AN_ARM = re.compile(r"fvu\.([^.]+)\.full")


@command("report", "arms")
def tabulate_arms(params: ArmsStep, *, quantities: Reads, table: Writes) -> None:
    """Write mean and t-interval over seeds of each arm's FVU, KL, excess CE, L0 and number of parameters.

    Raises:
        ArtifactError: if the table of quantities is missing or damaged.
    """
    found: Frame = read_table(quantities)
    rows = _rows(dict(iter(found.groupby("quantity"))), params.confidence)
    write_csv(table, ARM_NUMBERS.frame(rows), ARM_NUMBERS)


def _rows(quantities: dict[Any, Frame], confidence: float) -> Iterator[dict[str, Any]]:
    arms = {found[1] for name in quantities if (found := OF_AN_ARM.fullmatch(str(name)))}
    known = list(ARM_LABELS)
    places = {name: place for place, name in enumerate(known)}
    for arm in sorted(arms, key=lambda name: (places.get(name, len(known)), name)):
        for metric, name in ARM_METRICS.items():
            own = quantities.get(name.format(arm))
            if own is None:
                continue
            mean, low, high, n = t_interval(own["value"].to_numpy(np.float64), confidence)
            unit = str(own["unit"].iloc[0])
            yield {
                "arm": arm, "metric": metric, "unit": unit, "mean": mean, "low": low, "high": high,
                "n_seeds": n,
            }  # fmt: skip
