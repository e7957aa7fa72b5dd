"""`interactions plots`: the numbers of the chapter's figure.

Must not: draw, or decide what a pair is.
"""

import numpy as np

from fispace.chapters.interactions.tables import LATENTS, PAIRS, VOLCANO_PLOT
from fispace.store.quantities import Frame
from fispace.store.tables import read_csv, write_csv
from fispace.study.config.interactions import InteractionsPlotsStep
from fispace.study.step import Reads, Writes, command

TOKEN_CHARACTERS = 12
"""Characters of a token that a label shows."""


@command("interactions", "plots")
def write_interaction_plots(
    params: InteractionsPlotsStep, *, table: Reads, latents: Reads, volcano: Writes
) -> None:
    """Write size and dose-response of the listed pairs of the first seed, and labels of the first ones.

    Labelled are the `n_labelled` pairs that are listed first: the first token of each latent, joined by a
    multiplication sign.
    """
    pairs, tokens = read_csv(table, PAIRS), read_csv(latents, LATENTS)
    own = pairs[pairs["seed"] == pairs["seed"].min()]
    write_csv(volcano, volcano_rows(own, tokens, params.n_labelled), VOLCANO_PLOT)


def volcano_rows(pairs: Frame, tokens: Frame, n_labelled: int) -> Frame:
    """One row per pair whose estimated share is above 0; the label is missing for most pairs."""
    sized = pairs[pairs["share_of_residual"] > 0]
    rows = sized.reset_index(drop=True)
    first_tokens = tokens[tokens["rank"] == 0].set_index(["seed", "latent"])["token"]
    labels: list[str | None] = [None] * len(rows)
    for place in rows.index[:n_labelled]:
        pair = rows.loc[place]
        words = [first_tokens.get((pair["seed"], pair[end])) for end in ("first", "second")]
        if None not in words:
            shown = (str(word).strip() or repr(word) for word in words)
            labels[place] = " × ".join(word[:TOKEN_CHARACTERS] for word in shown)
    floor = np.finfo(np.float64).tiny
    return rows.assign(minus_log10_p=-np.log10(np.maximum(rows["dose_p"], floor)), label=labels)[
        list(VOLCANO_PLOT.columns)
    ]
