"""`report fidelity-plots`: the numbers that the reconstruction and the KL figure draw.

Must not: draw.
"""

import pandas as pd

from fispace.chapters.fidelity.quantities import FIRST_ARMS, SAE_BIAS, of_decoders
from fispace.chapters.fidelity.tables import KL_PLOT, RECONSTRUCTION_PLOT
from fispace.store.quantities import Frame
from fispace.store.tables import read_table, write_csv
from fispace.study.step import Reads, Writes, command

CONDITIONS = ("reconstruction", "epsilon_random")


@command("fidelity", "plots")
def write_fidelity_plots(*, fidelity: Reads, reconstruction: Writes, kl: Writes) -> None:
    """Write both tables as CSV.

    `reconstruction`: FVU of every arm, parts and seed, and the mean over seeds (seed empty).
    `kl`: KL of every arm and parts, and of random errors of the same size, with the interval over
    documents; one row a seed. Both carry the order of the rows and the control's mean.
    """
    summary = read_table(fidelity)
    rows: Frame = _ordered(of_decoders(summary))
    fvu = rows[(rows["metric"] == "fvu") & (rows["condition"] == CONDITIONS[0])]
    fvu = fvu.rename(columns={"value": "fvu"})[["order", "arm", "parts", "is_full", "seed", "fvu"]]
    means: Frame = fvu.groupby(["order", "arm", "parts", "is_full"], as_index=False)["fvu"].mean()
    both = pd.concat([fvu.astype({"seed": "Int64"}), means], ignore_index=True)
    both = _with_control(both.sort_values(["order", "seed"]), means, "fvu")
    write_csv(reconstruction, both, RECONSTRUCTION_PLOT)

    found = rows[(rows["metric"] == "kl") & rows["condition"].isin(CONDITIONS)]
    found = found.rename(columns={"value": "kl"})
    columns = ["order", "arm", "parts", "is_full", "condition", "seed", "kl", "low", "high"]
    found = found.sort_values(["order", "condition", "seed"], ascending=[True, False, True])
    levels = found[found["condition"] == CONDITIONS[0]]
    write_csv(kl, _with_control(found[columns], levels, "kl"), KL_PLOT)


def _ordered(rows: Frame) -> pd.DataFrame:
    """Rows of conditions with parts, numbered arm by arm, all parts of an arm first."""
    rows = rows[rows["parts"] != ""].copy()
    rows["n_parts"] = rows["parts"].str.count("[+]") + 1
    rows["is_full"] = rows["n_parts"] == rows.groupby("arm")["n_parts"].transform("max")
    known = {arm: number for number, arm in enumerate(FIRST_ARMS)}
    rows["arm_order"] = rows["arm"].map(lambda arm: (known.get(arm, len(known)), arm))
    keys = rows[["arm_order", "n_parts", "arm", "parts"]].drop_duplicates()
    keys = keys.sort_values(["arm_order", "n_parts", "parts"], ascending=[True, False, True])
    keys["order"] = range(len(keys))
    return rows.merge(keys[["arm", "parts", "order"]], on=["arm", "parts"])


def _with_control(frame: Frame, levels: Frame, metric: str) -> pd.DataFrame:
    of_control = levels[(levels["arm"] == SAE_BIAS) & levels["is_full"]][metric]
    return frame.assign(**{f"control_{metric}": of_control.mean()})
