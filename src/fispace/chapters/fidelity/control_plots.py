"""`report control-plots`: the numbers that the figures of matched errors, shares and positions draw.

Must not: draw.
"""

import pandas as pd

from fispace.chapters.fidelity.document_sums import INCLUDED, MASKED, RECONSTRUCTION, is_full
from fispace.chapters.fidelity.quantities import FIRST_ARMS, SAE_BIAS, SPLIT, of_decoders
from fispace.chapters.fidelity.shapley_table import CANONICAL, PUBLISHED
from fispace.chapters.fidelity.tables import MATCHED_ERRORS_PLOT, POSITIONS_PLOT, SHAPLEY_PLOT
from fispace.store.quantities import Frame
from fispace.store.tables import read_table, write_csv
from fispace.study.step import Reads, Writes, command

FAMILY = (
    RECONSTRUCTION, "shuffled_error", "covariance_noise", "cosine_noise", "epsilon_random",
)  # fmt: skip
"""Order of the conditions in the figure: from the most that is kept of the error to the least."""

SHOWN_METRICS = ("fvu", "kl", "excess_ce")
POSITION_ARMS = (SAE_BIAS, "joint")


@command("fidelity", "control-plots")
def write_control_plots(
    *, fidelity: Reads, contributions: Reads, curves: Reads, controls: Writes, shapley: Writes,
    positions: Writes,
) -> None:  # fmt: skip
    """Write three tables as CSV, one a figure.

    `controls`: KL of all parts of every arm and of errors of the same size, each seed.
    `shapley`: shares of every part in both forms, each seed and the mean over seeds (seed empty).
    `positions`: KL along the window, mean over seeds, special tokens masked and included.

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
        & rows["condition"].isin(FAMILY)
    ]
    columns = ["order", "arm", "parts", "condition", "seed", "kl", "low", "high", "n_documents"]
    return _by_arm(shown.rename(columns={"value": "kl"}), ("condition", FAMILY))[columns]


def _shares(contributions: Frame) -> pd.DataFrame:
    shown = contributions[
        (contributions["split"] == SPLIT)
        & contributions["measure"].isin(("shapley_share", "leave_one_out_share"))
        & contributions["metric"].isin(SHOWN_METRICS)
    ].rename(columns={"value": "share"})
    # an arm of one decoder has one player: its share is 1 by definition
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
    """Rows numbered arm by arm in the order of the house, then by the given column's order."""
    column, values = then
    known = [*FIRST_ARMS, *sorted(set(rows["arm"]) - set(FIRST_ARMS))]
    keys = [(arm, value) for arm in known for value in values]
    present = set(zip(rows["arm"], rows[column], strict=True))
    order = {key: number for number, key in enumerate(key for key in keys if key in present)}
    numbers = [order[key] for key in zip(rows["arm"], rows[column], strict=True)]
    return rows.assign(order=numbers).sort_values(["order", "seed"], ignore_index=True)
