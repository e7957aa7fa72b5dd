"""`factorial infer`: the declared families of tests on the confirm half, and the tables for figures.

Must not: choose a latent, a clamp or a test; all are fixed before it reads a number.
"""

import logging
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fispace.chapters.factorial.design import CONFIRM, Frame, require_same
from fispace.chapters.factorial.hypothesis_inputs import (
    MULTIPLY,
    activation_questions,
    clamp_questions,
    planted_contrast_questions,
    set_questions,
)
from fispace.chapters.factorial.hypothesis_tests import Question, declared, family_table
from fispace.chapters.factorial.tables import (
    ACTIVATION_CELLS,
    CANDIDATES,
    CLAMP_CELLS,
    CLAMP_FITS,
    CLAMP_ITEMS,
    FAMILY,
    HYPOTHESES,
    KEYS,
    SECONDARY,
)
from fispace.stats.two_by_two import one_sample_t
from fispace.store.responses import Responses, read_responses
from fispace.store.tables import read_csv, read_table, write_csv, write_table
from fispace.study.config.factorial import IDENTITY, InferStep
from fispace.study.step import Reads, Writes, command

log = logging.getLogger(__name__)


@command("factorial", "infer")
def infer(
    params: InferStep, *, candidates: list[Reads], responses: list[Reads], effects: list[Reads],
    planted: list[Reads], quality: list[Reads], checks: list[Reads], family: Writes, table: Writes,
    hypotheses: Writes, activation_cells: Writes, cells: Writes, points: Writes, fits: Writes,
    secondary: Writes,
) -> None:  # fmt: skip
    """Write the declared families of tests on the confirm half, over all seeds, and the plotted tables.

    Raises:
        ArtifactMismatchError: if responses are not those of the confirm half.
    """
    by_seed = _confirm_responses(responses)
    chosen = pd.concat([read_csv(path, CANDIDATES) for path in candidates], ignore_index=True)
    changes, moved, numbers = (
        pd.concat([read_table(path) for path in paths], ignore_index=True)
        for paths in (effects, planted, (*quality, *checks))
    )
    asked = [
        *activation_questions(params, chosen, by_seed),
        *clamp_questions(params, changes, numbers),
        *set_questions(params, changes),
        *planted_contrast_questions(params, moved, numbers),
    ]
    tests = family_table(params, asked)
    echo = list(declared(params))
    recipe = params.plain() | {"step": "factorial infer", "declared": echo}
    write_table(family, tests, recipe)
    write_csv(table, tests, FAMILY)
    write_csv(hypotheses, HYPOTHESES.frame(echo), HYPOTHESES)
    write_csv(activation_cells, response_cells(params, asked), ACTIVATION_CELLS)
    write_csv(cells, clamp_cells(params, changes), CLAMP_CELLS)
    write_csv(points, clamp_items(params, changes), CLAMP_ITEMS)
    write_csv(fits, clamp_fits(params, asked), CLAMP_FITS)
    summary: Any = numbers
    write_csv(secondary, summary[list(SECONDARY.columns)], SECONDARY)
    log.info("%d of %d tests significant", int(np.sum(tests["is_significant"])), len(tests))


def _confirm_responses(paths: list[Path]) -> dict[int, Responses]:
    by_seed: dict[int, Responses] = {}
    for path in paths:
        found = read_responses(path)
        require_same(path, "half", found.recipe["half"], CONFIRM)
        by_seed[found.recipe["seed"]] = found
    return by_seed


def _factor_names(params: InferStep) -> list[str]:
    return [factor.name for factor in params.factors]


def _cells(params: InferStep) -> list[dict[str, str]]:
    """Levels of the four cells in the order 00 01 10 11."""
    names = _factor_names(params)
    levels = product(*(factor.levels for factor in params.factors))
    return [dict(zip(names, cell, strict=True)) for cell in levels]


def response_cells(params: InferStep, questions: list[Question]) -> pd.DataFrame:
    """Mean activation per latent and cell of the confirm items, with its interval over items.

    The interval is for comparisons within items: each item's mean over its cells is removed first, since
    it does not affect them (Cousineau 2005; Morey 2008, factor 4/3).
    """
    rows: list[dict[str, Any]] = []
    for question in questions:
        if question.response != "activation" or question.replicates is None:
            continue
        values = question.replicates[..., 0].reshape(-1, 4)
        own = (values - values.mean(1, keepdims=True)) * np.sqrt(4 / 3) + values.mean()
        test = one_sample_t(own, 1 - params.alpha)
        half = (test.high - test.low) / 2
        for i, cell in enumerate(_cells(params)):
            mean = float(values[:, i].mean())
            numbers = {"value": mean, "low": mean - half[i], "high": mean + half[i]}
            rows.append(question.key | cell | {"unit": "activation"} | numbers | {"n": len(values)})
    return ACTIVATION_CELLS.frame(rows, _factor_names(params))


def clamp_cells(params: InferStep, effects: Frame) -> pd.DataFrame:
    """Mean effect per latent, clamp and word cell, with its interval over items (paper, F4)."""
    names = _factor_names(params)
    keys = [*KEYS, "mode", "clamp", *names]
    per_item = effects.groupby([*keys, "item"], sort=False)["value"].mean().reset_index()
    rows: list[dict[str, Any]] = []
    for key, own in per_item.groupby(keys, sort=False):
        test = one_sample_t(own[["value"]].to_numpy(), 1 - params.alpha)
        interval = {"value": test.estimate[0], "low": test.low[0], "high": test.high[0]}
        rows.append(
            dict(zip(keys, key, strict=True)) | {"unit": "nats"} | interval | {"n": len(own)}
        )
    return CLAMP_CELLS.frame(rows, names)


def clamp_items(params: InferStep, effects: Frame) -> pd.DataFrame:
    """Effect per item, for the first latent of each kind and seed (points of the paper's F4)."""
    names = _factor_names(params)
    first = effects[(effects["rank"] == 1) & (effects["mode"] == MULTIPLY)]
    keys = [*KEYS, "clamp", *names, "item"]
    return first.groupby(keys, sort=False)["value"].mean().reset_index().assign(unit="nats")


def clamp_fits(params: InferStep, questions: list[Question]) -> pd.DataFrame:
    """Line fitted by the mixed model for every latent and word cell (lines of the paper's F4)."""
    rows: list[dict[str, Any]] = []
    for question in questions:
        if question.mixed is None:
            continue
        for cell, estimate in zip(_cells(params), question.mixed.cells, strict=True):
            for clamp in params.clamps:
                offset = clamp - IDENTITY
                ends = sorted((offset * estimate.low, offset * estimate.high))
                numbers = {"value": offset * estimate.value, "low": ends[0], "high": ends[1]}
                fit = {"clamp": clamp, "unit": "nats", **numbers, "p": estimate.p}
                rows.append(question.key | cell | fit | {"converged": question.mixed.converged})
    return CLAMP_FITS.frame(rows, _factor_names(params))
