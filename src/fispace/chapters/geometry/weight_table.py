"""Rows of the geometry table that are computed from the weights of one arm alone, in several states.

A state is a version of the weights: trained, initial, or a null made from the two. Must not: read a
file, run a model, or define a measure.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from fispace.stats import directions as geometry
from fispace.stats import paper_formulas, random_matrix
from fispace.stats.top_dimensions import top_overlap
from fispace.study.config.geometry import GeometryArmStep

TRAINED, INITIAL, RANDOM = "trained", "initial", "random"
MARCHENKO_PASTUR = "marchenko_pastur"
"""The exact law of a Gaussian matrix of the same shape."""
DECODER_TRAINED, PERMUTED = "decoder_trained", "permuted"
"""Nulls: trained decoder norms with initial NFM norms; trained norms, with the NFM's norms permuted."""

LatentValues = Float[np.ndarray, " n_latents"]
"""One number per latent."""
Weights = Mapping[str, Float[np.ndarray, "n_latents width"]]
"""Rows per latent: `decoder`, and `linear` and `factors` where the arm has them."""
Spectra = Mapping[tuple[str, bool], Float[np.ndarray, " components"]]
"""Variance shares of the decoder's components, by state and by whether its mean row was subtracted."""
Ratios = Mapping[str, tuple[LatentValues, paper_formulas.NormRatios]]
"""|W_dec|^2 and the published ratios by state."""
PUBLISHED_SPLIT, MIXTURE_SPLIT = "", "_mixture"
"""Suffix of a metric by norm group: groups split at the paper's threshold, or between the two modes."""


class GeometryRow(NamedTuple):
    """One number of the long table, before arm and seed are added."""

    state: str
    metric: str
    """A metric of `fispace.store.metric_registry`, which holds its unit."""
    value: float
    n: int


def norm_rows(by_state: Mapping[str, Weights]) -> Iterator[GeometryRow]:
    """Rows of the squared norms of each matrix: mean and 5, 50, 95 % quantiles."""
    for state, weights in by_state.items():
        for name, rows in weights.items():
            squared = geometry.squared_norms(rows)
            yield GeometryRow(
                state, f"squared_norm_{name}_mean", float(squared.mean()), len(squared)
            )
            spread = geometry.quantiles(squared, 0.05)
            for which, value in spread._asdict().items():
                yield GeometryRow(state, f"squared_norm_{name}_{which}", value, len(squared))


def gram_rows(
    by_state: Mapping[str, Weights], pairs: Int[np.ndarray, "pairs 2"]
) -> Iterator[GeometryRow]:
    """Rows of the decoder's off-diagonal Gram entries and cosines over the given pairs."""
    for state, weights in by_state.items():
        found = geometry.pair_geometry(weights["decoder"], pairs)
        yield GeometryRow(state, "gram_mean_abs_dot", found.mean_abs_dot, found.n_pairs)
        yield GeometryRow(state, "mean_abs_cosine", found.mean_abs_cosine, found.n_pairs)
    width = by_state[TRAINED]["decoder"].shape[1]
    yield GeometryRow(RANDOM, "mean_abs_cosine", random_matrix.mean_abs_cosine(width), len(pairs))


def top_dimension_rows(
    by_state: Mapping[str, Weights], pairs: Int[np.ndarray, "pairs 2"],
    params: GeometryArmStep, stream: np.random.Generator,
) -> Iterator[GeometryRow]:  # fmt: skip
    """Rows of the overlap of the decoder rows' largest coordinates, and of a Gaussian matrix's rows."""
    matrices = {state: weights["decoder"] for state, weights in by_state.items()}
    matrices[RANDOM] = stream.standard_normal(matrices[TRAINED].shape)
    for state, matrix in matrices.items():
        found = top_overlap(matrix, pairs, params.n_top(matrix.shape[1]))
        for name, value in found._asdict().items():
            yield GeometryRow(state, f"top_{name}", value, len(pairs))


