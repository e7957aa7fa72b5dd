"""The paper's own formulas, as its scripts compute them, so that our models can be asked for its numbers.

Most of them can only be read beside a null or another baseline, so they are kept apart from the sound
definitions in the other modules of `stats`. Must not: be used where a sound definition is meant.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from fispace.stats.directions import n_components_for, spearman

LatentVector = Float[np.ndarray, " latents"]
Matrix = Float[np.ndarray, "tokens width"]

PAPER_D_MODEL, PAPER_N_LATENTS, PAPER_D_EMBED = 3200, 50_000, 300
PAPER_LINEAR_INIT, PAPER_FACTOR_INIT = 0.01, 0.05
PAPER_LOW_MODE, PAPER_HIGH_MODE, PAPER_MEAN_SQUARED_NORM = 0.05, 0.37, 0.259
PAPER_SAE_SQUARED_NORM = 0.4
"""Mode of the standalone SAE's squared norms, read off the paper's F6."""
PAPER_NOTES_D_EMBED = 200
"""Width of the factors in the runs of the author's notes (N18)."""
PAPER_K, PAPER_CUT_KS = 1024, (250, 500)
"""k of the SAE's training, and the reduced k of the sequential runs (N2, N4)."""
PAPER_TOP, PAPER_FIRST_COMPONENTS, PAPER_SPECTRUM_TARGET = 250, 1000, 0.9
RATIOS = ("total", "linear", "interaction", "decoder")


class NormRatios(NamedTuple):
    """Contribution ratios of each latent, each in [0, 1]; `total` = `linear` + `interaction`."""

    total: LatentVector
    """Share of both NFM parts (the paper's "integration")."""
    linear: LatentVector
    interaction: LatentVector
    decoder: LatentVector
    """Share of the SAE decoder (the paper's "residual"); 1 - total."""


class ParameterCounts(NamedTuple):
    """Trainable parameters of the joint model by module."""

    sae: int
    linear: int
    interaction: int
    interaction_mlp: int
    """The part of `interaction` without its factor vectors."""

    @property
    def total(self) -> int:
        """All parameters."""
        return self.sae + self.linear + self.interaction


def norm_shares(decoder: LatentVector, linear: LatentVector, factors: LatentVector) -> NormRatios:
    """Shares of the norms |W_dec[i]|, |W_lin[i]|, |V[i]| in their sum, for each latent.

    The three norms are incommensurate: the factors live in another space, before a square and an MLP. So
    the ratio is not a contribution to the output. Source: author's p17:182-231.
    """
    total = decoder + linear + factors
    return NormRatios((linear + factors) / total, linear / total, factors / total, decoder / total)


def group_means(
    ratio: LatentVector, squared_norm: LatentVector, threshold: float
) -> tuple[float, float]:
    """Mean ratio of the latents with |W_dec|^2 below `threshold`, and of the others; NaN if none.

    The threshold was read off the histogram by eye (0.2). Source: author's p17.
    """
    is_low = squared_norm < threshold
    return _mean(ratio[is_low]), _mean(ratio[~is_low])


def ratio_correlations(ratios: NormRatios, squared_norm: LatentVector) -> dict[str, float]:
    """Spearman correlation of each ratio with |W_dec|^2, which is part of the ratio's own denominator.

    The correlation is tautological: independent random norms give strongly negative values for `total`,
    and values of the same size and opposite sign for `decoder`. Source: author's p17:320.
    """
    return {name: spearman(getattr(ratios, name), squared_norm) for name in RATIOS}


def mean_output_shares(linear: float, interaction: float) -> tuple[float, float]:
    """Shares of mean |linear output| and mean |interaction output| in their sum.

    The paper's "95.5 % / 4.5 %" and "94.0 % / 6.0 %"; a large output need not reduce the error.
    Source: author's p15:853-856.
    """
    return linear / (linear + interaction), interaction / (linear + interaction)


