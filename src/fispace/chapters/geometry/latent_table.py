"""Rows of the geometry table about latents: modes of the norm, firing, functional contributions.

Must not: read a file, run a model, or define a measure.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import Bool

from fispace.chapters.geometry.weight_table import (
    MIXTURE_SPLIT,
    PERMUTED,
    PUBLISHED_SPLIT,
    TRAINED,
    GeometryRow,
    LatentValues,
)
from fispace.stats import directions as geometry
from fispace.stats.bimodality import Mixture, dip_test, two_modes

NFM = ("linear", "interaction")
SMALLEST = np.finfo(np.float64).tiny


def log_norm_mixture(squared: LatentValues, stream: np.random.Generator) -> Mixture:
    """Mixture of two Gaussians on the log squared norms."""
    return two_modes(np.log(np.maximum(squared, SMALLEST)), stream)


def mode_rows(
    state: str,
    squared: LatentValues,
    firings: LatentValues,
    mixture: Mixture,
    group_threshold: float,
) -> Iterator[GeometryRow]:
    """Rows that say whether the norm is bimodal, and which latents have a low norm.

    The dip test is applied to the log norms of all latents and of those that fired: if the latents of
    one mode never fire, they are undertrained and not a second kind. `mixture` is fitted to the same
    log norms.
    """
    n, alive = len(squared), squared[firings > 0]
    for prefix, values in (("norm", squared), ("alive_norm", alive)):
        dip = dip_test(np.log(np.maximum(values, SMALLEST)))
        yield GeometryRow(state, f"{prefix}_dip", dip.statistic, len(values))
        yield GeometryRow(state, f"{prefix}_dip_p", dip.p, len(values))
    yield GeometryRow(state, "norm_bic_gain", mixture.bic_gain, n)
    yield GeometryRow(state, "mixture_threshold", float(np.exp(mixture.threshold)), n)
    yield GeometryRow(state, "norm_firing_spearman", geometry.spearman(squared, firings), n)
    groups = {PUBLISHED_SPLIT: group_threshold, MIXTURE_SPLIT: np.exp(mixture.threshold)}
    for suffix, threshold in groups.items():
        is_low = squared < threshold
        yield GeometryRow(state, f"low_group_share{suffix}", float(is_low.mean()), n)
        for group, chosen in (("low", is_low), ("high", ~is_low)):
            silent = _mean(firings[chosen] == 0)
            name = f"{group}_never_fired_share{suffix}"
            yield GeometryRow(state, name, silent, int(chosen.sum()))


def functional_rows(
    state: str, growth: Mapping[str, LatentValues], squared: LatentValues, thresholds: Mapping[str, float],
    stream: np.random.Generator,
) -> Iterator[GeometryRow]:  # fmt: skip
    """Rows of the growth of the FVU when one latent is removed from one part, and of each part's share.

    `growth` and `squared` hold the measured latents. The share of a part is its sum |growth| / the sum over
    all parts. A latent's own share is correlated with its norm, as the published ratios are. In state
    `permuted` the norms are permuted over latents. It answers weakness W9.
    """
    n = len(squared)
    for part, values in growth.items():
        yield GeometryRow(state, f"functional_{part}_mean", float(values.mean()), n)
        yield GeometryRow(state, f"functional_{part}_harmful", float((values < 0).mean()), n)
    if len(growth) < 2:
        return
    sizes = {part: np.abs(values) for part, values in growth.items()}
    sizes["total"] = sum((sizes[part] for part in NFM if part in sizes), np.zeros(n))
    whole = sizes["decoder"] + sizes["total"]
    shuffled = stream.permutation(squared)
    for part, size in sizes.items():
        name = f"functional_share_{part}"
        yield GeometryRow(state, name, _share(size, whole), n)
        own = _own_share(size, whole)
        matters = whole > 0
        rho = geometry.spearman(own[matters], squared[matters])
        yield GeometryRow(state, f"{name}_spearman", rho, int(matters.sum()))
        if state == TRAINED:
            rho = geometry.spearman(own[matters], shuffled[matters])
            yield GeometryRow(PERMUTED, f"{name}_spearman", rho, int(matters.sum()))
        for suffix, threshold in thresholds.items():
            is_low = squared < threshold
            for group, chosen in (("low", is_low), ("high", ~is_low)):
                value = _share(size[chosen], whole[chosen])
                yield GeometryRow(state, f"{name}_{group}{suffix}", value, int(chosen.sum()))


def _own_share(size: LatentValues, whole: LatentValues) -> LatentValues:
    return np.divide(size, whole, out=np.zeros_like(size), where=whole > 0)


def _share(size: LatentValues, whole: LatentValues) -> float:
    return float(size.sum() / whole.sum()) if whole.sum() > 0 else float("nan")


def _mean(chosen: Bool[np.ndarray, " some"]) -> float:
    return float(chosen.mean()) if len(chosen) else float("nan")
