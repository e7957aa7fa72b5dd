"""`factorial discover`: tests of every latent on the select half, and the choice of latents to confirm.

Must not: read anything of the confirm half.
"""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from fispace.chapters.factorial.design import SELECT, Frame, by_cell, require_same
from fispace.chapters.factorial.select_latents import INTERACTION, choose_latents
from fispace.chapters.factorial.tables import CANDIDATES, DISCOVERY
from fispace.seeds import numpy_stream
from fispace.stats.two_by_two import (
    SignFlip,
    TTest,
    benjamini_hochberg,
    interaction_contrasts,
    one_sample_t,
    sign_flip_test,
    sign_flips,
    welch_t,
)
from fispace.store.responses import read_responses
from fispace.store.tables import write_csv, write_table
from fispace.study.config.factorial import DiscoverStep
from fispace.study.step import Reads, Writes, command

log = logging.getLogger(__name__)


@command("factorial", "discover")
def discover(
    params: DiscoverStep, *, responses: Reads, discovery: Writes, candidates: Writes
) -> None:
    """Write the test of every latent on the select half, and the latents chosen to be confirmed.

    Raises:
        ArtifactMismatchError: if the responses are not those of the select half.
    """
    found = read_responses(responses)
    require_same(responses, "half", found.recipe["half"], SELECT)
    key = {"arm": found.recipe["arm"], "seed": found.recipe["seed"]}
    names = (key["arm"], key["seed"])
    table = discovery_table(params, found.texts, found.activations, names)
    recipe = params.plain() | key | {"step": "factorial discover", "half": SELECT}
    write_table(discovery, table.assign(**key), recipe)
    write_csv(candidates, choose_latents(params, table, names).assign(**key), CANDIDATES)


def discovery_table(
    params: DiscoverStep,
    texts: Frame,
    activations: dict[str, np.ndarray],
    names: Sequence[str | int],
) -> pd.DataFrame:
    """One row per space, test and latent of the select half; `names` identify the random stream.

    Main effects: Welch's t between the item means of a factor's two levels, corrected by
    Benjamini-Hochberg over all latents of the space. Interaction: the per-item contrast, corrected
    by its max-|t| sign-flip null over all latents of the space.

    Raises:
        NonFiniteError: if a latent's values give no finite statistic; names space, effect and latent.
    """
    found: list[pd.DataFrame] = []
    for space, values in sorted(activations.items()):
        cells = by_cell(texts, values, params.factors)
        for axis, factor in enumerate(params.factors, start=1):
            by_level = np.moveaxis(cells.mean(3 - axis), 1, 0)
            test = welch_t(by_level[1], by_level[0], 1 - params.alpha)
            found.append(_rows(params, space, factor.name, cells, test, None))
        contrasts = interaction_contrasts(cells)
        _warn_of_few_items(len(contrasts), params.alpha)
        stream = numpy_stream(params.root_seed, "factorial", "discover", space, *names)
        flips = sign_flips(len(contrasts), params.n_permutations, stream)
        test = one_sample_t(contrasts, 1 - params.alpha)
        flipped = sign_flip_test(contrasts, flips)
        found.append(_rows(params, space, INTERACTION, cells, test, flipped))
    table = pd.concat(found, ignore_index=True)
    DISCOVERY.require_finite(table, " of " + ", ".join(map(str, names)))
    return table


def _warn_of_few_items(n_items: int, alpha: float) -> None:
    """Warn if no p can reach alpha: a sign pattern and its opposite have one |t|, so p >= 2 / 2^items."""
    if 2 / 2**n_items > alpha:
        log.warning(
            "the select half has %d items: sign flips give no p below %.2g, so none reaches alpha=%g",
            n_items, 2 / 2**n_items, alpha,
        )  # fmt: skip


def _rows(
    params: DiscoverStep, space: str, effect: str, cells: np.ndarray, test: TTest,
    flipped: SignFlip | None,
) -> pd.DataFrame:  # fmt: skip
    q = benjamini_hochberg(test.p)
    alone, corrected = (np.nan, np.nan) if flipped is None else (flipped.p, flipped.p_max)
    return pd.DataFrame(
        {
            "space": space,
            "effect": effect,
            "latent": np.arange(cells.shape[-1]),
            "mean_activation": cells.mean((0, 1, 2)),
            **{name: getattr(test, name) for name in TTest._fields},
            "q": q,
            "p_sign_flip": alone,
            "p_max": corrected,
            "n_items": len(cells),
            "is_significant": (q if flipped is None else flipped.p_max) <= params.alpha,
        }
    )
