"""`fidelity gain-curve`: gain of every remedy over the SAE whose codes are cut, by k.

Must not: measure; it reads the FVUs that `fidelity reduced-k` wrote.
"""

import pandas as pd

from fispace.chapters.fidelity.tables import GAIN_CURVE
from fispace.stats.gains import gain
from fispace.stats.intervals import t_interval
from fispace.store.metric_registry import unit_of
from fispace.store.quantities import NO_SEED, Frame
from fispace.store.tables import read_table, write_csv, write_table
from fispace.study.config.fidelity import FidelityGainCurveStep
from fispace.study.step import Reads, Writes, command

BASELINE_MODEL = "sae_cut"
GAIN_KEY = ["split", "k", "model"]


@command("fidelity", "gain-curve", target="full")
def tabulate_gain_curve(
    params: FidelityGainCurveStep, *, cut: list[Reads], curve: Writes, table: Writes
) -> None:
    """Write FVU and gain by k, model and seed, and their means over seeds, as Parquet and as CSV.

    `gain` is 1 - FVU / FVU of `sae_cut` with the same seed and k. Above zero, the model loses less than
    the SAE whose codes were cut. Rows with seed -1 hold the mean over seeds and Student's t interval.

    Raises:
        ArtifactError: if a table is missing or damaged.
    """
    result = gain_table(pd.concat([read_table(path) for path in cut]), params.confidence)
    write_table(curve, result, {"step": "fidelity gain-curve", "params": params.plain()})
    write_csv(table, result, GAIN_CURVE)


def gain_table(fvus: Frame, confidence: float) -> pd.DataFrame:
    """FVU and gain as a long table (split k model metric unit seed value low high n_seeds n_tokens)."""
    base = fvus[fvus["model"] == BASELINE_MODEL].set_index(["split", "k", "seed"])["value"]
    cut = fvus.join(base.rename("cut"), on=["split", "k", "seed"])
    gained = gain(cut["cut"].to_numpy(), cut["value"].to_numpy())
    gains = fvus.assign(metric="gain", unit=unit_of("gain"), value=gained)
    each = pd.concat([fvus, gains[gains["model"] != BASELINE_MODEL]], ignore_index=True).assign(
        n_seeds=1
    )
    means = []
    for key, group in each.groupby([*GAIN_KEY, "metric", "unit", "n_tokens"]):
        over = t_interval(group["value"].to_numpy(), confidence)
        named = dict(zip([*GAIN_KEY, "metric", "unit", "n_tokens"], key, strict=True))
        ends = {"value": over.mean, "low": over.low, "high": over.high, "n_seeds": over.n}
        means.append(named | ends | {"seed": NO_SEED})
    every = pd.concat([each, pd.DataFrame(means)], ignore_index=True)
    every = every.sort_values([*GAIN_KEY, "metric", "seed"], kind="stable").reset_index(drop=True)
    return every[
        [*GAIN_KEY, "metric", "unit", "seed", "value", "low", "high", "n_seeds", "n_tokens"]
    ]
