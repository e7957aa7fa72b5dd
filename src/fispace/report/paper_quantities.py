"""Quantities at the paper's own sizes: its parameter counts, and nulls of its numbers.

They use no model and no seed of this study. Must not: know a claim.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fispace.seeds import numpy_stream
from fispace.stats import paper_formulas, random_matrix
from fispace.stats.directions import n_components_for, sample_pairs
from fispace.stats.top_dimensions import top_overlap
from fispace.store.metric_registry import unit_of
from fispace.store.origins import Derived, Origin, made_by
from fispace.store.quantities import NO_SEED, Quantity, quantity
from fispace.study.config.report import QuantitiesStep

PAPER_THRESHOLD = 0.2
CHUNK_ROWS = 10_000
PAPER_FORMULAS: dict[str, Callable[..., Any]] = {
    "parameters": paper_formulas.parameter_counts,
    "mixture_null": paper_formulas.norm_mixture_null,
    "random_rows": random_matrix.mean_abs_cosine,
    "random_rows.pca_share": random_matrix.marchenko_pastur_spectrum,
    "random_rows.top": top_overlap,
    "initial_factors.gini": paper_formulas.gini,
    "initial_factors.effective_rank": paper_formulas.effective_rank,
}
"""Function with the equation, by the longest prefix of the name after `paper.`"""


def paper_quantities(params: QuantitiesStep) -> Iterator[Quantity]:
    """Every quantity that needs only the paper's sizes.

    paper.parameters.*       arithmetic on d_model 3,200, n_latents 50,000 and d_embed 300
    paper.mixture_null.*     the published ratio statistics of decoder norms drawn from the two
                             printed modes, with the NFM's norms as initialised
    paper.random_rows.*      cosines, Gram entries, spectrum and top coordinates of random directions
    paper.initial_factors.*  most unequal factor vector at initialisation, 200 wide as in the notes
    """
    yield from _parameters()
    yield from _mixture_null(params)
    yield from _random_rows(params)
    yield from _initial_factors(params)


def _parameters() -> Iterator[Quantity]:
    counts = paper_formulas.parameter_counts(
        paper_formulas.PAPER_D_MODEL, paper_formulas.PAPER_N_LATENTS, paper_formulas.PAPER_D_EMBED
    )
    nfm = counts.linear + counts.interaction
    values = {
        "total": counts.total,
        "share_linear": counts.linear / counts.total,
        "share_nfm": nfm / counts.total,
        "share_interaction": counts.interaction / counts.total,
        "interaction_mlp": counts.interaction_mlp,
        "mlp_share_of_nfm": counts.interaction_mlp / nfm,
        "interaction_share_of_nfm": counts.interaction / nfm,
    }
    for name, value in values.items():
        yield _number(f"parameters.{name}", float(value), 1)


def _mixture_null(params: QuantitiesStep) -> Iterator[Quantity]:
    stream = numpy_stream(params.root_seed, "report", "mixture null")
    squared, ratios = paper_formulas.norm_mixture_null(
        params.mixture_latents, params.mixture_spread, stream
    )
    correlations = paper_formulas.ratio_correlations(ratios, squared)
    n, n_low = len(squared), int(np.sum(squared < PAPER_THRESHOLD))
    for name in paper_formulas.RATIOS:
        low, high = paper_formulas.group_means(getattr(ratios, name), squared, PAPER_THRESHOLD)
        values = {
            "spearman": (correlations[name], n),
            "low": (low, n_low),
            "high": (high, n - n_low),
        }
        for what, (value, size) in values.items():
            yield _number(f"mixture_null.ratio_{name}_{what}", value, size)


def _random_rows(params: QuantitiesStep) -> Iterator[Quantity]:
    d_model, n_latents = paper_formulas.PAPER_D_MODEL, paper_formulas.PAPER_N_LATENTS
    cosine = random_matrix.mean_abs_cosine(d_model)
    first = random_matrix.marchenko_pastur_spectrum(n_latents, d_model)
    first = first[: paper_formulas.PAPER_FIRST_COMPONENTS]
    count = n_components_for(first, paper_formulas.PAPER_SPECTRUM_TARGET)
    values = {
        "mean_abs_cosine": cosine,
        "gram_mean_abs_dot": cosine * paper_formulas.PAPER_SAE_SQUARED_NORM,
        "pca_share": count / len(first),
    }
    for name, value in values.items():
        yield _number(f"random_rows.{name}", value, n_latents)
    stream = numpy_stream(params.root_seed, "report", "random rows")
    rows = stream.standard_normal((params.null_rows, d_model))
    pairs = sample_pairs(params.null_rows, params.null_pairs, stream)
    for name, value in top_overlap(rows, pairs, paper_formulas.PAPER_TOP)._asdict().items():
        yield _number(f"random_rows.top_{name}", value, len(pairs))


def _initial_factors(params: QuantitiesStep) -> Iterator[Quantity]:
    stream = numpy_stream(params.root_seed, "report", "initial factors")
    ginis, ranks = [], []
    for start in range(0, params.mixture_latents, CHUNK_ROWS):
        n_rows = min(CHUNK_ROWS, params.mixture_latents - start)
        # both measures ignore scale, so the initial standard deviation does not matter
        rows = stream.standard_normal((n_rows, paper_formulas.PAPER_NOTES_D_EMBED))
        ginis.append(paper_formulas.gini(rows).max())
        ranks.append(paper_formulas.effective_rank(rows).min())
    n = params.mixture_latents
    for metric, value in (("gini_max", max(ginis)), ("effective_rank_min", min(ranks))):
        yield _number(f"initial_factors.{metric}", float(value), n)


def paper_origin(name: str) -> Origin:
    """Function behind a quantity `paper.*`; it reads no table.

    Raises:
        KeyError: if there is none of this name.
    """
    known = [stem for stem in PAPER_FORMULAS if name.startswith(f"paper.{stem}")]
    return made_by(PAPER_FORMULAS[max(known, key=len, default=name)])


def _number(name: str, value: float, n: int) -> Quantity:
    derived = Derived(value, paper_origin(f"paper.{name}"))
    return quantity(f"paper.{name}", NO_SEED, derived, unit_of(name.rsplit(".", maxsplit=1)[-1]), n)
