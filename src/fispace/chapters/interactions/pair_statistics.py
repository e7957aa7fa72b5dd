"""Every statistic of every pair of latents that fire together, as one row per pair.

Must not: decide what a pair is, or write a file.
"""

import logging
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from fispace.chapters.interactions.codes import TestedTokens, reliabilities
from fispace.errors import ArtifactError
from fispace.stats.block_scores import (
    PRODUCT,
    BlockSums,
    Regressor,
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

log = logging.getLogger(__name__)

Rows = Float[np.ndarray, "n_latents d_model"]


TESTS = (
    "statistic", "p_flips", "effect", "share_of_residual", "share_of_total",
    "dose_t", "dose_p", "dose_ratio", "dose_error",
)  # fmt: skip


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
                f"The tested tokens come from {n_documents} documents, fewer than "
                f"interactions.n_blocks={params.n_blocks}. Set interactions.n_blocks to less, "
                "interactions.max_tokens to more, or give extract more text."
            )
        self.pairs = cofiring_pairs(tested.codes, params.min_cofirings)
        if not len(self.pairs.first):
            raise ArtifactError(
                f"No two latents fire together on {params.min_cofirings} of the "
                f"{tested.codes.shape[0]} tested tokens. Set interactions.min_cofirings to less, or "
                "interactions.max_tokens to more."
            )
        self.reliability = reliabilities(tested)
        self.blocks = document_blocks(tested.documents, params.n_blocks)
        self.fit = without_own_terms(
            tested.codes, tested.residual, params.own_terms.max_steps, params.own_terms.tolerance
        )
        if self.fit.gradient > params.own_terms.tolerance:
            log.warning(
                "The fit of the latents' own terms did not converge: after %d steps a gradient is %.2g of the "
                "first, more than interactions.own_terms.tolerance=%g. What is left of a latent's own effect "
                "may pass for a product; set interactions.own_terms.max_steps to more.",
                self.fit.steps, self.fit.gradient, params.own_terms.tolerance,
            )  # fmt: skip

    def table(self) -> pd.DataFrame:
        """One row per pair, in ascending order of its latents.

        first, second, cofirings      the two latents; tokens on which both fire
        overlap                       those tokens / tokens on which either fires
        cosine                        of the two decoder rows
        reliability                   the smaller one of the two latents'
        statistic, p_flips            `vector_test` of sum_t f_i f_j r_t, own terms removed
        statistic_with_own_terms      the same, own terms not removed
        effect                        estimated squared length of what a product of mean size adds, in
                                      standardised variance; below 0 where the estimate is
        share_of_residual, _of_total  share of the residual's and of the activations' sum of squares that
                                      the product explains beyond the two latents' own terms
        dose_t, dose_p, dose_ratio, dose_error    `dose_response`
        """
        pairs, fires = self.pairs, np.diff(self.tested.codes.tocsc().indptr)
        either = fires[pairs.first] + fires[pairs.second] - pairs.cofirings
        reliability = self.reliability
        return pd.DataFrame(
            {
                "first": pairs.first,
                "second": pairs.second,
                "cofirings": pairs.cofirings,
                "overlap": pairs.cofirings / either,
                "cosine": _cosines(self.tested.decoder, pairs),
                "reliability": np.minimum(reliability[pairs.first], reliability[pairs.second]),
                **self._tests(),
                "statistic_with_own_terms": self._statistic_with_own_terms(),
            }
        )

    def _tests(self) -> dict[str, np.ndarray]:
        found = {name: np.zeros(len(self.pairs.first)) for name in TESTS}
        powers, n_tokens = magnitude_powers(self.tested.codes), self.tested.codes.shape[0]
        left_over = float(np.square(self.tested.residual, dtype=np.float64).sum())
        for sums in self._sums(self.fit.residual, REGRESSORS):
            test = vector_test(sums.scores[:, -1])
            left = left_by_own_terms(sums, self.pairs, powers, n_tokens)
            dose = dose_response(sums, left)
            g_squares = sums.gram[:, :, -1, -1].sum(1) * left
            explained = test.squared_norm / g_squares
            values = (
                test.statistic, test.p, explained / g_squares, explained / left_over,
                explained / self.tested.variance, dose.z, dose.p, dose.ratio, dose.error,
            )  # fmt: skip
            for name, column in zip(TESTS, values, strict=True):
                found[name][sums.pairs] = column
        return found

    def _statistic_with_own_terms(self) -> Float[np.ndarray, " pairs"]:
        found = np.zeros(len(self.pairs.first))
        for sums in self._sums(self.tested.residual, (PRODUCT,)):
            found[sums.pairs] = vector_test(sums.scores[:, 0]).statistic
        return found

    def _sums(
        self, residual: Float[np.ndarray, "tokens d_model"], regressors: Sequence[Regressor]
    ) -> Iterator[BlockSums]:
        sums = block_sums(
            self.tested.codes, residual, self.blocks, self.params.n_blocks, self.pairs, regressors
        )
        return (beside_own_rows(each, self.pairs, self.tested.decoder) for each in sums)


def _cosines(rows: Rows, pairs: Pairs) -> Float[np.ndarray, " pairs"]:
    wide = rows.astype(np.float64)
    norms = np.linalg.norm(wide, axis=1)
    products = np.einsum("pd,pd->p", wide[pairs.first], wide[pairs.second])
    scale = norms[pairs.first] * norms[pairs.second]
    return np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)
