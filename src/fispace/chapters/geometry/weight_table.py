"""The geometry of one arm as long-table rows, from its weight matrices in several states.

A state is a version of the weights: trained, initial, or a null made of the two. Must not: read a
file, run a model, or define a measure.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from fispace.stats import directions as geometry
from fispace.stats import published, random_matrix
from fispace.stats.top_dimensions import top_overlap
from fispace.study.config.geometry import GeometryArmStep

TRAINED, INITIAL, RANDOM = "trained", "initial", "random"
MARCHENKO_PASTUR = "marchenko_pastur"
"""What a Gaussian matrix of the same shape has on average, by its exact law."""
DECODER_TRAINED, PERMUTED = "decoder_trained", "permuted"
"""Trained decoder norms with initial NFM norms; trained norms, those of the NFM dealt out at random."""

Weights = Mapping[str, Float[np.ndarray, "n_latents width"]]
"""Rows per latent: `decoder`, and `linear` and `factors` where the arm has them."""
Spectra = Mapping[tuple[str, bool], Float[np.ndarray, " components"]]
"""Variance shares of the decoder by state and by whether its mean row was taken off."""
Ratios = Mapping[str, tuple[Float[np.ndarray, " n_latents"], published.NormRatios]]
"""|W_dec|^2 and the published ratios by state."""
PUBLISHED_SPLIT, MIXTURE_SPLIT = "", "_mixture"
"""Suffix of metrics of groups parted by the paper's squared norm, or by that between two modes."""


class Row(NamedTuple):
    """One number of the long table, before arm and seed are added."""

    state: str
    metric: str
    """A name of `fispace.store.metric_registry`, which has its unit."""
    value: float
    n: int


def norm_rows(by_state: Mapping[str, Weights]) -> Iterator[Row]:
    """Rows of the squared norms of each matrix: mean and 5, 50, 95 % quantiles."""
    for state, weights in by_state.items():
        for name, rows in weights.items():
            squared = geometry.squared_norms(rows)
            yield Row(state, f"squared_norm_{name}_mean", float(squared.mean()), len(squared))
            spread = geometry.quantiles(squared, 0.05)
            for which, value in spread._asdict().items():
                yield Row(state, f"squared_norm_{name}_{which}", value, len(squared))


def gram_rows(by_state: Mapping[str, Weights], pairs: Int[np.ndarray, "pairs 2"]) -> Iterator[Row]:
    """Rows of the decoder's off-diagonal Gram entries and cosines over the given pairs."""
    for state, weights in by_state.items():
        found = geometry.pair_geometry(weights["decoder"], pairs)
        yield Row(state, "gram_mean_abs_dot", found.mean_abs_dot, found.n_pairs)
        yield Row(state, "mean_abs_cosine", found.mean_abs_cosine, found.n_pairs)
    width = by_state[TRAINED]["decoder"].shape[1]
    yield Row(RANDOM, "mean_abs_cosine", random_matrix.mean_abs_cosine(width), len(pairs))


def top_dimension_rows(
    by_state: Mapping[str, Weights], pairs: Int[np.ndarray, "pairs 2"],
    params: GeometryArmStep, stream: np.random.Generator,
) -> Iterator[Row]:  # fmt: skip
    """Rows of the overlap of the decoder rows' largest coordinates, with a Gaussian matrix's."""
    matrices = {state: weights["decoder"] for state, weights in by_state.items()}
    matrices[RANDOM] = stream.standard_normal(matrices[TRAINED].shape)
    for state, matrix in matrices.items():
        found = top_overlap(matrix, pairs, params.n_top(matrix.shape[1]))
        for name, value in found._asdict().items():
            yield Row(state, f"top_{name}", value, len(pairs))


def spectra(by_state: Mapping[str, Weights], stream: np.random.Generator) -> Spectra:
    """Spectra of the decoder in each state, of a Gaussian matrix of its shape, and that one's law."""
    matrices = {state: weights["decoder"] for state, weights in by_state.items()}
    matrices[RANDOM] = stream.standard_normal(matrices[TRAINED].shape)
    law = random_matrix.marchenko_pastur_spectrum(*matrices[TRAINED].shape)
    found = {
        (state, centred): geometry.variance_spectrum(matrix, centred=centred)
        for state, matrix in matrices.items()
        for centred in (True, False)
    }
    return found | {(MARCHENKO_PASTUR, centred): law for centred in (True, False)}


