"""`factorial infer`: the declared family of tests on the confirm half, and what figures plot of it.

Must not: choose a latent, a clamp or a test; all are given before it sees a number.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from fispace.config.factorial import IDENTITY, FactorConfig, InferStep
from fispace.measure.factorial import (
    benjamini_hochberg,
    interaction_contrasts,
    one_sample_t,
    sign_flip_test,
    sign_flips,
)
from fispace.measure.factorial_anova import Effect, published_anova, two_way_anova
from fispace.seeds import numpy_stream
from fispace.steps.factorial.cells import Frame, by_cell
from fispace.steps.factorial.halves import require_same
from fispace.stimuli.split import CONFIRM
from fispace.store.responses import Responses, read_responses
from fispace.store.tables import read_csv, read_table, write_csv, write_table

log = logging.getLogger(__name__)

ACTIVATION, SLOPE, PER_CLAMP = "activation", "clamp_slope", "clamp"


FAMILIES = (ACTIVATION, SLOPE, PER_CLAMP)
"""Declared before the run: the latent's activation on the confirm items; its clamping effect as one
slope; and, beside it, every clamp on its own, as published. Candidates and each kind of control are
separate families; all seeds belong to one."""


KEYS = ("arm", "seed", "kind", "rank", "latent")


class Question(NamedTuple):
    """One hypothesis: no interaction in these values."""

    family: str
    clamp: float
    """Multiplier; NaN where the family has none."""
    unit: str
    cells: Float[np.ndarray, "items 2 2 1"]
    replicates: Float[np.ndarray, "rows 2 2"]
    """What the published analysis takes for independent replicates."""


def infer(
    params: InferStep, *, candidates: list[Path], responses: list[Path], effects: list[Path],
    quality: list[Path], checks: list[Path], family: Path, table: Path, cells: Path, points: Path,
    secondary: Path,
) -> None:  # fmt: skip
    """Write the declared family of tests on the confirm half, all seeds, and the plotted tables.

    Raises:
        ArtifactMismatchError: if responses are not those of the confirm half.
    """
    by_seed = {}
    for path in responses:
        found = read_responses(path)
        require_same(path, "half", found.recipe["half"], CONFIRM)
        by_seed[found.recipe["seed"]] = found
    chosen = pd.concat([read_csv(path) for path in candidates], ignore_index=True)
    changes = pd.concat([read_table(path) for path in effects], ignore_index=True)
    tests = family_table(params, chosen, by_seed, changes)
    recipe = asdict(params) | {"step": "factorial infer", "families": list(FAMILIES)}
    write_table(family, tests, recipe)
    write_csv(table, tests)
    write_csv(cells, clamp_cells(params, changes))
    write_csv(points, clamp_items(params, changes))
    numbers: Any = pd.concat([read_table(path) for path in (*quality, *checks)], ignore_index=True)
    write_csv(secondary, numbers[["arm", "seed", "split", "metric", "unit", "value", "n"]])
    log.info("%d of %d tests significant", int(np.sum(tests["is_significant"])), len(tests))


def family_table(
    params: InferStep, candidates: Frame, responses: dict[int, Responses], effects: Frame
) -> pd.DataFrame:
    """One row per latent and question of the family, corrected, with the ANOVAs beside."""
    rows: list[dict[str, Any]] = []
    for latent in candidates.itertuples():
        own = effects[
            (effects["seed"] == latent.seed)
            & (effects["latent"] == latent.latent)
            & (effects["kind"] == latent.kind)
        ]
        for question in _questions(params, latent, responses[latent.seed], own):
            names = (latent.seed, latent.kind, latent.rank, question.family, str(question.clamp))
            stream = numpy_stream(params.root_seed, "factorial", "infer", *names)
            key = {
                name: getattr(latent, name) for name in ("arm", "seed", "kind", "rank", "latent")
            }
            rows.append(key | _answer(params, question, stream))
    return _corrected(pd.DataFrame(rows), params.alpha)


def _questions(
    params: InferStep, latent: Any, responses: Responses, effects: Frame
) -> Iterator[Question]:
    values = responses.activations["secondary"][:, [latent.latent]]
    cells = by_cell(responses.texts, values, params.factors)
    yield Question(ACTIVATION, np.nan, "activation", cells, cells[..., 0])
    others = [clamp for clamp in params.clamps if clamp != IDENTITY]
    arrays = {clamp: word_array(effects[effects["clamp"] == clamp], params) for clamp in others}
    offsets = np.array([clamp - IDENTITY for clamp in others])
    weights = offsets / np.square(offsets).sum()
    # one linear direction clamped several times is one effect: least squares through multiplier 1
    slope = np.tensordot(weights, np.stack([arrays[clamp] for clamp in others]), axes=1)
    yield _word_question(SLOPE, np.nan, "nats per unit of multiplier", slope)
    for clamp, array in arrays.items():
        yield _word_question(PER_CLAMP, clamp, "nats", array)


def _word_question(family: str, clamp: float, unit: str, array: np.ndarray) -> Question:
    """Words of a cell are averaged within an item; the published rows are item x word pairs."""
    n_items, n_words = array.shape[0], array.shape[3]
    rows = np.moveaxis(array, 3, 1).reshape(n_items * n_words, 2, 2)
    return Question(family, clamp, unit, array.mean(3, keepdims=True), rows)


def word_array(effects: Frame, params: InferStep) -> Float[np.ndarray, "items 2 2 words"]:
    """Effects of one latent and clamp; words of a cell in the order of the table."""
    order = effects.assign(place=effects.groupby(["item", *_names(params.factors)]).cumcount())
    n_words = int(order["place"].max()) + 1
    layers = [
        by_cell(rows, rows[["value"]].to_numpy(), params.factors)
        for rows in (order[order["place"] == place] for place in range(n_words))
    ]
    return np.concatenate(layers, axis=3)


def _answer(params: InferStep, question: Question, stream: np.random.Generator) -> dict[str, Any]:
    contrasts = interaction_contrasts(question.cells)
    test = one_sample_t(contrasts, 1 - params.alpha)
    flips = sign_flips(len(contrasts), params.n_permutations, stream)
    return {
        "family": question.family,
        "clamp": question.clamp,
        "metric": "interaction_contrast",
        "unit": question.unit,
        "value": test.estimate[0],
        "low": test.low[0],
        "high": test.high[0],
        "t": test.t[0],
        "df": test.df[0],
        "p": test.p[0],
        "p_sign_flip": sign_flip_test(contrasts, flips).p[0],
        "partial_eta2": test.partial_eta2[0],
        "n": len(contrasts),
        **_anova("published", published_anova(question.replicates).interaction),
        **_anova("two_way", two_way_anova(question.replicates).interaction),
    }


def _anova(name: str, effect: Effect) -> dict[str, float]:
    values = {"f": effect.f, "p": effect.p, "df_error": effect.df_error}
    return {f"{name}_{key}": value for key, value in values.items()}


def _corrected(frame: Frame, alpha: float) -> pd.DataFrame:
    """`frame` with Benjamini-Hochberg over each family and kind, every seed in it."""
    if frame.empty:
        return frame
    grouped = frame.groupby(["family", "kind"], sort=False)["p"]
    q = grouped.transform(lambda p: benjamini_hochberg(p.to_numpy()))
    return frame.assign(q=q, is_significant=q <= alpha)


def clamp_cells(params: InferStep, effects: Frame) -> pd.DataFrame:
    """Mean effect per latent, clamp and word cell with its interval over items (F4's lines)."""
    names = _names(params.factors)
    keys = [*KEYS, "clamp", *names]
    per_item = effects.groupby([*keys, "item"], sort=False)["value"].mean().reset_index()
    rows: list[dict[str, Any]] = []
    for key, own in per_item.groupby(keys, sort=False):
        test = one_sample_t(own[["value"]].to_numpy(), 1 - params.alpha)
        interval = {"value": test.estimate[0], "low": test.low[0], "high": test.high[0]}
        rows.append(
            dict(zip(keys, key, strict=True)) | {"unit": "nats"} | interval | {"n": len(own)}
        )
    return pd.DataFrame(rows)


def clamp_items(params: InferStep, effects: Frame) -> pd.DataFrame:
    """Effect per item of the first candidate of each seed (F4's points)."""
    names = _names(params.factors)
    first = effects[(effects["kind"] == "candidate") & (effects["rank"] == 1)]
    keys = ["arm", "seed", "latent", "clamp", *names, "item"]
    return first.groupby(keys, sort=False)["value"].mean().reset_index().assign(unit="nats")


def _names(factors: Sequence[FactorConfig]) -> list[str]:
    return [factor.name for factor in factors]
