"""`geometry plots`: the numbers that the norm, ratio and spectrum figures draw.

Must not: draw.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats

from fispace.chapters.geometry.tables import (
    NORM_RATIOS_PLOT,
    NORMS_PLOT,
    RATIO_ARM,
    RATIO_SCATTER_PLOT,
    SPECTRUM_PLOT,
)
from fispace.chapters.geometry.weight_table import (
    DECODER_TRAINED,
    INITIAL,
    MARCHENKO_PASTUR,
    TRAINED,
)
from fispace.errors import ParamsError
from fispace.seeds import numpy_stream
from fispace.stats.paper_formulas import RATIOS
from fispace.store.quantities import Frame
from fispace.store.tables import read_table, write_csv
from fispace.study.config.report import GeometryPlotsStep
from fispace.study.step import Reads, Writes, command

NORM_ARMS = ("sae", "joint")
"""F6 shows the SAE trained alone, F7 the joint model."""
RATIO_STATES = (TRAINED, DECODER_TRAINED, INITIAL)
NORM_STATES = (TRAINED, INITIAL)


@command("geometry", "plots", sections=("report",))
def write_geometry_plots(
    params: GeometryPlotsStep, *, latents: list[Reads], spectra: list[Reads], norms: Writes,
    norm_ratios: Writes, ratio_scatter: Writes, spectrum: Writes,
) -> None:  # fmt: skip
    """Write four tables as CSV, one per figure.

    `norms` (F6, F7): share of latents by bin of the squared decoder norm, all seeds pooled, with the
    share that never fired on test tokens and the mean firing rate.
    `norm_ratios` (F8): outline and quartiles of each ratio by norm group, all seeds pooled.
    `ratio_scatter` (F9): squared norm and ratio of latents of the first seed, thinned at random.
    `spectrum` (F5): variance share of the first components, mean over seeds.

    Raises:
        ParamsError: if the study does not have the arms that these figures show.
    """
    of_latents = pd.concat([read_table(path) for path in latents], ignore_index=True)
    _require_arms(set(of_latents["arm"]))
    joint = of_latents[of_latents["arm"] == RATIO_ARM]
    write_csv(norms, pd.concat(_norm_histograms(of_latents, params), ignore_index=True), NORMS_PLOT)
    write_csv(norm_ratios, NORM_RATIOS_PLOT.frame(_violins(joint, params)), NORM_RATIOS_PLOT)
    write_csv(
        ratio_scatter, pd.concat(_scatter(joint, params), ignore_index=True), RATIO_SCATTER_PLOT
    )
    of_spectra = pd.concat([read_table(path) for path in spectra])
    write_csv(spectrum, _spectrum(of_spectra, params), SPECTRUM_PLOT)


def _require_arms(arms: set[str]) -> None:
    for arm in NORM_ARMS:
        if arm not in arms:
            raise ParamsError(
                f"train.arms has no arm {arm!r}, which the norm, ratio and spectrum figures show; "
                f"it has {', '.join(sorted(arms))}."
            )


def _norm_histograms(latents: Frame, params: GeometryPlotsStep) -> Iterator[pd.DataFrame]:
    """Shares of latents and their firing, on a common grid of bins of equal width in the log norm."""
    shown = latents[latents["arm"].isin(NORM_ARMS)]
    values = shown[[f"squared_norm_decoder_{state}" for state in NORM_STATES]].to_numpy()
    positive = values[values > 0]
    edges = np.geomspace(positive.min() * 0.98, positive.max() * 1.02, params.histogram_bins + 1)
    for arm in NORM_ARMS:
        of_arm = shown[shown["arm"] == arm]
        rate = (of_arm["firings"] / of_arm["n_tokens"]).to_numpy()
        for state in NORM_STATES:
            squared = of_arm[f"squared_norm_decoder_{state}"].to_numpy()
            histogram = _norm_histogram(squared.clip(min=edges[0]), rate, edges)
            if state != TRAINED:  # only the trained model's firing was measured
                histogram[["never_fired", "firing_rate"]] = np.nan
            yield histogram.assign(
                arm=arm, state=state, mean=squared.mean(), n_seeds=of_arm["seed"].nunique()
            )


def _norm_histogram(squared: np.ndarray, rate: np.ndarray, edges: np.ndarray) -> pd.DataFrame:
    """One row per bin: share of latents, share of latents that never fired, mean firing rate."""
    place = np.clip(np.digitize(squared, edges) - 1, 0, len(edges) - 2)
    n_bins, n = len(edges) - 1, len(squared)
    counts = np.bincount(place, minlength=n_bins)
    silent = np.bincount(place[rate == 0], minlength=n_bins)
    means = pd.Series(rate).groupby(place).mean().reindex(range(n_bins))
    return pd.DataFrame(
        {
            "bin_low": edges[:-1],
            "bin_high": edges[1:],
            "bin_middle": np.sqrt(edges[:-1] * edges[1:]),
            "share": counts / n,
            "never_fired": silent / n,
            "firing_rate": means.to_numpy(),
        }
    )


def _violins(joint: Frame, params: GeometryPlotsStep) -> Iterator[dict[str, object]]:
    for state in (TRAINED, DECODER_TRAINED):
        is_low = joint["is_low"].to_numpy(dtype=bool)
        for ratio in RATIOS:
            values = joint[f"ratio_{ratio}_{state}"].to_numpy()
            for group, chosen in (("low", values[is_low]), ("high", values[~is_low])):
                for position, density in _outline(chosen, params.density_points):
                    quartiles = np.quantile(chosen, [0.25, 0.5, 0.75])
                    yield {
                        "state": state, "ratio": ratio, "group": group, "n": len(chosen),
                        "position": position, "density": density,
                        "quartile_1": quartiles[0], "median": quartiles[1], "quartile_3": quartiles[2],
                    }  # fmt: skip


def _outline(values: np.ndarray, n_points: int) -> Iterator[tuple[float, float]]:
    """Gaussian kernel density (Scott's rule) from the smallest to the largest value."""
    if len(values) < 2 or np.ptp(values) == 0:
        return
    grid = np.linspace(values.min(), values.max(), n_points)
    density = stats.gaussian_kde(values)(grid)
    yield from zip(grid.tolist(), density.tolist(), strict=True)


def _scatter(joint: Frame, params: GeometryPlotsStep) -> Iterator[pd.DataFrame]:
    first = joint[joint["seed"] == joint["seed"].min()]
    stream = numpy_stream(params.root_seed, "report", "scatter")
    n_shown = min(params.scatter_latents, len(first))
    chosen = np.sort(stream.choice(len(first), n_shown, replace=False))
    shown = first.iloc[chosen]
    for state in RATIO_STATES:
        norm_state = INITIAL if state == INITIAL else TRAINED
        for ratio in RATIOS:
            yield pd.DataFrame(
                {
                    "state": state,
                    "ratio": ratio,
                    "latent": shown["latent"].to_numpy(),
                    "squared_norm": shown[f"squared_norm_decoder_{norm_state}"].to_numpy(),
                    "value": shown[f"ratio_{ratio}_{state}"].to_numpy(),
                }
            )


def _spectrum(spectra: Frame, params: GeometryPlotsStep) -> pd.DataFrame:
    nulls = (INITIAL, MARCHENKO_PASTUR)
    shown = spectra[
        spectra["arm"].isin(NORM_ARMS)
        & spectra["state"].isin([TRAINED, *nulls])
        & (spectra["component"] <= params.spectrum_components)
    ]
    # a null is the same for every arm, so it is one curve
    named = shown.assign(series=shown["arm"].where(shown["state"] == TRAINED, shown["state"]))
    by = ["series", "centred", "component"]
    means = named.groupby(by, as_index=False)["share"].mean()
    order = {name: number for number, name in enumerate((*NORM_ARMS, *nulls))}
    return means.sort_values(
        ["centred", "series", "component"], key=lambda c: c.map(order) if c.name == "series" else c
    )
