"""`report gain-plots`: the numbers that the figures of the gain curve and of the controls draw.

Must not: draw, or compare arms.
"""

import pandas as pd

from fispace.chapters.fidelity.control_table import DOCUMENTS, SEEDS
from fispace.chapters.fidelity.curve_quantities import GAIN, published_ks
from fispace.chapters.fidelity.document_sums import NO_SEED
from fispace.chapters.fidelity.quantities import SPLIT
from fispace.chapters.fidelity.tables import ARM_CONTROLS_PLOT, GAIN_CURVE_PLOT
from fispace.store.quantities import Frame
from fispace.store.tables import read_table, write_csv
from fispace.study.step import Reads, Writes, command


@command("fidelity", "gain-plots", target="full")
def write_gain_plots(
    *, curve: Reads, controls: Reads, gain_curve: Writes, arm_controls: Writes
) -> None:
    """Write both tables as CSV; of either, rows without a seed are the means over seeds.

    `gain_curve`: gain of every remedy over the SAE whose codes are cut, by k; `published` names the
    published cuts that a k stands for. `arm_controls`: what arms gain over each of their controls, in
    FVU and KL, in the order of the study.

    Raises:
        ArtifactError: if a table is missing or damaged.
    """
    write_csv(gain_curve, _gains(read_table(curve)), GAIN_CURVE_PLOT)
    write_csv(arm_controls, _over_controls(read_table(controls)), ARM_CONTROLS_PLOT)


def _gains(curve: Frame) -> pd.DataFrame:
    shown = curve[(curve["split"] == SPLIT) & (curve["metric"] == GAIN)]
    cuts: dict[int, list[str]] = {}
    for cut, k in published_ks(curve["k"]).items():
        cuts.setdefault(k, []).append(str(cut))
    published = shown["k"].map({k: f"K = {', '.join(names)}" for k, names in cuts.items()})
    shown = _without_seed_of_means(shown.assign(published=published))
    columns = ["k", "published", "model", "seed", "value", "low", "high", "n_seeds", "n_tokens"]
    return shown[columns].rename(columns={"value": "gain"})


def _over_controls(controls: Frame) -> pd.DataFrame:
    shown = controls[(controls["split"] == SPLIT) & (controls["contrast"] == GAIN)]
    shown = shown[shown["interval_over"].isin((DOCUMENTS, SEEDS))]
    pairs = list(dict.fromkeys(zip(shown["arm"], shown["control"], strict=True)))
    order = [pairs.index(pair) for pair in zip(shown["arm"], shown["control"], strict=True)]
    shown = _without_seed_of_means(shown.assign(order=order))
    shown = shown.sort_values(["order", "metric", "seed"], kind="stable")
    columns = ["order", "arm", "control", "metric", "seed", "value", "low", "high", "n_seeds"]
    return shown[[*columns, "n_documents"]].rename(columns={"value": "gain"})


def _without_seed_of_means(rows: Frame) -> pd.DataFrame:
    seeds = rows["seed"].astype("Int64")
    return rows.assign(seed=seeds.mask(seeds == NO_SEED))
