"""`fidelity shapley`: what each part of an arm contributes, from the losses of all sets of its parts.

There are two forms. In `published`, the SAE is always present, and the players are `linear`, `bias` and
`interaction`. The SAE's decoder and the linear part read the same codes and act as one decoder
W_dec + W_lin. How that sum is divided between them is arbitrary, and so are these shares. In
`canonical`, the players are this one `decoder`, `bias` and `interaction`, and the empty coalition is
the train split's mean activation. Its shares do not depend on the division.

Must not: measure; it reads sums.
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
    Resampled,
    TableRow,
    metric_samples,
    read_sums,
    resampled_documents,
    rows_by_condition,
    sizes,
)
from fispace.chapters.fidelity.tables import CANONICAL, PUBLISHED, SHAPLEY, SHARED_METRICS
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
from fispace.store.quantities import Frame
from fispace.store.tables import write_csv, write_table
from fispace.study.config.fidelity import FidelityTableStep
from fispace.study.config.parts import DECODERS
from fispace.study.step import Reads, Writes, command

DECODER = "decoder"
LossByParts = dict[frozenset[str], np.ndarray]
"""Loss of the reconstruction by a set of parts: the estimate, then its resamples."""


@command("fidelity", "shapley")
def shapley_decomposition(
    params: FidelityTableStep,
    *,
    documents: list[Reads],
    bounds: Reads,
    shapley: Writes,
    table: Writes,
) -> None:
    """Write Shapley and leave-one-out values and shares of every arm and seed, as Parquet and as CSV.

    Raises:
        ArtifactError: if a table is missing or damaged.
    """
    rows = read_sums(documents, bounds)
    drawn = resampled_documents(rows, params.root_seed, params.n_bootstrap)
    result = shapley_table(rows, drawn, params.confidence)
    write_table(shapley, result, {"step": "fidelity shapley", "params": params.plain()})
    write_csv(table, result, SHAPLEY)


def shapley_table(
    rows: Frame, documents: Mapping[str, Resampled], confidence: float
) -> pd.DataFrame:
    """Long table (arm seed split form part metric measure unit value low high n_documents n_tokens).

    The value of a coalition is the loss that it removes. `shapley` and `leave_one_out` are in the
    metric's unit. `*_share` divides them by the loss that all players remove together, and is
    undefined if that is not positive. Special tokens are masked.
    """
    losses, counts = _losses(rows, documents)
    nothing = {key[2]: of_arm for key, of_arm in losses.items() if key[0] == NO_ARM}
    found: list[TableRow] = []
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
) -> tuple[dict[tuple[Any, ...], dict[str, LossByParts]], dict[str, dict[str, int]]]:
    """Losses by (arm, seed, split), metric and set of parts; the sizes of each split."""
    conditions_used = rows["condition"].isin((RECONSTRUCTION, MEAN_ABLATION))
    kept = rows[(rows["special_tokens"] == MASKED) & conditions_used]
    losses: dict[tuple[Any, ...], dict[str, LossByParts]] = {}
    counts: dict[str, dict[str, int]] = {}
    for named, by_document in rows_by_condition(kept, documents):
        split = str(named["split"])
        counts[split] = sizes(by_document)
        parts = frozenset(filter(None, str(named["parts"]).split("+")))
        of_arm = losses.setdefault((named["arm"], named["seed"], split), {})
        for metric in SHARED_METRICS:
            samples = metric_samples(by_document, metric, documents[split].weights)
            if samples is not None:
                of_arm.setdefault(metric, {})[parts] = samples
    return losses, counts


def games(losses: LossByParts, nothing: np.ndarray) -> dict[str, Game]:
    """Both forms as cooperative games: the value of a coalition is minus the loss of its reconstruction.

    Args:
        losses: of every set of parts that keeps `sae`, and of every set without `sae` and `linear`.
        nothing: loss of the mean activation, the reconstruction without any part.
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


def _game_rows(game: Game, unit: str, confidence: float) -> Iterator[TableRow]:
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
