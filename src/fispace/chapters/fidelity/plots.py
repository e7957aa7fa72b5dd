"""`fidelity plots`, `control-plots` and `gain-plots`: the numbers that the chapter's figures draw.

Must not: draw, or compare arms.
"""

import pandas as pd

from fispace.chapters.fidelity.curve_quantities import GAIN, nearest_ks
from fispace.chapters.fidelity.document_sums import (
    EPSILON,
    INCLUDED,
    MASKED,
    RECONSTRUCTION,
    is_full,
)
from fispace.chapters.fidelity.quantities import FIRST_ARMS, SAE_BIAS, SPLIT, of_decoders
from fispace.chapters.fidelity.tables import (
    ARM_CONTROLS_PLOT,
    CANONICAL,
    GAIN_CURVE_PLOT,
    KL_PLOT,
    MATCHED_ERRORS_PLOT,
    OVER_DOCUMENTS,
    OVER_SEEDS,
    POSITIONS_PLOT,
    PUBLISHED,
    RECONSTRUCTION_PLOT,
    SHAPLEY_PLOT,
    SHARED_METRICS,
)
from fispace.store.quantities import NO_SEED, Frame
from fispace.store.tables import read_table, write_csv
from fispace.study.step import Reads, Writes, command

SIZED_ERRORS = (
    RECONSTRUCTION, "shuffled_error", "covariance_noise", "cosine_noise", EPSILON,
)  # fmt: skip
"""Order of the conditions in the figure of matched errors: first those that keep most of the error."""
POSITION_ARMS = (SAE_BIAS, "joint")


@command("fidelity", "plots")
def write_fidelity_plots(*, fidelity: Reads, reconstruction: Writes, kl: Writes) -> None:
    """Write both tables as CSV.

    `reconstruction`: FVU of every arm, parts and seed, and the mean over seeds (seed empty).
    `kl`: KL of every arm and parts, and of random errors of the same size, with the interval over
    documents; one row per seed. Both hold the order of the rows and the control's mean.

    Raises:
        ArtifactError: if a table is missing or damaged.
    """
    summary = read_table(fidelity)
    rows: Frame = _ordered(of_decoders(summary))
    fvu = rows[(rows["metric"] == "fvu") & (rows["condition"] == RECONSTRUCTION)]
    fvu = fvu.rename(columns={"value": "fvu"})[["order", "arm", "parts", "is_full", "seed", "fvu"]]
    means: Frame = fvu.groupby(["order", "arm", "parts", "is_full"], as_index=False)["fvu"].mean()
    both = pd.concat([fvu.astype({"seed": "Int64"}), means], ignore_index=True)
    both = _with_control(both.sort_values(["order", "seed"]), means, "fvu")
    write_csv(reconstruction, both, RECONSTRUCTION_PLOT)

    found = rows[(rows["metric"] == "kl") & rows["condition"].isin((RECONSTRUCTION, EPSILON))]
    found = found.rename(columns={"value": "kl"})
    columns = ["order", "arm", "parts", "is_full", "condition", "seed", "kl", "low", "high"]
    found = found.sort_values(["order", "condition", "seed"], ascending=[True, False, True])
    levels = found[found["condition"] == RECONSTRUCTION]
    write_csv(kl, _with_control(found[columns], levels, "kl"), KL_PLOT)


def _ordered(rows: Frame) -> pd.DataFrame:
    """Rows of conditions with parts, numbered by arm; the row with all parts of an arm is first."""
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


@command("fidelity", "control-plots")
def write_control_plots(
    *, fidelity: Reads, contributions: Reads, curves: Reads, controls: Writes, shapley: Writes,
    positions: Writes,
) -> None:  # fmt: skip
    """Write three tables as CSV, one per figure.

    `controls`: KL of all parts of every arm and of errors of the same size, for each seed.
    `shapley`: shares of every part in both forms, for each seed and as mean over seeds (seed empty).
    `positions`: KL by position in the window, mean over seeds, special tokens masked and included.

    Raises:
        ArtifactError: if a table is missing or damaged.
    """
    write_csv(controls, _matched_errors(read_table(fidelity)), MATCHED_ERRORS_PLOT)
    write_csv(shapley, _shares(read_table(contributions)), SHAPLEY_PLOT)
    write_csv(positions, _curves(read_table(curves)), POSITIONS_PLOT)


def _matched_errors(summary: Frame) -> pd.DataFrame:
    rows = of_decoders(summary)
    shown = rows[
        (rows["metric"] == "kl")
        & (rows["parts"] != "")
        & is_full(rows)
        & rows["condition"].isin(SIZED_ERRORS)
    ]
    columns = ["order", "arm", "parts", "condition", "seed", "kl", "low", "high", "n_documents"]
    return _by_arm(shown.rename(columns={"value": "kl"}), ("condition", SIZED_ERRORS))[columns]


