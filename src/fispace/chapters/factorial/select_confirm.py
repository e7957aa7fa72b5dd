"""The complete select-then-confirm procedure on arrays, and the paper's procedure, for calibration.

Both use the tests of the chapter itself. Must not: simulate data, define a test, or read files.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# scipy ships no types

import warnings

import numpy as np
from jaxtyping import Float
from scipy import stats

from fispace.stats.anova import paper_anova, two_way_anova
from fispace.stats.mixed import fit_crossed
from fispace.stats.two_by_two import (
    CellArray,
    benjamini_hochberg,
    interaction_contrasts,
    one_sample_t,
    sign_flip_test,
    sign_flips,
)


def select_then_confirm(
    select: CellArray, confirm: CellArray, n_candidates: int, n_permutations: int,
    generator: np.random.Generator,
) -> dict[str, float]:  # fmt: skip
    """Smallest p-values of one run: of the search on the select half, and of the tests on the other.

    search_max           smallest max-F p over all latents of the select half
    contrast_t, _flip    first candidate on the confirm half
    family_max, _fdr     smallest corrected p over the candidates on the confirm half
    rank_0               position of latent 0 among the candidates from 0, or NaN if it is none
    p_max_0, p_t_0       p of latent 0 on the confirm half: max-F (1 if no candidate), and t
    """
    found = interaction_contrasts(select)
    search = sign_flip_test(found, sign_flips(len(found), n_permutations, generator))
    order = np.argsort(-np.abs(one_sample_t(found, 0.95).t), kind="stable")[:n_candidates]
    own = interaction_contrasts(confirm[..., order])
    test = one_sample_t(own, 0.95)
    flipped = sign_flip_test(own, sign_flips(len(own), n_permutations, generator))
    place = np.flatnonzero(order == 0)
    rank = float(place[0]) if place.size else float("nan")
    return {
        "search_max": float(search.p_max.min()),
        "contrast_t": float(test.p[0]),
        "contrast_flip": float(flipped.p[0]),
        "family_max": float(flipped.p_max.min()),
        "family_fdr": float(benjamini_hochberg(test.p).min()),
        "rank_0": rank,
        "p_max_0": float(flipped.p_max[place[0]]) if place.size else 1.0,
        "p_t_0": float(one_sample_t(interaction_contrasts(confirm[..., :1]), 0.95).p[0]),
    }


def paper_procedure(cells: CellArray) -> dict[str, float]:
    """The paper's p-values: latent chosen by F over the four cells, tested on the same texts.

    published_cells         p of that F, reported as sensitivity to the conjunction (p11b)
    published_interaction   the row-paired one-way test of the chosen latent (p13)
    published_search        the same with the latent of the largest row-paired F

    A latent without variance has no F. Its p is set to 1, so that every data set counts.
    """
    flat = cells.reshape(len(cells), 4, -1)
    by_cell = _one_way_p(*(flat[:, i] for i in range(4)))
    chosen = int(np.argmin(by_cell))
    first, second = cells[:, 1, 1] - cells[:, 1, 0], cells[:, 0, 1] - cells[:, 0, 0]
    paired = _one_way_p(first, second)
    return {
        "published_cells": float(by_cell[chosen]),
        "published_interaction": float(paired[chosen]),
        "published_search": float(paired.min()),
    }


def _one_way_p(*groups: Float[np.ndarray, "rows latents"]) -> Float[np.ndarray, " latents"]:
    with warnings.catch_warnings():  # of latents without variance
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        p = np.asarray(stats.f_oneway(*groups, axis=0).pvalue)
    return np.where(np.isnan(p), 1.0, p)


def word_procedures(
    table: Float[np.ndarray, "items 2 2 words"], with_mixed: bool
) -> dict[str, float]:
    """p-values of one clamp's effect on words, by every analysis of the table.

    words_contrast treats words as fixed: its result holds for these words only. words_mixed generalises
    to other words of the same kind. words_published and words_two_way treat items x words as replicates.
    """
    rows = np.moveaxis(table, 3, 1).reshape(-1, 2, 2)
    contrast = interaction_contrasts(table.mean(3, keepdims=True))
    values = {
        "words_contrast": float(one_sample_t(contrast, 0.95).p[0]),
        "words_published": paper_anova(rows).interaction.p,
        "words_two_way": two_way_anova(rows).interaction.p,
    }
    if with_mixed:
        values["words_mixed"] = fit_crossed(table, 0.95).contrast.p
    return values
