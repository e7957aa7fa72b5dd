"""`factorial pairs`: the pairs of primary latents that contribute most to each chosen secondary latent.

Must not: choose a secondary latent, or read the confirm half.
"""

import logging
from typing import Any

import numpy as np
import pandas as pd

from fispace.chapters.factorial.design import Frame
from fispace.chapters.factorial.encoder_stack import Pipeline, load_pipeline, read_stimulus_tokens
from fispace.chapters.factorial.tables import CANDIDATES, PAIRS
from fispace.devices import prepare
from fispace.models.pairs import Pairs, active_pairs, pair_readout, pair_weights
from fispace.store.tables import read_csv, write_csv
from fispace.study.config.factorial import PairsStep
from fispace.study.step import Reads, Writes, command

log = logging.getLogger(__name__)


@command("factorial", "pairs")
def list_pairs(
    params: PairsStep, *, weights: Reads, standardiser: Reads, secondary: Reads, candidates: Reads,
    select: Reads, pairs: Writes,
) -> None:  # fmt: skip
    """Write the strongest pairs of each chosen secondary latent on the select half."""
    device = prepare(params.threads, params.device)
    pipe = load_pipeline(weights, standardiser, secondary, device=device)
    codes = pipe.model.sae.encode(read_stimulus_tokens(select, pipe.units).z)
    found = active_pairs(codes, pipe.model.config.n_latents)
    if pipe.model.interaction.no_pair_weights is not None:
        log.info("pairs have no weights: %s", pipe.model.interaction.no_pair_weights)
    chosen: Frame = read_csv(candidates, CANDIDATES)
    tables = [
        strongest_pairs(pipe, found, row, params.n_pairs)
        for row in chosen[chosen["space"] == "secondary"].to_dict("records")
    ]
    listed = pd.concat(tables, ignore_index=True) if tables else PAIRS.frame([])
    write_csv(pairs, listed.assign(arm=pipe.arm, seed=pipe.seed), PAIRS)


def strongest_pairs(
    pipe: Pipeline, pairs: Pairs, row: dict[str, Any], n_pairs: int
) -> pd.DataFrame:
    """Pairs with the largest mean |contribution| = |weight| mean(f_i f_j) to the pre-activation.

    `share` is the pair's share of the summed |contributions| of all pairs; it is small if no pair stands
    out. If the pooling gives pairs no weights, these are the pairs with the largest mean(f_i f_j), and
    their weights are missing.
    """
    readout, constant = pair_readout(pipe.model, pipe.secondary, row["latent"])
    weights = pair_weights(pipe.model, readout, pairs)
    contribution = weights * pairs.mean_product
    is_weighted = pipe.model.interaction.no_pair_weights is None
    size = np.abs(contribution) if is_weighted else pairs.mean_product
    order = np.argsort(-size, kind="stable")[:n_pairs]
    total = np.abs(contribution).sum()
    return pd.DataFrame(
        {
            "kind": row["kind"], "rank": row["rank"], "latent": row["latent"],
            "pair": np.arange(1, len(order) + 1), "first": pairs.first[order],
            "second": pairs.second[order], "weight": weights[order],
            "mean_product": pairs.mean_product[order], "contribution": contribution[order],
            "share": np.abs(contribution[order]) / total if total else np.nan,
            "constant": constant, "n_pairs": len(pairs.first),
        }
    )  # fmt: skip