def spectra(by_state: Mapping[str, Weights], stream: np.random.Generator) -> Spectra:
    """Spectra of the decoder in each state, of a Gaussian matrix of its shape, and by that matrix's law."""
    matrices = {state: weights["decoder"] for state, weights in by_state.items()}
    matrices[RANDOM] = stream.standard_normal(matrices[TRAINED].shape)
    law = random_matrix.marchenko_pastur_spectrum(*matrices[TRAINED].shape)
    found = {
        (state, centred): geometry.variance_spectrum(matrix, centred=centred)
        for state, matrix in matrices.items()
        for centred in (True, False)
    }
    return found | {(MARCHENKO_PASTUR, centred): law for centred in (True, False)}


def spectrum_rows(of: Spectra, n_latents: int, params: GeometryArmStep) -> Iterator[GeometryRow]:
    """Rows of the numbers of components: of the centred spectrum, and as published."""
    for (state, centred), shares in of.items():
        n_first, d_model = params.n_first(len(shares)), len(shares)
        if centred:
            count = geometry.n_components_for(shares, params.spectrum_target)
            yield GeometryRow(state, "pca_components", count, d_model)
            ratio = geometry.participation_ratio(shares)
            yield GeometryRow(state, "pca_participation_ratio", ratio, d_model)
            above = random_matrix.n_above_edge(shares, n_latents, d_model)
            yield GeometryRow(state, "pca_above_edge", above, d_model)
        else:
            count = paper_formulas.n_components_of_first(shares, n_first, params.spectrum_target)
            yield GeometryRow(state, "pca_published", count, n_first)
            yield GeometryRow(state, "pca_published_share", count / n_first, n_first)


def ratios_by_state(by_state: Mapping[str, Weights], stream: np.random.Generator) -> Ratios:
    """|W_dec|^2 and the published ratios in each state; empty for an arm without both NFM parts.

    Two states are nulls: `decoder_trained` has trained decoder norms and initial NFM norms;
    `permuted` has trained norms, with the NFM's norms permuted over latents.
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
            paper_formulas.norm_shares(of["decoder"], of["linear"], of["factors"]),
        )
        for state, of in norms.items()
    }


def ratio_rows(ratios: Ratios, thresholds: Mapping[str, float]) -> Iterator[GeometryRow]:
    """Rows of the published ratios: means, correlations, and group means and gap by each threshold.

    `thresholds` holds the squared norm at which the groups are split, by the suffix of the metric
    (PUBLISHED_SPLIT, MIXTURE_SPLIT).
    """
    for state, (squared, of) in ratios.items():
        correlations = paper_formulas.ratio_correlations(of, squared)
        for name in paper_formulas.RATIOS:
            ratio = getattr(of, name)
            yield GeometryRow(state, f"ratio_{name}_mean", float(ratio.mean()), len(squared))
            yield GeometryRow(state, f"ratio_{name}_spearman", correlations[name], len(squared))
            for suffix, threshold in thresholds.items():
                n_low = int((squared < threshold).sum())
                n_high = len(squared) - n_low
                low, high = paper_formulas.group_means(ratio, squared, threshold)
                yield GeometryRow(state, f"ratio_{name}_low{suffix}", low, n_low)
                yield GeometryRow(state, f"ratio_{name}_high{suffix}", high, n_high)
                gap = low - high
                yield GeometryRow(state, f"ratio_{name}_gap{suffix}", gap, min(n_low, n_high))


def factor_rows(by_state: Mapping[str, Weights]) -> Iterator[GeometryRow]:
    """Rows of inequality within the factor vectors: Gini coefficients and effective ranks."""
    for state, weights in by_state.items():
        if "factors" in weights:
            ginis = paper_formulas.gini(weights["factors"])
            ranks = paper_formulas.effective_rank(weights["factors"])
            yield GeometryRow(state, "factor_gini_max", float(ginis.max()), len(ginis))
            yield GeometryRow(state, "factor_gini_mean", float(ginis.mean()), len(ginis))
            yield GeometryRow(state, "factor_effective_rank_min", float(ranks.min()), len(ranks))
            yield GeometryRow(state, "factor_effective_rank_mean", float(ranks.mean()), len(ranks))
