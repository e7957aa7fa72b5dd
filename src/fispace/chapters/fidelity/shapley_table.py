"""What each part of an arm contributes: Shapley and leave-one-out values from its ablation table.

Two forms of the same model. `published`: the SAE is always there, and `linear`, `bias` and `interaction`
are the players. The decoder of the SAE and the linear part see the same codes and act as one decoder
W_dec + W_lin; how the sum is divided between them is arbitrary, and so are these shares. `canonical`:
the players are that one `decoder`, `bias` and `interaction`, and the empty coalition is the train
split's mean activation. Nothing in it depends on the division.

Must not: read files.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from fispace.chapters.fidelity.document_sums import (
    MASKED,
    MEAN_ABLATION,
    NO_ARM,
    RECONSTRUCTION,
    Frame,
    Resampled,
    conditions,
    metric_samples,
    sizes,
)
from fispace.stats.bootstrap import interval_of
from fispace.stats.shapley import (
    Coalition,
    Game,
    coalitions,
    leave_one_out,
    shapley_value,
    total_value,
)
from fispace.store.metric_registry import FRACTION, unit_of
from fispace.study.config.parts import DECODERS

SHARED = ("fvu", "kl", "excess_ce")
PUBLISHED, CANONICAL, DECODER = "published", "canonical", "decoder"
Losses = dict[frozenset[str], np.ndarray]
"""Loss of the reconstruction by a set of parts, estimate and resamples."""


def shapley_table(
    rows: Frame, documents: Mapping[str, Resampled], confidence: float
) -> pd.DataFrame:
    """Long table (arm seed split form part metric measure unit value low high n_documents n_tokens).

    The value of a coalition is the loss that it removes. `shapley_value` and `leave_one_out` are in the
    metric's unit; `*_share` divides them by what all players remove together, and is undefined where
    that is not positive. Special tokens are masked.
    """
    losses, counts = _losses(rows, documents)
    nothing = {key[2]: of_arm for key, of_arm in losses.items() if key[0] == NO_ARM}
    found: list[dict[str, Any]] = []
    for (arm, seed, split), of_arm in losses.items():
        for metric, of_parts in of_arm.items() if arm != NO_ARM else ():
            own = {"arm": arm, "seed": seed, "split": split, "metric": metric}
            empty = nothing[split][metric][frozenset()]
            for form, game in games(of_parts, empty).items():
                rows_of_game = _game_rows(game, unit_of(metric), confidence)
                found += [own | {"form": form} | row | counts[split] for row in rows_of_game]
    return pd.DataFrame(found)


def _losses(
    rows: Frame, documents: Mapping[str, Resampled]
) -> tuple[dict[tuple[Any, ...], dict[str, Losses]], dict[str, dict[str, int]]]:
    """Losses by (arm, seed, split), metric and set of parts; the sizes of each split."""
    conditions_used = rows["condition"].isin((RECONSTRUCTION, MEAN_ABLATION))
    kept = rows[(rows["special_tokens"] == MASKED) & conditions_used]
    losses: dict[tuple[Any, ...], dict[str, Losses]] = {}
    counts: dict[str, dict[str, int]] = {}
    for named, by_document in conditions(kept, documents):
        split = str(named["split"])
        counts[split] = sizes(by_document)
        parts = frozenset(filter(None, str(named["parts"]).split("+")))
        of_arm = losses.setdefault((named["arm"], named["seed"], split), {})
        for metric in SHARED:
            samples = metric_samples(by_document, metric, documents[split].weights)
            if samples is not None:
                of_arm.setdefault(metric, {})[parts] = samples
    return losses, counts


def games(losses: Losses, nothing: np.ndarray) -> dict[str, Game]:
    """The two forms as games; the value of a coalition is minus the loss of its reconstruction.

    Args:
        losses: of every set of parts that keeps `sae`, and of every set without `sae` and `linear`.
        nothing: loss of the mean activation, in which no part takes part.
    """
    parts = max(losses, key=len)
    beside = sorted(parts - {"sae"})
    others = sorted(parts - {*DECODERS})
    decoder = parts & {*DECODERS}
    published = {s: -losses[s | {"sae"}] for s in coalitions(beside)}
    canonical: dict[Coalition, np.ndarray] = {}
    for chosen in coalitions([DECODER, *others]):
        merged = (chosen - {DECODER}) | (decoder if DECODER in chosen else frozenset[str]())
        canonical[chosen] = -(losses[merged] if merged else nothing)
    return {PUBLISHED: published, CANONICAL: canonical} if beside else {CANONICAL: canonical}


def _game_rows(game: Game, unit: str, confidence: float) -> Iterator[dict[str, Any]]:
    total = total_value(game)
    for part in sorted(max(game, key=len)):
        for measure, value in (("shapley", shapley_value), ("leave_one_out", leave_one_out)):
            amount = value(game, part)
            share = np.divide(amount, total, out=np.full_like(total, np.nan), where=total > 0)
            for name, samples, own_unit in (
                (measure, amount, unit),
                (f"{measure}_share", share, FRACTION),
            ):
                interval = interval_of(samples, confidence)._asdict()
                yield {"part": part, "measure": name, "unit": own_unit} | interval
