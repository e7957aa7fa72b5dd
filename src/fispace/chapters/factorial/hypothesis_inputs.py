"""From the chapter's long tables to questions: the values that test each hypothesis.

Must not: test, or choose a latent.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float

from fispace.chapters.factorial.design import Frame, by_cell
from fispace.chapters.factorial.hypothesis_tests import (
    ACTIVATION,
    PER_CLAMP,
    PER_QUANTILE,
    PLANTED_SLOPE,
    SLOPE,
    Question,
    contrasts_of,
)
from fispace.chapters.factorial.tables import KEYS
from fispace.stats.mixed import fit_crossed
from fispace.store.responses import Responses
from fispace.study.config.factorial import IDENTITY, InferStep

MULTIPLY, SET = "multiply", "set"
SLOPE_UNIT = "nats per unit of multiplier"


def activation_questions(
    params: InferStep, candidates: Frame, responses: dict[int, Responses]
) -> Iterator[Question]:
    """Questions whether a latent itself responds to the conjunction on the confirm items."""
    for row in candidates.to_dict("records"):
        found = responses[row["seed"]]
        values = found.activations[row["space"]][:, [row["latent"]]]
        cells = by_cell(found.texts, values, params.factors)
        bound = params.equivalence.activation * row["mean_activation"]
        key = {name: row[name] for name in KEYS}
        yield Question(
            key, ACTIVATION, np.nan, "activation", contrasts_of(cells), cells, bound, np.nan, None
        )


def clamp_questions(params: InferStep, effects: Frame, shares: Frame) -> Iterator[Question]:
    """Questions whether clamping a latent moves the words of the four cells non-additively.

    One question for the slope over all multipliers, and one for each multiplier.
    """
    own = effects[effects["mode"] == MULTIPLY]
    for key, rows in own.groupby(list(KEYS), sort=True):
        named: dict[str, Any] = dict(zip(KEYS, key, strict=True))
        arrays = {
            clamp: word_array(rows[rows["clamp"] == clamp], params)
            for clamp in params.clamps
            if clamp != IDENTITY
        }
        share = active_share(shares, named)
        slope = slope_over(arrays)
        bound, fit = params.equivalence.clamp_slope, fit_crossed(slope, 1 - params.alpha)
        yield Question(
            named, SLOPE, np.nan, SLOPE_UNIT, contrasts_of(slope), slope, bound, share, fit
        )
        for clamp, array in arrays.items():
            width = abs(clamp - IDENTITY) * bound
            yield Question(
                named, PER_CLAMP, clamp, "nats", contrasts_of(array), array, width, share, None
            )


def set_questions(params: InferStep, effects: Frame) -> Iterator[Question]:
    """The same for a latent that is set to a quantile of its activations at every token."""
    own = effects[effects["mode"] == SET]
    for key, rows in own.groupby([*KEYS, "clamp"], sort=True):
        named: dict[str, Any] = dict(zip(KEYS, key[:-1], strict=True))
        array, bound = word_array(rows, params), params.equivalence.clamp_slope
        contrasts = contrasts_of(array)
        yield Question(named, PER_QUANTILE, key[-1], "nats", contrasts, array, bound, np.nan, None)


def planted_contrast_questions(
    params: InferStep, planted: Frame, shares: Frame
) -> Iterator[Question]:
    """Questions whether clamping a latent moves the contrast that the grammar planted."""
    own = planted[planted["mode"] == MULTIPLY]
    for key, rows in own.groupby(list(KEYS), sort=True):
        named: dict[str, Any] = dict(zip(KEYS, key, strict=True))
        wide = rows.pivot_table(index="item", columns="clamp", values="value")
        arrays = {clamp: wide[clamp].to_numpy() for clamp in params.clamps if clamp != IDENTITY}
        share, bound = active_share(shares, named), params.equivalence.planted_slope
        yield Question(
            named, PLANTED_SLOPE, np.nan, SLOPE_UNIT, slope_over(arrays), None, bound, share, None
        )


def slope_over(effects: dict[float, np.ndarray]) -> np.ndarray:
    """Least-squares slope over the multipliers, through zero at multiplier 1.

    Clamps of one latent move along one direction, so together they test one hypothesis: the slope.
    """
    offsets = np.array([clamp - IDENTITY for clamp in effects])
    weights = offsets / np.square(offsets).sum()
    return np.tensordot(weights, np.stack(list(effects.values())), axes=1)


def word_array(effects: Frame, params: InferStep) -> Float[np.ndarray, "items 2 2 words"]:
    """Effects of one latent and clamp in nats; the words of a cell are in alphabetical order."""
    cell = ["item", *(factor.name for factor in params.factors)]
    order = effects.sort_values(["item", "word"], kind="stable")
    order = order.assign(place=order.groupby(cell).cumcount())
    wide = order.pivot(index=cell, columns="place", values="value").reset_index()
    return by_cell(wide, wide.drop(columns=cell).to_numpy(), params.factors)


def active_share(shares: Frame, key: dict[str, Any]) -> float:
    """Share of the contexts in which a latent is active; NaN for a direction or the linear part."""
    name = f"active_prompts_{key['kind']}_{key['rank']}"
    own = shares[(shares["metric"] == name) & (shares["seed"] == key["seed"])]["value"]
    return float(own.iloc[0]) if len(own) else float("nan")
