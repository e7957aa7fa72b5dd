"""`interactions recovery`: does the test find the planted pairs of a world, with learned codes, and no others?

Must not: define a statistic or a verdict, or train by another loop than the study's.
"""

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from fispace.chapters.interactions.codes import Batch, TestedTokens, encode
from fispace.chapters.interactions.conjunctions import of_pairs
from fispace.chapters.interactions.judged import Judged, judged_pairs
from fispace.chapters.interactions.tables import RECOVERY
from fispace.chapters.interactions.verdicts import CONJUNCTION, FOUND
from fispace.chapters.testbed.planted_arms import SAE_PARTS, Tokens, train_whole, world_tokens
from fispace.devices import prepare
from fispace.stats.intervals import over_repetitions
from fispace.stats.recovery import auc, match_features
from fispace.store.quantities import Frame
from fispace.store.tables import read_table, write_csv, write_table
from fispace.study.config.interactions import (
    InteractionsRecoveryStep,
    InteractionsRecoverySummaryStep,
)
from fispace.study.step import Reads, Writes, command
from fispace.testbed.planted import World, plant

log = logging.getLogger(__name__)

DOCUMENT_TOKENS = 8
"""Tokens that are taken for a document; the tokens of a world are independent."""
BATCH_TOKENS = 8192
SMALL_P = 1e-3


@command("interactions", "recovery", sections=("testbed",), target="full")
def measure_recovery(
    params: InteractionsRecoveryStep, *, world: int, shares: list[float], metrics: Writes
) -> None:
    """Write how well the pairs of one world are found at each share; long: world, share, metric, value.

    An SAE with bias is trained on the world's tokens, and the test is applied to the same tokens. A pair
    of features counts as found if some pair of latents that stand for them is an interaction or has a
    conjunction latent; a latent stands for the feature whose code correlates with its own the most. The
    metrics are

    auc_statistic, auc_dose    AUC of the planted pairs among all pairs of features, by the statistic or
                               the dose-response of the latents matched one to one to the features;
                               pairs of latents that fire together too rarely score lowest
    found_share                planted pairs that are found / planted pairs
    auc_either                 the same by `either_road`: the product is in the residual or in a latent
    claimed_pairs              pairs of latents that are interactions or have a conjunction latent
    conjunction_pairs          those that have a conjunction latent
    true_conjunction_pairs     those of them that stand for a planted pair
    false_pairs                those that stand for no planted pair
    has_false                  1 if there are any, else 0
    small_p_flips              share of the tested pairs that stand for no planted pair with p_flips < .001
    small_dose_p               the same for dose_p
    fvu_encoder, fvu_refit     FVU with the encoder's magnitudes, and of the tested codes

    Raises:
        DivergedError: if a loss becomes non-finite.
    """
    prepare(params.threads)
    test = params.changed(min_cofirings=params.world_min_cofirings)
    rows: list[dict[str, Any]] = []
    for share in shares:
        planted = plant(params.planted.world, share, params.root_seed, world)
        train, heldout = world_tokens(params, planted, world)
        arm = train_whole(params, world, "sae", "pairs", SAE_PARTS, train, heldout)
        tested = encode(params, arm.model, _batches(train))
        values = _measured(judged_pairs(test, tested), tested, train, planted)
        rows += [
            {"world": world, "share": share, "metric": metric, "value": value}
            for metric, value in values.items()
        ]
        log.info("world %d, share %g: %s", world, share, values)
    recipe = {"step": "interactions recovery", "world": world}
    write_table(metrics, pd.DataFrame(rows), recipe)


