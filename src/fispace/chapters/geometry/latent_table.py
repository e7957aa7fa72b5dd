"""Norms, firing and functional contributions of an arm's latents as long-table rows.

Must not: read a file, run a model, or define a measure.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Bool, Float

from fispace.chapters.geometry.weight_table import (
    MIXTURE_SPLIT,
    PERMUTED,
    PUBLISHED_SPLIT,
    TRAINED,
    Row,
)
from fispace.stats import directions as geometry
from fispace.stats.bimodality import Mixture, dip_test, two_modes

Vector = Float[np.ndarray, " n_latents"]
NFM = ("linear", "interaction")
SMALLEST = np.finfo(np.float64).tiny


def log_norm_mixture(squared: Vector, stream: np.random.Generator) -> Mixture:
    """Mixture of two Gaussians on the log squared norms."""
    return two_modes(np.log(np.maximum(squared, SMALLEST)), stream)


def mode_rows(
    state: str, squared: Vector, firings: Vector, mixture: Mixture, group_threshold: float
) -> Iterator[Row]:
    """Is the norm bimodal, by dip and mixture; is it so among the latents that fire; who is low?

    The dip is taken of log norms, of all latents and of those that fired: two modes of which one is
    silent are undertrained latents, not two kinds. `mixture` is that of the same log norms.
    """
    n, alive = len(squared), squared[firings > 0]
    for prefix, values in (("norm", squared), ("alive_norm", alive)):
        dip = dip_test(np.log(np.maximum(values, SMALLEST)))
        yield Row(state, f"{prefix}_dip", dip.statistic, len(values))
        yield Row(state, f"{prefix}_dip_p", dip.p, len(values))
    yield Row(state, "norm_bic_gain", mixture.bic_gain, n)
    yield Row(state, "mixture_threshold", float(np.exp(mixture.threshold)), n)
    yield Row(state, "norm_firing_spearman", geometry.spearman(squared, firings), n)
    groups = {PUBLISHED_SPLIT: group_threshold, MIXTURE_SPLIT: np.exp(mixture.threshold)}
    for suffix, threshold in groups.items():
        is_low = squared < threshold
        yield Row(state, f"low_group_share{suffix}", float(is_low.mean()), n)
        for group, chosen in (("low", is_low), ("high", ~is_low)):
            silent = _mean(firings[chosen] == 0)
            name = f"{group}_never_fired_share{suffix}"
            yield Row(state, name, silent, int(chosen.sum()))


def functional_rows(
    state: str, growth: Mapping[str, Vector], squared: Vector, thresholds: Mapping[str, float],
    stream: np.random.Generator,
) -> Iterator[Row]:  # fmt: skip
    """Growth of the FVU without one latent in one part, and each part's share of it.

    `growth` and `squared` are of the measured latents. A share is sum |growth| of the part over that
    of all parts; a latent's own share is correlated with its norm as the published ratios are.
    `permuted` deals the norms out at random. Source of the idea: W9.
    """
    n = len(squared)
    for part, values in growth.items():
        yield Row(state, f"functional_{part}_mean", float(values.mean()), n)
        yield Row(state, f"functional_{part}_harmful", float((values < 0).mean()), n)
    if len(growth) < 2:
        return
    sizes = {part: np.abs(values) for part, values in growth.items()}
    sizes["total"] = sum((sizes[part] for part in NFM if part in sizes), np.zeros(n))
    whole = sizes["decoder"] + sizes["total"]
    shuffled = stream.permutation(squared)
    for part, size in sizes.items():
        name = f"functional_share_{part}"
        yield Row(state, name, _share(size, whole), n)
        own = _own_share(size, whole)
        matters = whole > 0
        rho = geometry.spearman(own[matters], squared[matters])
        yield Row(state, f"{name}_spearman", rho, int(matters.sum()))
        if state == TRAINED:
            rho = geometry.spearman(own[matters], shuffled[matters])
            yield Row(PERMUTED, f"{name}_spearman", rho, int(matters.sum()))
        for suffix, threshold in thresholds.items():
            is_low = squared < threshold
            for group, chosen in (("low", is_low), ("high", ~is_low)):
                value = _share(size[chosen], whole[chosen])
                yield Row(state, f"{name}_{group}{suffix}", value, int(chosen.sum()))


def _own_share(size: Vector, whole: Vector) -> Vector:
    return np.divide(size, whole, out=np.zeros_like(size), where=whole > 0)


def _share(size: Vector, whole: Vector) -> float:
    return float(size.sum() / whole.sum()) if whole.sum() > 0 else float("nan")


def _mean(chosen: Bool[np.ndarray, " some"]) -> float:
    return float(chosen.mean()) if len(chosen) else float("nan")
