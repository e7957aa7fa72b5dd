"""Every statistic of every pair of latents that fire together, as one row per pair.

Must not: decide what a pair is, or write a file.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from fispace.chapters.interactions.codes import TestedTokens
from fispace.errors import ArtifactError
from fispace.stats.block_scores import (
    PRODUCT,
    BlockSums,
    beside_own_rows,
    block_sums,
    document_blocks,
    magnitude_powers,
)
from fispace.stats.cofiring import Pairs, cofiring_pairs
from fispace.stats.dose_response import REGRESSORS, dose_response, left_by_own_terms
from fispace.stats.own_terms import without_own_terms
from fispace.stats.sign_flips import vector_test
from fispace.study.config.interactions import PairTest

Rows = Float[np.ndarray, "n_latents d_model"]


class PairMeasurement:
    """The pairs of one arm and seed on its tokens, and what is needed to test them."""

    def __init__(self, params: PairTest, tested: TestedTokens) -> None:
        """Count the co-firings, and fit every latent's own terms.

        Raises:
            ArtifactError: if no two latents fire together often enough, or there are fewer documents than
                blocks.
        """
        self.params, self.tested = params, tested
        n_documents = len(np.unique(tested.documents))
        if n_documents < params.n_blocks:
            raise ArtifactError(
                f"The split {params.split!r} holds tokens of {n_documents} documents, fewer than "
                f"interactions.n_blocks={params.n_blocks}. Set interactions.n_blocks to less, "
                "interactions.max_tokens to more, or give extract more text."
            )
        self.pairs = cofiring_pairs(tested.codes, params.min_cofirings)
        if not len(self.pairs.first):
            raise ArtifactError(
                f"No two latents of the arm {params.arm!r} fire together on {params.min_cofirings} of the "
                f"{tested.codes.shape[0]} tokens of the split {params.split!r}. Set "
                "interactions.min_cofirings to less, or interactions.max_tokens to more."
            )
        self.blocks = document_blocks(tested.documents, params.n_blocks)
        self.fit = without_own_terms(
            tested.codes, tested.residual, params.own_terms.max_steps, params.own_terms.tolerance
        )

    def table(self) -> pd.DataFrame:
        """One row per pair, in ascending order of its latents.

        first, second, cofirings      the two latents; tokens on which both fire
        overlap                       those tokens / tokens on which either fires
        cosine                        of the two decoder rows
        reliability                   the smaller one of the two latents'
        statistic, p_flips            `vector_test` of sum_t f_i f_j r_t, own terms removed
        statistic_with_own_terms      the same, own terms not removed
        effect                        estimated squared length of the effect of a product of mean size,
                                      in standardised variance; below 0 where the estimate is
        share_of_residual, _of_total  share of the residual's and of the activations' variance that the
                                      product explains
        dose_t, dose_p, dose_ratio, dose_error    `dose_response`; missing for pairs below the tail
        """
        pairs = self.pairs
        columns = self._tested(self.fit.residual) | {
            "statistic_with_own_terms": self._tested(self.tested.residual)["statistic"]
        }
        tail = np.flatnonzero(
            columns["statistic"] >= np.quantile(columns["statistic"], self.params.tail.begin)
        )
        columns |= self._doses(tail)
        fires = np.diff(self.tested.codes.tocsc().indptr)
        either = fires[pairs.first] + fires[pairs.second] - pairs.cofirings
        reliability = self.tested.reliability
        return pd.DataFrame(
            {
                "first": pairs.first,
                "second": pairs.second,
                "cofirings": pairs.cofirings,
                "overlap": pairs.cofirings / either,
                "cosine": _cosines(self.tested.rows, pairs),
                "reliability": np.minimum(reliability[pairs.first], reliability[pairs.second]),
                **columns,
            }
        )

    def _tested(self, residual: Float[np.ndarray, "tokens d_model"]) -> dict[str, np.ndarray]:
        n = len(self.pairs.first)
        found = {
            name: np.zeros(n)
            for name in (
                "statistic",
                "p_flips",
                "effect",
                "share_of_residual",
                "share_of_total",
            )
        }
        left_over = float(np.square(self.tested.residual, dtype=np.float64).sum())
        for sums in self._sums(residual, self.pairs, (PRODUCT,)):
            test = vector_test(sums.scores[:, 0])
            g_squares = sums.gram[:, :, 0, 0].sum(1)
            explained = test.squared_norm / g_squares
            at = sums.pairs
            found["statistic"][at], found["p_flips"][at] = test.statistic, test.p
            found["effect"][at] = explained / g_squares
            found["share_of_residual"][at] = explained / left_over
            found["share_of_total"][at] = explained / self.tested.variance
        return found

    def _doses(self, chosen: Int[np.ndarray, " chosen"]) -> dict[str, np.ndarray]:
        names = ("dose_t", "dose_p", "dose_ratio", "dose_error")
        found = {name: np.full(len(self.pairs.first), np.nan) for name in names}
        pairs, powers = self.pairs[chosen], magnitude_powers(self.tested.codes)
        n_tokens = self.tested.codes.shape[0]
        for sums in self._sums(self.fit.residual, pairs, REGRESSORS):
            left = left_by_own_terms(sums, pairs, powers, n_tokens)
            dose = dose_response(sums, left)
            at = chosen[sums.pairs]
            for name, values in zip(names, (dose.z, dose.p, dose.ratio, dose.error), strict=True):
                found[name][at] = values
        return found

    def _sums(
        self, residual: Float[np.ndarray, "tokens d_model"], pairs: Pairs, regressors: tuple
    ) -> Iterator[BlockSums]:
        sums = block_sums(
            self.tested.codes, residual, self.blocks, self.params.n_blocks, pairs, regressors
        )
        return (beside_own_rows(each, pairs, self.tested.rows) for each in sums)


def _cosines(rows: Rows, pairs: Pairs) -> Float[np.ndarray, " pairs"]:
    norms = np.linalg.norm(rows, axis=1)
    products = np.einsum("pd,pd->p", rows[pairs.first], rows[pairs.second])
    scale = norms[pairs.first] * norms[pairs.second]
    return np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)
