"""The geometry of one arm as long-table rows, from its weight matrices in several states.

A state is a version of the weights: trained, initial, or a null made of the two. Must not: read a
file, run a model, or define a measure.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from fispace.config.geometry import GeometryArmStep
from fispace.measure import geometry, published

TRAINED, INITIAL, DECODER_TRAINED, RANDOM = "trained", "initial", "decoder_trained", "random"

Weights = Mapping[str, Float[np.ndarray, "n_latents width"]]
"""Rows per latent: `decoder`, and `linear` and `factors` where the arm has them."""
Spectra = Mapping[tuple[str, bool], Float[np.ndarray, " components"]]
"""Variance shares of the decoder by state and by whether its mean row was taken off."""


class Row(NamedTuple):
    """One number of the long table, before arm and seed are added."""

    state: str
    metric: str
    unit: str
    value: float
    n: int


def norm_rows(by_state: Mapping[str, Weights]) -> Iterator[Row]:
    """Rows of the squared norms of each matrix: mean and 5, 50, 95 % quantiles."""
    for state, weights in by_state.items():
        for name, rows in weights.items():
            squared = geometry.squared_norms(rows)
            yield Row(state, f"squared_norm_{name}_mean", "z2", float(squared.mean()), len(squared))
            spread = geometry.quantiles(squared, 0.05)
            for which, value in spread._asdict().items():
                yield Row(state, f"squared_norm_{name}_{which}", "z2", value, len(squared))


def gram_rows(by_state: Mapping[str, Weights], pairs: Int[np.ndarray, "pairs 2"]) -> Iterator[Row]:
    """Rows of the decoder's off-diagonal Gram entries and cosines over the given pairs."""
    for state, weights in by_state.items():
        found = geometry.pair_geometry(weights["decoder"], pairs)
        yield Row(state, "gram_mean_abs_dot", "z2", found.mean_abs_dot, found.n_pairs)
        yield Row(state, "mean_abs_cosine", "1", found.mean_abs_cosine, found.n_pairs)


def spectra(by_state: Mapping[str, Weights], stream: np.random.Generator) -> Spectra:
    """Spectra of the decoder in each state, and of a Gaussian matrix of the same shape."""
    matrices = {state: weights["decoder"] for state, weights in by_state.items()}
    matrices[RANDOM] = stream.standard_normal(matrices[TRAINED].shape)
    return {
        (state, centred): geometry.variance_spectrum(matrix, centred=centred)
        for state, matrix in matrices.items()
        for centred in (True, False)
    }


def spectrum_rows(of: Spectra, params: GeometryArmStep) -> Iterator[Row]:
    """Rows of the component counts: centred and of all, and as published."""
    for (state, centred), shares in of.items():
        n_first = params.n_first(len(shares))
        if centred:
            count = geometry.n_components_for(shares, params.spectrum_target)
            yield Row(state, "pca_components", "components", count, len(shares))
            ratio = geometry.participation_ratio(shares)
            yield Row(state, "pca_participation_ratio", "components", ratio, len(shares))
        else:
            count = published.n_components_of_first(shares, n_first, params.spectrum_target)
            yield Row(state, "pca_published", "components", count, n_first)
            yield Row(state, "pca_published_share", "fraction", count / n_first, n_first)


def ratio_rows(by_state: Mapping[str, Weights], threshold: float) -> Iterator[Row]:
    """Rows of the published ratios: group means, means, correlations."""
    for state, (squared, ratios) in ratios_by_state(by_state).items():
        n_low = int((squared < threshold).sum())
        yield Row(state, "low_group_share", "fraction", n_low / len(squared), len(squared))
        correlations = published.ratio_correlations(ratios, squared)
        for name in published.RATIOS:
            low, high = published.group_means(getattr(ratios, name), squared, threshold)
            yield Row(state, f"ratio_{name}_low", "fraction", low, n_low)
            yield Row(state, f"ratio_{name}_high", "fraction", high, len(squared) - n_low)
            mean = float(getattr(ratios, name).mean())
            yield Row(state, f"ratio_{name}_mean", "fraction", mean, len(squared))
            yield Row(state, f"ratio_{name}_spearman", "1", correlations[name], len(squared))


def ratios_by_state(
    by_state: Mapping[str, Weights],
) -> dict[str, tuple[np.ndarray, published.NormRatios]]:
    """|W_dec|^2 and the published ratios in each state; empty for an arm without both NFM parts.

    The state `decoder_trained` is the norm-mixture null: trained decoder norms, initial NFM norms.
    """
    if set(by_state[TRAINED]) != {"decoder", "linear", "factors"}:
        return {}
    norms = {
        state: {name: np.sqrt(geometry.squared_norms(rows)) for name, rows in weights.items()}
        for state, weights in by_state.items()
    }
    norms[DECODER_TRAINED] = norms[INITIAL] | {"decoder": norms[TRAINED]["decoder"]}
    return {
        state: (
            of["decoder"] ** 2,
            published.norm_ratios(of["decoder"], of["linear"], of["factors"]),
        )
        for state, of in norms.items()
    }


def factor_rows(by_state: Mapping[str, Weights]) -> Iterator[Row]:
    """Rows of the most unequal factor vector, by Gini coefficient and by effective rank."""
    for state, weights in by_state.items():
        if "factors" in weights:
            ginis = [published.gini(row) for row in weights["factors"]]
            ranks = [published.effective_rank(row) for row in weights["factors"]]
            yield Row(state, "factor_gini_max", "1", max(ginis), len(ginis))
            yield Row(state, "factor_effective_rank_min", "1", min(ranks), len(ranks))
