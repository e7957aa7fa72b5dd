"""`interactions contexts`: the text on which the first pairs of each seed fire, together and apart.

Must not: test a pair, or choose one.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from fispace.chapters.interactions.codes import (
    Magnitudes,
    TestedTokens,
    encode_split,
    magnitudes,
)
from fispace.chapters.interactions.tables import CONTEXTS, LATENTS, PAIRS
from fispace.devices import prepare
from fispace.lm.pieces import TokenTexts
from fispace.lm.window_batches import load_extracted_lm
from fispace.models.trained import load_trained
from fispace.stats.cofiring import SparseCodes
from fispace.store.activations import ActivationStore
from fispace.store.checkpoint import data_record
from fispace.store.split_text import read_text
from fispace.store.tables import read_csv, write_csv
from fispace.study.config.interactions import InteractionsContextsStep
from fispace.study.step import Reads, ReadsFolder, Writes, command

BOTH, ONLY_FIRST, ONLY_SECOND = "both", "only first", "only second"


@command("interactions", "contexts", sections=("extract",))
def write_contexts(
    params: InteractionsContextsStep, *, lm_folder: ReadsFolder | None, table: Reads,
    weights: list[Reads], manifest: Reads, standardiser: Reads, latents: Writes,
    contexts: Writes,
) -> None:  # fmt: skip
    """Write the tokens of every shown latent, and contexts of every shown pair.

    Shown are the first `n_shown` listed pairs of each seed. `latents` has the tokens on which a latent's
    summed magnitude is largest, with their share of it. `contexts` has tokens with text before and after:
    where both latents fire, those with the largest product of the magnitudes; where only one does, those
    whose magnitude is nearest to its median over the tokens of the first kind. One per document, as far as
    there are enough documents.

    Raises:
        ModelError: if the LM cannot be loaded.
        ArtifactMismatchError: if the store was extracted from another LM, or a checkpoint is of another
            arm, seed or store.
    """
    device = prepare(params.threads, params.device)
    store = ActivationStore(manifest)
    _, tokenizer = load_extracted_lm(params.lm, lm_folder, store)
    listed = read_csv(table, PAIRS)
    text = _Text(tokenizer, store, params)
    of_latents: list[dict[str, Any]] = []
    of_pairs: list[dict[str, Any]] = []
    for path in weights:
        expected = {"arm": params.arm} | data_record(manifest, standardiser)
        trained = load_trained(path, expected, device)
        seed = trained.record.seed
        shown = listed[listed["seed"] == seed].head(params.n_shown)
        tested = encode_split(params, trained.model, manifest, standardiser)
        columns = tested.codes.tocsc()
        for latent in np.unique(shown[["first", "second"]].to_numpy()).tolist():
            rows = text.top_tokens(tested, magnitudes(columns, latent))
            of_latents += [{"seed": seed, "latent": latent} | row for row in rows]
        for first, second in shown[["first", "second"]].to_numpy().tolist():
            rows = text.contexts(tested, columns, first, second)
            of_pairs += [{"seed": seed} | row for row in rows]
    write_csv(latents, LATENTS.frame(of_latents), LATENTS)
    write_csv(contexts, CONTEXTS.frame(of_pairs), CONTEXTS)


def chosen_tokens(
    score: Magnitudes, is_candidate: Bool[np.ndarray, " tokens"],
    documents: Int[np.ndarray, " tokens"], n: int,
) -> Int[np.ndarray, " chosen"]:  # fmt: skip
    """The `n` candidates of the largest score, each of another document as far as there are enough."""
    candidates = np.flatnonzero(is_candidate)
    ordered = candidates[np.argsort(-score[candidates], kind="stable")]
    _, first_of_document = np.unique(documents[ordered], return_index=True)
    is_first = np.zeros(len(ordered), dtype=bool)
    is_first[first_of_document] = True
    return np.concatenate([ordered[is_first], ordered[~is_first]])[:n]


def _typical(magnitude: Magnitudes, both: Bool[np.ndarray, " tokens"]) -> float:
    """Median magnitude where both fire; over all firings if a conjunction latent leaves no such token."""
    return float(np.median(magnitude[both if both.any() else magnitude > 0]))


class _Text:
    """Tokens of the split as text."""

    def __init__(
        self, tokenizer: Any, store: ActivationStore, params: InteractionsContextsStep
    ) -> None:
        self.texts, self.params = TokenTexts(tokenizer), params
        self.split = read_text(store, params.split)

    def top_tokens(self, tested: TestedTokens, magnitude: Magnitudes) -> Iterator[dict[str, Any]]:
        """The tokens that hold the largest shares of a latent's summed magnitude."""
        found, places = np.unique(self.split.token_ids[tested.rows], return_inverse=True)
        sums = np.bincount(places, magnitude, len(found))
        order = np.argsort(-sums, kind="stable")[: self.params.n_tokens]
        for rank, place in enumerate(order[sums[order] > 0].tolist()):
            token_id = int(found[place])
            yield {
                "rank": rank, "token_id": token_id, "token": self.texts.one(token_id),
                "share": float(sums[place] / sums.sum()),
            }  # fmt: skip

    def contexts(
        self, tested: TestedTokens, columns: SparseCodes, first_latent: int, second_latent: int
    ) -> Iterator[dict[str, Any]]:
        """Contexts of a pair: both latents fire, only the first does, only the second does."""
        first, second = magnitudes(columns, first_latent), magnitudes(columns, second_latent)
        both = (first > 0) & (second > 0)
        kinds = {
            BOTH: (first * second, both),
            ONLY_FIRST: (-np.abs(first - _typical(first, both)), (first > 0) & ~both),
            ONLY_SECOND: (-np.abs(second - _typical(second, both)), (second > 0) & ~both),
        }
        for fires, (score, is_candidate) in kinds.items():
            tokens = chosen_tokens(score, is_candidate, tested.documents, self.params.n_contexts)
            for rank, token in enumerate(tokens.tolist()):
                near, place = self.split.around(int(tested.rows[token]), self.params.context_tokens)
                pieces = self.texts.of_window(self.split.token_ids[near].tolist())
                yield {
                    "first": first_latent, "second": second_latent, "fires": fires, "rank": rank,
                    "document": int(tested.documents[token]), "row": int(tested.rows[token]),
                    "magnitude_first": float(first[token]),
                    "magnitude_second": float(second[token]),
                    "before": "".join(pieces[:place]), "token": pieces[place],
                    "after": "".join(pieces[place + 1 :]),
                }  # fmt: skip