def _shares(contributions: Frame) -> pd.DataFrame:
    shown = contributions[
        (contributions["split"] == SPLIT)
        & contributions["measure"].isin(("shapley_share", "leave_one_out_share"))
        & contributions["metric"].isin(SHARED_METRICS)
    ].rename(columns={"value": "share"})
    # an arm that is only a decoder has one player, whose share is 1 by definition
    n_players = shown.groupby(["arm", "form"])["part"].transform("nunique")
    shown = _by_arm(shown[n_players > 1], ("form", (PUBLISHED, CANONICAL)))
    by = ["order", "arm", "form", "part", "metric", "measure"]
    seeds = shown[[*by, "seed", "share", "low", "high", "n_documents"]].astype({"seed": "Int64"})
    means: Frame = shown.groupby(by, as_index=False, sort=False)["share"].mean()
    both: Frame = pd.concat([seeds, means])
    return both.sort_values([*by, "seed"], ignore_index=True)


def _curves(curves: Frame) -> pd.DataFrame:
    shown = curves[
        (curves["split"] == SPLIT) & (curves["metric"] == "kl") & curves["arm"].isin(POSITION_ARMS)
    ]
    by = ["special_tokens", "arm", "condition", "position"]
    means = shown.groupby(by, as_index=False).agg(
        kl=("value", "mean"), n_seeds=("seed", "nunique"), n_documents=("n_documents", "min")
    )
    order = {MASKED: 0, INCLUDED: 1}
    return means.sort_values(by, key=lambda c: c.map(order) if c.name == by[0] else c)


def _by_arm(rows: Frame, then: tuple[str, tuple[str, ...]]) -> pd.DataFrame:
    """Rows numbered by arm in the order of FIRST_ARMS, then by the given order of a column's values."""
    column, values = then
    known = [*FIRST_ARMS, *sorted(set(rows["arm"]) - set(FIRST_ARMS))]
    keys = [(arm, value) for arm in known for value in values]
    present = set(zip(rows["arm"], rows[column], strict=True))
    order = {key: number for number, key in enumerate(key for key in keys if key in present)}
    numbers = [order[key] for key in zip(rows["arm"], rows[column], strict=True)]
    return rows.assign(order=numbers).sort_values(["order", "seed"], ignore_index=True)


@command("fidelity", "gain-plots", target="full")
def write_gain_plots(
    *, curve: Reads, controls: Reads, gain_curve: Writes, arm_controls: Writes
) -> None:
    """Write both tables as CSV; rows without a seed are the means over seeds.

    `gain_curve`: gain of every remedy over the SAE whose codes are cut, by k; `published` names the
    published values of k that a k stands for. `arm_controls`: gain of arms over each of their
    controls, in FVU and KL, in the order of params.

    Raises:
        ArtifactError: if a table is missing or damaged.
    """
    write_csv(gain_curve, _gains(read_table(curve)), GAIN_CURVE_PLOT)
    write_csv(arm_controls, _over_controls(read_table(controls)), ARM_CONTROLS_PLOT)


def _gains(curve: Frame) -> pd.DataFrame:
    shown = curve[(curve["split"] == SPLIT) & (curve["metric"] == GAIN)]
    cuts: dict[int, list[str]] = {}
    for cut, k in nearest_ks(curve["k"]).items():
        cuts.setdefault(k, []).append(str(cut))
    published = shown["k"].map({k: f"K = {', '.join(names)}" for k, names in cuts.items()})
    shown = _without_seed_of_means(shown.assign(published=published))
    columns = ["k", "published", "model", "seed", "value", "low", "high", "n_seeds", "n_tokens"]
    return shown[columns].rename(columns={"value": "gain"})


def _over_controls(controls: Frame) -> pd.DataFrame:
    shown = controls[(controls["split"] == SPLIT) & (controls["contrast"] == GAIN)]
    shown = shown[shown["interval_over"].isin((OVER_DOCUMENTS, OVER_SEEDS))]
    pairs = list(dict.fromkeys(zip(shown["arm"], shown["control"], strict=True)))
    order = [pairs.index(pair) for pair in zip(shown["arm"], shown["control"], strict=True)]
    shown = _without_seed_of_means(shown.assign(order=order))
    shown = shown.sort_values(["order", "metric", "seed"], kind="stable")
    columns = ["order", "arm", "control", "metric", "seed", "value", "low", "high", "n_seeds"]
    return shown[[*columns, "n_documents"]].rename(columns={"value": "gain"})


def _without_seed_of_means(rows: Frame) -> pd.DataFrame:
    seeds = rows["seed"].astype("Int64")
    return rows.assign(seed=seeds.mask(seeds == NO_SEED))
