"""`geometry history`: are latents of low norm still being learned when training ends?

Two modes of the decoder norm may mean two kinds of latents, or one kind with some latents trained less.
The history of the latents during training tells the two apart. Must not: train, or define a mode.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from fispace.chapters.geometry.latent_table import log_norm_mixture
from fispace.chapters.geometry.tables import HISTORY
from fispace.chapters.geometry.weight_table import (
    MIXTURE_SPLIT,
    PERMUTED,
    PUBLISHED_SPLIT,
    TRAINED,
    GeometryRow,
    LatentValues,
)
from fispace.seeds import numpy_stream
from fispace.stats.directions import spearman
from fispace.store.metric_registry import with_units
from fispace.store.quantities import Frame
from fispace.store.tables import read_recipe, read_table, write_csv, write_table
from fispace.study.config.geometry import GeometryHistoryStep
from fispace.study.step import Reads, Writes, command


@command("geometry", "history")
def summarise_history(
    params: GeometryHistoryStep, *, histories: list[Reads], summary: Writes, table: Writes
) -> None:
    """Write how the norms of all arms and seeds moved in the last part of training, by norm group.

    `histories` are the latents' histories that `train arm` wrote (`*.lifecycle.parquet`), of arms that train
    their own SAE. The last part runs from the last snapshot but one to the end; with one snapshot, it is the
    whole training.
    Columns: arm, seed, state, metric, unit, value, n. The metrics are

    late_norm_change_low, _high   relative change of |w|^2 in the last part, geometric mean
    late_norm_change_gap          low - high
    late_silent_share_low, _high  share of the latents that did not fire in the last part
    norm_over_initial_low, _high  |w|^2 at the end over |w|^2 before the first step, geometric mean
    low_in_reach_share            share of the low latents whose norm would be high after training on
                                  as many tokens again, at the rate of the last part
    late_change_firing_spearman   rank correlation of the relative change with firings in that part

    Latents are grouped by their norm at the beginning of the last part, so that the measured change
    does not decide the group: at the published threshold, and (suffix `_mixture`) between the two
    modes of the norm. State `permuted` is the null: changes and firings are permuted over latents,
    so that they are independent of the norm.

    Raises:
        ArtifactError: if a history is missing or damaged.
    """
    frames: list[Frame] = []
    for path in histories:
        recipe = read_recipe(path)
        arm, seed = str(recipe["arm"]), int(recipe["seed"])
        stream = numpy_stream(params.root_seed, "geometry", arm, seed, "history")
        rows = history_rows(last_part(read_table(path)), params.group_threshold, stream)
        frame = with_units(pd.DataFrame(rows, columns=pd.Index(GeometryRow._fields)))
        frames.append(frame.assign(arm=arm, seed=seed)[list(HISTORY.columns)])
    everything = pd.concat(frames, ignore_index=True)
    everything = everything.sort_values(["arm", "metric", "state", "seed"], ignore_index=True)
    write_table(summary, everything, {"step": "geometry history"})
    write_csv(table, everything, HISTORY)


class LastPart(NamedTuple):
    """The last part of a training; arrays have one entry per latent."""

    before: LatentValues
    """|w|^2 at its beginning."""
    change: LatentValues
    """|w|^2 at the end / `before` - 1."""
    growth: LatentValues
    """|w|^2 at the end / |w|^2 before the first step of the training."""
    firings: LatentValues
    """Number of tokens of this part on which the latent was active."""
    share: float
    """Tokens of this part / tokens of the whole training."""


def last_part(history: Frame) -> LastPart:
    """The training from the last snapshot but one to the last; all of it if there is one snapshot."""
    steps = sorted(history["step"].unique())
    end = history[history["step"] == steps[-1]].sort_values("latent")
    initial, norms, firings = (
        end[name].to_numpy(np.float64)
        for name in ("squared_norm_initial", "squared_norm", "firings")
    )
    before, share = initial, 1.0
    if len(steps) > 1:
        start = history[history["step"] == steps[-2]].sort_values("latent")
        before = start["squared_norm"].to_numpy(np.float64)
        firings = firings - start["firings"].to_numpy(np.float64)
        share -= int(start["n_tokens"].iloc[0]) / int(end["n_tokens"].iloc[0])
    return LastPart(before, norms / before - 1, norms / initial, firings, share)


def history_rows(
    part: LastPart, group_threshold: float, stream: np.random.Generator
) -> Iterator[GeometryRow]:
    """Rows of one training, and of its null."""
    thresholds = {
        PUBLISHED_SPLIT: group_threshold,
        MIXTURE_SPLIT: float(np.exp(log_norm_mixture(part.before, stream).threshold)),
    }
    order = stream.permutation(len(part.before))
    permuted = part._replace(
        change=part.change[order], growth=part.growth[order], firings=part.firings[order]
    )
    for state, of in ((TRAINED, part), (PERMUTED, permuted)):
        for suffix, threshold in thresholds.items():
            for row in _group_rows(state, of, threshold):
                yield row._replace(metric=f"{row.metric}{suffix}")
        rho = spearman(part.change, of.firings)
        yield GeometryRow(state, "late_change_firing_spearman", rho, len(part.change))


def _group_rows(state: str, part: LastPart, threshold: float) -> Iterator[GeometryRow]:
    is_low = part.before < threshold
    changes: list[float] = []
    for group, chosen in (("low", is_low), ("high", ~is_low)):
        n = int(chosen.sum())
        changes.append(_geometric_mean(1 + part.change[chosen]) - 1)
        yield GeometryRow(state, f"late_norm_change_{group}", changes[-1], n)
        silent = _mean(part.firings[chosen] == 0)
        yield GeometryRow(state, f"late_silent_share_{group}", silent, n)
        growth = _geometric_mean(part.growth[chosen])
        yield GeometryRow(state, f"norm_over_initial_{group}", growth, n)
    n_low = int(is_low.sum())
    gap = changes[0] - changes[1]
    yield GeometryRow(state, "late_norm_change_gap", gap, min(n_low, len(is_low) - n_low))
    later = part.before * (1 + part.change + part.change / part.share)
    yield GeometryRow(state, "low_in_reach_share", _mean(later[is_low] >= threshold), n_low)


def _geometric_mean(values: Float[np.ndarray, " some"]) -> float:
    return float(np.exp(np.log(values).mean())) if len(values) else float("nan")


def _mean(chosen: Bool[np.ndarray, " some"]) -> float:
    return float(chosen.mean()) if len(chosen) else float("nan")