def spectrum_rows(of: Spectra, n_latents: int, params: GeometryArmStep) -> Iterator[Row]:
    """Rows of the component counts: centred and of all, and as published."""
    for (state, centred), shares in of.items():
        n_first, d_model = params.n_first(len(shares)), len(shares)
        if centred:
            count = geometry.n_components_for(shares, params.spectrum_target)
            yield Row(state, "pca_components", count, d_model)
            ratio = geometry.participation_ratio(shares)
            yield Row(state, "pca_participation_ratio", ratio, d_model)
            above = random_matrix.n_above_edge(shares, n_latents, d_model)
            yield Row(state, "pca_above_edge", above, d_model)
        else:
            count = published.n_components_of_first(shares, n_first, params.spectrum_target)
            yield Row(state, "pca_published", count, n_first)
            yield Row(state, "pca_published_share", count / n_first, n_first)


def ratios_by_state(by_state: Mapping[str, Weights], stream: np.random.Generator) -> Ratios:
    """|W_dec|^2 and the published ratios in each state; empty for an arm without both NFM parts.

    Two states are nulls: `decoder_trained` has trained decoder norms and initial NFM norms,
    `permuted` all trained norms with those of the NFM dealt out to other latents at random.
    """
    if set(by_state[TRAINED]) != {"decoder", "linear", "factors"}:
        return {}
    norms = {
        state: {name: np.sqrt(geometry.squared_norms(rows)) for name, rows in weights.items()}
        for state, weights in by_state.items()
    }
    trained = norms[TRAINED]
    norms[DECODER_TRAINED] = norms[INITIAL] | {"decoder": trained["decoder"]}
    norms[PERMUTED] = {name: stream.permutation(of) for name, of in trained.items()}
    return {
        state: (
            of["decoder"] ** 2,
            published.norm_shares(of["decoder"], of["linear"], of["factors"]),
        )
        for state, of in norms.items()
    }


def ratio_rows(ratios: Ratios, thresholds: Mapping[str, float]) -> Iterator[Row]:
    """Rows of the published ratios: means, correlations, and group means and gap by each threshold.

    `thresholds` holds the squared norm that parts the groups, by the suffix of the metric
    (PUBLISHED_SPLIT, MIXTURE_SPLIT).
    """
    for state, (squared, of) in ratios.items():
        correlations = published.ratio_correlations(of, squared)
        for name in published.RATIOS:
            ratio = getattr(of, name)
            yield Row(state, f"ratio_{name}_mean", float(ratio.mean()), len(squared))
            yield Row(state, f"ratio_{name}_spearman", correlations[name], len(squared))
            for suffix, threshold in thresholds.items():
                n_low = int((squared < threshold).sum())
                n_high = len(squared) - n_low
                low, high = published.group_means(ratio, squared, threshold)
                yield Row(state, f"ratio_{name}_low{suffix}", low, n_low)
                yield Row(state, f"ratio_{name}_high{suffix}", high, n_high)
                gap = low - high
                yield Row(state, f"ratio_{name}_gap{suffix}", gap, min(n_low, n_high))


def factor_rows(by_state: Mapping[str, Weights]) -> Iterator[Row]:
    """Rows of inequality within the factor vectors: Gini coefficients and effective ranks."""
    for state, weights in by_state.items():
        if "factors" in weights:
            ginis = published.gini(weights["factors"])
            ranks = published.effective_rank(weights["factors"])
            yield Row(state, "factor_gini_max", float(ginis.max()), len(ginis))
            yield Row(state, "factor_gini_mean", float(ginis.mean()), len(ginis))
            yield Row(state, "factor_effective_rank_min", float(ranks.min()), len(ranks))
            yield Row(state, "factor_effective_rank_mean", float(ranks.mean()), len(ranks))