def batch_variance_explained(x: Matrix, x_hat: Matrix) -> float:
    """1 - sum var(x - x_hat) / sum var(x) over one batch; the paper averages this over batches.

    It ignores a constant error, because it uses a variance and not a mean square. Its average over batches
    is an average of ratios, not a ratio of sums. It needs at least two tokens. Source: author's p1c:125-151.
    """
    residual = x.astype(np.float64) - x_hat
    return float(1 - residual.var(axis=0).sum() / x.astype(np.float64).var(axis=0).sum())


def n_components_of_first(
    shares: Float[np.ndarray, " components"], first: int, target: float
) -> int:
    """Components needed for `target` of the variance *of the first `first` components*.

    866 and 863 of 1,000 in the paper; a random 3200 x 50000 matrix gives 887. `shares` is the
    uncentred spectrum. Source: author's p16:206-221.
    """
    # DEVIATION(exact-svd): the author uses a randomised SVD; ours is exact and therefore repeatable.
    return n_components_for(shares[:first], target)


def gini(rows: Float[np.ndarray, "rows width"]) -> Float[np.ndarray, " rows"]:
    """Gini coefficient of |w| in each row: 0 if all entries are equal, close to 1 if one entry dominates.

    (n + 1 - 2 sum_i cumsum_i / sum) / n over ascending |w|. Source: author's p4:70-80.
    """
    ascending = np.sort(np.abs(rows.astype(np.float64)), axis=-1)
    cumulative = np.cumsum(ascending, axis=-1)
    n = ascending.shape[-1]
    return (n + 1 - 2 * cumulative.sum(-1) / cumulative[..., -1]) / n


def effective_rank(rows: Float[np.ndarray, "rows width"]) -> Float[np.ndarray, " rows"]:
    """Exponential of the entropy of |w| / sum |w| in each row, in [1, width].

    Source: author's p4:82-92.
    """
    absolute = np.abs(rows.astype(np.float64))
    p = absolute / absolute.sum(-1, keepdims=True)
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    return np.exp(-(p * logs).sum(-1))


def parameter_counts(d_model: int, n_latents: int, d_embed: int) -> ParameterCounts:
    """Parameters of the joint model: SAE (two matrices, encoder bias), linear, factors, two layers.

    At the paper's scale the total is 496,106,700, which is the printed number.
    """
    mlp = d_embed * d_embed + d_embed + d_embed * d_model + d_model
    return ParameterCounts(
        sae=2 * d_model * n_latents + n_latents,
        linear=d_model * n_latents + d_model,
        interaction=n_latents * d_embed + mlp,
        interaction_mlp=mlp,
    )


def norm_mixture_null(
    n_latents: int, spread: float, generator: np.random.Generator
) -> tuple[LatentVector, NormRatios]:
    """|W_dec|^2 and the ratios at the paper's scale if training had left the NFM's norms unchanged.

    |W_dec|^2 is drawn from two modes at the printed .05 and .37 (log-normal of width `spread`, weighted
    to give the printed mean .259). |W_lin| and |V| are norms of Gaussian rows at the initial scales.
    Any published statistic that this null reproduces does not need a trained NFM.
    """
    share_low = (PAPER_HIGH_MODE - PAPER_MEAN_SQUARED_NORM) / (PAPER_HIGH_MODE - PAPER_LOW_MODE)
    mode = np.where(generator.random(n_latents) < share_low, PAPER_LOW_MODE, PAPER_HIGH_MODE)
    squared = mode * np.exp(spread * generator.standard_normal(n_latents))
    linear = PAPER_LINEAR_INIT * np.sqrt(generator.chisquare(PAPER_D_MODEL, n_latents))
    factors = PAPER_FACTOR_INIT * np.sqrt(generator.chisquare(PAPER_D_EMBED, n_latents))
    return squared, norm_shares(np.sqrt(squared), linear, factors)


def _mean(values: LatentVector) -> float:
    return float(values.mean()) if len(values) else float("nan")