def _batches(tokens: Tokens) -> Iterator[Batch]:
    for begin in range(0, len(tokens.z), BATCH_TOKENS):
        z = tokens.z[begin : begin + BATCH_TOKENS]
        rows = np.arange(begin, begin + len(z))
        yield Batch(z, rows, rows // DOCUMENT_TOKENS)


def _measured(
    found_out: Judged, tested: TestedTokens, train: Tokens, world: World
) -> dict[str, float]:
    table = found_out.table
    codes, features = tested.codes.toarray(), train.features.cpu().numpy()
    is_planted = np.zeros((features.shape[1],) * 2, dtype=np.bool_)
    is_planted[world.pairs[:, 0], world.pairs[:, 1]] = True
    of_latent = nearest_features(features, codes)
    ends = of_latent[table[["first", "second"]].to_numpy()]
    low, high = ends.min(1), ends.max(1)
    is_true = is_planted[low, high]
    is_claimed = table["verdict"].isin(FOUND).to_numpy()
    found = set(zip(low[is_claimed & is_true], high[is_claimed & is_true], strict=True))
    matched = match_features(features, codes).latents
    n_false = int((is_claimed & ~is_true).sum())
    is_conjunction = (table["verdict"] == CONJUNCTION).to_numpy()
    null = table["q"].notna().to_numpy() & ~is_true
    return {
        "auc_statistic": _auc(table, "statistic", matched, is_planted),
        "auc_dose": _auc(table, "dose_t", matched, is_planted),
        "auc_either": _auc(either_road(found_out), "score", matched, is_planted),
        "found_share": len(found) / len(world.pairs) if len(world.pairs) else float("nan"),
        "claimed_pairs": int(is_claimed.sum()),
        "conjunction_pairs": int(is_conjunction.sum()),
        "true_conjunction_pairs": int((is_conjunction & is_true).sum()),
        "false_pairs": n_false,
        "has_false": float(n_false > 0),
        "small_p_flips": float((table["p_flips"][null] < SMALL_P).mean()),
        "small_dose_p": float((table["dose_p"][null] < SMALL_P).mean()),
        "fvu_encoder": tested.fvu_encoder,
        "fvu_refit": tested.fvu,
    }


def nearest_features(
    features: Float[np.ndarray, "tokens n_features"], codes: Float[np.ndarray, "tokens n_latents"]
) -> Int[np.ndarray, " n_latents"]:
    """The feature whose code correlates most with each latent's."""
    centred, other = features - features.mean(0), codes - codes.mean(0)
    products = centred.T.astype(np.float64) @ other
    scale = np.maximum(np.linalg.norm(centred, axis=0), np.finfo(np.float32).tiny)
    return (products / scale[:, None]).argmax(0)


def either_road(found_out: Judged) -> Frame:
    """-log p of every pair by whichever road is more significant: first, second, score.

    p is `p_either`; a pair that fires together too rarely for the pair test has 2 `conjunction_p`. Between
    equal p-values the statistic decides.
    """
    table = found_out.table
    triples = of_pairs(found_out.triples)
    p = pd.concat(
        [table[["first", "second"]].assign(p=table["p_either"], tie=table["statistic"]),
         triples[["first", "second"]].assign(p=2 * triples["conjunction_p"])]
    ).fillna({"p": 1.0, "tie": 0.0})  # fmt: skip
    p["score"] = -np.log(p["p"].clip(np.finfo(np.float64).tiny, 1.0))
    ranked = p.groupby(["first", "second"], as_index=False)[["score", "tie"]].max()
    order = np.lexsort((ranked["tie"], ranked["score"]))
    score = np.empty(len(ranked))
    score[order] = np.arange(len(ranked))
    return ranked.assign(score=score)[["first", "second", "score"]]


def _auc(
    table: Frame, score: str, matched: Int[np.ndarray, " n_features"],
    is_planted: Bool[np.ndarray, "n_features n_features"],
) -> float:  # fmt: skip
    """AUC over all pairs of features, by the score of their matched latents."""
    has_score = table[table[score].notna()]
    ends = has_score[["first", "second"]].itertuples(index=False, name=None)
    scores = dict(zip(ends, has_score[score], strict=True))
    lowest = float(has_score[score].min()) - 1
    first, second = np.triu_indices(len(matched), 1)
    ends = np.stack([matched[first], matched[second]])
    keys = zip(ends.min(0).tolist(), ends.max(0).tolist(), strict=True)
    values = np.array([scores.get(key, lowest) for key in keys])
    return auc(values, is_planted[first, second])


@command("interactions", "recovery-summary", target="full")
def summarise_recovery(
    params: InteractionsRecoverySummaryStep, *, metrics: list[Reads], table: Writes
) -> None:
    """Write means and t intervals over worlds of every metric, by share."""
    measured = pd.concat([read_table(path) for path in metrics], ignore_index=True)
    write_csv(table, over_repetitions(measured, ["share", "metric"], params.confidence), RECOVERY)
