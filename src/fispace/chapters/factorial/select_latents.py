"""The latents chosen on the select half for the confirm half: candidates and their controls.

Must not: test, or read anything of the confirm half.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fispace.chapters.factorial.design import Frame
from fispace.seeds import numpy_stream
from fispace.stats.two_by_two import TTest
from fispace.study.config.factorial import DiscoverStep

INTERACTION = "interaction"

CANDIDATE, INSENSITIVE, RANDOM = "candidate", "insensitive", "random"
PRIMARY, MAIN, RESIDUAL = "primary", "main", "residual"

INSENSITIVE_P = 0.5
"""Smallest sign-flip p, on the select half, of an insensitive control."""

COLUMNS = ("kind", "rank", "space", "effect", "latent", "mean_activation", *TTest._fields)
COLUMNS += ("q", "p_sign_flip", "p_max", "n_items", "is_significant")


def choose_latents(
    params: DiscoverStep, discovery: Frame, names: Sequence[str | int]
) -> pd.DataFrame:
    """Latents to confirm, by kind and rank; a latent that never fires on the select half is not chosen.

    candidate     secondary, largest |t| of the interaction
    insensitive   secondary, sign-flip p >= 0.5, log mean activation nearest to its candidate's
    random        secondary, drawn at random from the others
    primary       primary, largest |t| of the interaction
    main          primary, largest |t| of each factor's main effect; rank 1 is the first factor
    residual      as `candidate`, from the control SAE on the residuals, if there is one
    """
    live = discovery[discovery["mean_activation"] > 0]
    tables = [
        frame.assign(kind=kind, rank=np.arange(1, len(frame) + 1))
        for kind, frame in _kinds(params, live, names)
    ]
    table: Any = pd.concat(tables, ignore_index=True)
    return table[list(COLUMNS)]


def _kinds(
    params: DiscoverStep, live: Frame, names: Sequence[str | int]
) -> Iterator[tuple[str, Frame]]:
    ranked = _strongest(live, "secondary", INTERACTION)
    candidates = ranked.head(params.n_candidates)
    others = ranked.iloc[len(candidates) :]
    insensitive = _nearest(candidates, others[others["p_sign_flip"] >= INSENSITIVE_P])
    rest = others[~others["latent"].isin(insensitive["latent"])].sort_values("latent")
    stream = numpy_stream(params.root_seed, "factorial", "controls", *names)
    drawn = stream.permutation(len(rest))[: len(candidates)]
    yield from ((CANDIDATE, candidates), (INSENSITIVE, insensitive), (RANDOM, rest.iloc[drawn]))
    yield PRIMARY, _strongest(live, "primary", INTERACTION).head(params.n_candidates)
    by_factor = [_strongest(live, "primary", factor.name).head(1) for factor in params.factors]
    yield MAIN, pd.concat(by_factor)
    yield RESIDUAL, _strongest(live, "residual", INTERACTION).head(params.n_candidates)


def _strongest(live: Frame, space: str, effect: str) -> Frame:
    """Rows of one space and test, largest |t| first; ties in the order of latents."""
    rows = live[(live["space"] == space) & (live["effect"] == effect)]
    sized = rows.assign(size=rows["t"].abs())
    return sized.sort_values(["size", "latent"], ascending=[False, True])


def _nearest(candidates: Frame, pool: Frame) -> Frame:
    """For each candidate the row of `pool` nearest in log mean activation; no row is used twice."""
    taken: list[int] = []
    for size in candidates["mean_activation"]:
        left = pool[~pool["latent"].isin(taken)]
        if left.empty:
            break
        distance = (np.log(left["mean_activation"]) - np.log(size)).abs()
        taken.append(int(left["latent"].iloc[int(distance.to_numpy().argmin())]))
    return pool.set_index("latent").loc[taken].reset_index()
