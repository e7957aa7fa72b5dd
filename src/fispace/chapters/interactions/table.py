"""`interactions table`: the pairs of all seeds that come first, and whether other seeds find them again.

Must not: measure a pair, or decide what it is.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from fispace.chapters.interactions.partners import partners
from fispace.chapters.interactions.tables import PAIRS, SUMMARY
from fispace.chapters.interactions.verdicts import CONJUNCTION, FOUND, LISTED_FIRST
from fispace.models.trained import load_trained
from fispace.store.quantities import Frame
from fispace.store.tables import read_recipe, read_table, write_csv
from fispace.study.config.interactions import InteractionsTableStep
from fispace.study.step import Reads, Writes, command

Rows = Float[np.ndarray, "n_latents d_model"]


@command("interactions", "table")
def tabulate_pairs(
    params: InteractionsTableStep, *, pairs: list[Reads], summaries: list[Reads],
    weights: list[Reads], table: Writes, summary: Writes,
) -> None:  # fmt: skip
    """Write the listed pairs of every seed, and the summaries of all seeds.

    Listed are, for each seed, `n_listed` tested pairs: by verdict, interactions first, and within a verdict
    by the p-value of the dose-response. `n_other_seeds` counts the other seeds in which both latents have
    a partner and these partners are a tested pair, and `n_found_again` those in which that pair is an
    interaction or has a conjunction latent. See `partners`.

    Raises:
        ArtifactError: if a table or a checkpoint is missing or damaged.
    """
    tables = {int(read_recipe(path)["seed"]): read_table(path) for path in pairs}
    rows = dict(_rows(path) for path in weights)
    frames = [_listed(tables, rows, seed, params) for seed in sorted(tables)]
    write_csv(table, pd.concat(frames, ignore_index=True), PAIRS)
    numbers = pd.concat([read_table(path) for path in summaries], ignore_index=True)
    write_csv(summary, numbers.sort_values(["arm", "seed"], kind="stable"), SUMMARY)


def _rows(path: Path) -> tuple[int, Rows]:
    trained = load_trained(path, {})
    return trained.record.seed, trained.model.added_rows().cpu().numpy()


def _listed(
    tables: Mapping[int, Frame], rows: Mapping[int, Rows], seed: int, params: InteractionsTableStep
) -> Frame:
    own = tables[seed]
    tested = own[own["q"].notna() | (own["verdict"] == CONJUNCTION)]
    places = tested["verdict"].map({name: place for place, name in enumerate(LISTED_FIRST)})
    order = tested.assign(place=places).sort_values(
        ["place", "dose_p", "first", "second"], kind="stable"
    )
    listed = order.head(params.n_listed).drop(columns="place")
    n_other, n_again = np.zeros((2, len(listed)), dtype=np.int64)
    for other in sorted(set(tables) - {seed}):
        of = partners(rows[seed], rows[other], params.match_cosine)
        is_tested, is_found = _found(listed, tables[other], of)
        n_other += is_tested
        n_again += is_found
    listed["n_other_seeds"], listed["n_found_again"] = n_other, n_again
    return listed[list(PAIRS.columns)]


def _found(
    listed: Frame, other: Frame, of: Int[np.ndarray, " n_latents"]
) -> tuple[np.ndarray, np.ndarray]:
    """Whether each listed pair is tested, and whether it combines, among the other seed's pairs."""
    tested = other[other["q"].notna() | (other["verdict"] == CONJUNCTION)]
    states = {
        (first, second): verdict in FOUND
        for first, second, verdict in zip(
            tested["first"], tested["second"], tested["verdict"], strict=True
        )
    }
    ends = np.stack([of[listed["first"]], of[listed["second"]]])
    keys = list(zip(ends.min(0).tolist(), ends.max(0).tolist(), strict=True))
    is_tested = np.array([key in states for key in keys], dtype=np.int64)
    is_found = np.array([states.get(key, False) for key in keys], dtype=np.int64)
    return is_tested, is_found
