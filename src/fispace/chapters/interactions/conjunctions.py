"""Latents that are the conjunction of two others, and the pairs of latents that they stand for.

Must not: define a statistic, or decide what a pair is.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# statsmodels ships no types

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from statsmodels.stats.multitest import multipletests

from fispace.chapters.interactions.codes import TestedTokens, noise_variance
from fispace.stats.block_scores import document_blocks
from fispace.stats.cofiring import SparseCodes, sparse_codes
from fispace.stats.conjunctions import conjunction_tests
from fispace.stats.parents import Latents, Search, unit_rows
from fispace.study.config.interactions import PairTest

COLUMNS = ("conjunction", "conjunction_p", "conjunction_q", "conjunction_lift", "conjunction_share")
"""What a pair's row holds of the latent that may be its conjunction; missing where none was tested."""


def tested_triples(
    params: PairTest, tested: TestedTokens, reliability: Float[np.ndarray, " n_latents"]
) -> pd.DataFrame:
    """One row per tested triple: latent, first, second, the statistics of `Triples`, and q.

    Latents of a split feature are apart here; `first` and `second`, in ascending order, are the latents that
    stand for the parents' groups. A parent must be reliable and fire on `min_cofirings` tokens. q is by
    Benjamini & Hochberg over all tested triples.
    """
    values, latents = tested.separate.values.cpu().numpy(), tested.separate.indices.cpu().numpy()
    codes = sparse_codes(values, latents, len(tested.decoder))
    fires = np.bincount(codes.indices, minlength=len(tested.decoder))
    is_reliable = reliability[tested.groups] >= params.min_reliability
    in_units, rows = unit_rows(codes, tested.decoder)
    n_active = torch.from_numpy((values > 0).sum(1))
    noise = noise_variance(torch.from_numpy(tested.residual), n_active)
    blocks = document_blocks(tested.documents, params.n_blocks)
    own = params.conjunction
    search = Search(
        is_reliable & (fires >= params.min_cofirings), tested.groups, own.n_candidates, own.presence,
        own.min_lift, own.min_ratio, params.min_cofirings, params.fdr,
    )  # fmt: skip
    found = conjunction_tests(Latents(in_units, rows, tested.residual, blocks, noise), search)
    table = pd.DataFrame(found._asdict())
    ends = np.sort(tested.groups[table[["first", "second"]].to_numpy(dtype=np.int64)], axis=1)
    table["first"], table["second"] = ends.T
    p = table["p"].to_numpy()
    return table.assign(q=multipletests(p, method="fdr_bh")[1] if len(p) else p)


def of_pairs(triples: pd.DataFrame) -> pd.DataFrame:
    """One row per pair with a tested triple: first, second and `COLUMNS`.

    The latent is the one with the smallest q of those whose best pair this is. `conjunction_p` is the
    smallest p of all the pair's triples times their number (Bonferroni); the other columns are missing if
    the pair is no latent's best.
    """
    keys = ["first", "second"]
    by_pair = triples.groupby(keys)["p"].agg(["min", "size"])
    p = (by_pair["min"] * by_pair["size"]).clip(upper=1.0).rename("conjunction_p").reset_index()
    best = triples[triples["is_best"]].sort_values(["q", "latent"], kind="stable")
    named = best.drop_duplicates(keys).rename(
        columns={
            "latent": "conjunction", "q": "conjunction_q", "lift": "conjunction_lift",
            "share": "conjunction_share",
        }
    )  # fmt: skip
    return p.merge(named[[*keys, *(name for name in COLUMNS if name != "conjunction_p")]], "left")


def with_conjunctions(
    table: pd.DataFrame, triples: pd.DataFrame, codes: SparseCodes, fdr: float
) -> pd.DataFrame:
    """The table of pairs with `COLUMNS`, and with a row for every pair whose conjunction is a latent.

    Where a conjunction latent silences its parents they may fire together too rarely for the pair test.
    Such a pair gets a row in which only its co-firings, counted in `codes`, and `COLUMNS` are known.
    """
    of = of_pairs(triples)
    both = table.merge(of, "left", on=["first", "second"])
    known = pd.MultiIndex.from_frame(table[["first", "second"]])
    is_new = ~pd.MultiIndex.from_frame(of[["first", "second"]]).isin(known)
    new = of[is_new & (of["conjunction_q"] <= fdr).to_numpy()]
    if not len(new):
        return both
    cofirings = _cofirings(codes, new["first"].to_numpy(), new["second"].to_numpy())
    whole = pd.concat([both, new.assign(cofirings=cofirings)], ignore_index=True)
    return whole.sort_values(["first", "second"], kind="stable", ignore_index=True)


def _cofirings(
    codes: SparseCodes, first: Int[np.ndarray, " pairs"], second: Int[np.ndarray, " pairs"]
) -> Int[np.ndarray, " pairs"]:
    columns = (codes > 0).tocsc()
    return np.array(
        [columns[:, i].multiply(columns[:, j]).nnz for i, j in zip(first, second, strict=True)]
    )
